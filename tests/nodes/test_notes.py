"""Proves that a workflow which needs a published file says so on its canvas: name, size, licence and folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from diffilm_core.checkpoints.published import PUBLISHED, size_text

ROOT = Path(__file__).absolute().parents[2]
FLOWS = sorted((ROOT / "workflows").glob("*.json"))
FILES = {file.filename: (model, file) for model in reversed(PUBLISHED.values()) for file in model.files}
DOWNLOADS = {
    "modelscope_text_to_video", "zeroscope_two_pass", "animatediff_any_sd15", "svd_image_to_video",
    "text_to_image_to_video",
}  # fmt: skip


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.stem)
def test_notes_name_what_must_be_downloaded(path: Path) -> None:
    flow = json.loads(path.read_text("utf-8"))
    notes = [node["widgets_values"][0] for node in flow["nodes"] if node["type"] == "MarkdownNote"]
    note = " ".join(" ".join(notes).split())
    values = [value for node in flow["nodes"] if node["type"] != "MarkdownNote" for value in node["widgets_values"]]
    needed = [FILES[value] for value in values if isinstance(value, str) and value in FILES]
    assert bool(needed) == (path.stem in DOWNLOADS)
    for model, file in needed:
        size = size_text(file.size)
        for words in (file.filename, size, model.licence.name, f"models/{file.folder}", "diffilm fetch"):
            assert words in note, f"the note does not name {file.filename}: {words} is not there"
