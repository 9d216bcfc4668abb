"""Proves that the storyboard is a table on the node in Chromium, and that a cell changed there changes that shot alone.

Needs what test_canvas.py needs; DIFFILM_PICTURES names a folder that keeps the pictures.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hostkit import PACK, Server, api_workflow

PROMPT = "an owl on a roof, seen from below"
SHOT = 2


@pytest.fixture(scope="module")
def seen(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict:
    browser = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    if shutil.which("node") is None or not Path(browser).exists():
        pytest.skip("needs node and Chromium (CHROMIUM names the browser)")
    if subprocess.run(["node", "-e", "require('playwright-core')"], capture_output=True).returncode:
        pytest.skip("needs the npm package playwright-core (NODE_PATH names the node_modules that has it)")
    pictures = os.environ.get("DIFFILM_PICTURES") or str(tmp_path_factory.mktemp("pictures"))
    script = str(Path(__file__).parent / "storyboard.js")
    workflow = str(PACK / "workflows/story_only.json")
    done = subprocess.run(
        ["node", script, server.url, pictures, workflow, str(SHOT), PROMPT], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_the_table_says_what_the_storyboard_says(seen: dict) -> None:
    shots = seen["before"]["shots"]
    names = {member["id"]: member["name"] or member["id"] for member in seen["before"]["cast"]}
    assert len(seen["said"]) == len(shots) > 3
    for row, shot in zip(seen["said"], shots, strict=True):
        who = ", ".join(names[member] for member in shot["cast"])
        assert row[:3] == [str(shot["index"] + 1), f"{shot['duration']:.1f}", who]
        assert row[3:] == [shot[key] for key in ("prompt", "negative", "place", "time", "camera", "transition")]


def test_a_changed_cell_changes_that_shot_alone(seen: dict) -> None:
    before, after = seen["before"]["shots"], seen["after"]["shots"]
    text = before[SHOT]["text"]
    assert json.loads(seen["edits"]) == [{"index": SHOT, "text": text, "prompt": PROMPT}]
    assert [shot for shot in after if shot["index"] != SHOT] == [shot for shot in before if shot["index"] != SHOT]
    assert after[SHOT] == {**before[SHOT], "prompt": PROMPT} != before[SHOT]


def test_over_http_too(server: Server) -> None:
    plain = server.run(api_workflow("story_only"))
    edits = json.dumps([{"index": SHOT, "prompt": PROMPT}])
    changed = server.run(api_workflow("story_only", DiffilmStorySplitter__edits=edits))
    one, other = (json.loads(next(iter(outputs.values()))["diffilm_storyboard"][0]) for outputs in (plain, changed))
    assert [a["index"] for a, b in zip(one["shots"], other["shots"], strict=True) if a != b] == [SHOT]
