"""What `diffilm curate` kept, as the clips that training takes windows of."""

from __future__ import annotations

from pathlib import Path

from ...errors import DiffilmError
from ..curation.table import kept_shots, metadata_of
from .clips import ClipFile

COLUMNS = ("file", "first", "end", "fps", "width", "height")


def curated_clips(dataset: str | Path) -> list[ClipFile]:
    """The files of a curated data set with the shots that stay. Raises DiffilmError where none does, or the folder that
    was curated has gone."""
    root = Path(metadata_of(dataset)["folder"])
    if not root.is_dir():
        raise DiffilmError(f"data set {dataset}: the folder that was curated, {root}, has gone; put it back")
    files: dict[str, list[tuple[int, int]]] = {}
    about: dict[str, tuple[int, int, float]] = {}
    for shot in kept_shots(dataset, COLUMNS):
        files.setdefault(shot["file"], []).append((shot["first"], shot["end"]))
        about[shot["file"]] = shot["width"], shot["height"], shot["fps"]
    if not files:
        raise DiffilmError(f"data set {dataset}: no shot of it stays; curate again with other thresholds")
    return [ClipFile(str(root), name, "", *about[name], tuple(sorted(shots))) for name, shots in sorted(files.items())]
