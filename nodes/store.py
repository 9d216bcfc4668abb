"""Where a movie keeps its finished shots: `NAME.diffilm` in ComfyUI's output folder."""

from __future__ import annotations

from pathlib import Path

from ..diffilm_core.errors import DiffilmError
from ..diffilm_core.movie.store import ShotStore
from . import host


def open_store(movie: str) -> ShotStore:
    """The store of a movie of that name. Raises DiffilmError for a name that leads out of the output folder."""
    root = Path(host.output_directory()).resolve()
    name = movie.strip().replace("\\", "/")
    folder = (root / f"{name}.diffilm").resolve()
    if not name or name.endswith("/") or root not in folder.parents:
        raise DiffilmError(f"movie name {movie!r}: expected a name in the output folder; give one like diffilm/movie")
    return ShotStore(folder)
