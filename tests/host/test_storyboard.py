"""Proves that the storyboard is a table on the node in Chromium, that a cell changed there changes that shot alone and
films that shot alone, and that the story workflows run over HTTP with the model that ships.

The first and the second need what test_canvas.py needs; DIFFILM_PICTURES names a folder that keeps the pictures.
DIFFILM_STEPS: other sampling steps than the workflows', for a busy machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hostkit import PACK, Server, api_workflow

from diffilm_core.frames import read

PROMPT = "an owl on a roof, seen from below"
SHOT = 2
MOVIES = {"screenplay_to_movie": "diffilm/screenplay", "llm_director": "diffilm/directed"}
STEPS = {"DiffilmFilmStoryboard__steps": int(os.environ["DIFFILM_STEPS"])} if "DIFFILM_STEPS" in os.environ else {}
PATIENCE = 3000
"""Seconds for a movie of some eight shots on a machine that does other things too."""


def on_the_canvas(name: str, folder: Path) -> Path:
    """The workflow for the canvas, with STEPS."""
    flow = json.loads((PACK / f"workflows/{name}.json").read_text("utf-8"))
    for change, value in STEPS.items():
        kind, key = change.split("__")
        for node in (node for node in flow["nodes"] if node["type"] == kind):
            widgets = [each["name"] for each in node["inputs"] if "widget" in each]
            node["widgets_values"][widgets.index(key)] = value
    path = folder / f"{name}.json"
    path.write_text(json.dumps(flow), "utf-8")
    return path


def in_chromium(server: Server, name: str, folder: Path) -> dict:
    """What storyboard.js saw: workflow run, table read, the prompt of SHOT changed in it, run again."""
    browser = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    if shutil.which("node") is None or not Path(browser).exists():
        pytest.skip("needs node and Chromium (CHROMIUM names the browser)")
    if subprocess.run(["node", "-e", "require('playwright-core')"], capture_output=True).returncode:
        pytest.skip("needs the npm package playwright-core (NODE_PATH names the node_modules that has it)")
    pictures = os.environ.get("DIFFILM_PICTURES") or str(folder)
    script = Path(__file__).parent / "storyboard.js"
    command = ["node", script, server.url, pictures, on_the_canvas(name, folder), str(SHOT), PROMPT]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def seen(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict:
    return in_chromium(server, "story_only", tmp_path_factory.mktemp("pictures"))


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


def board_of(outputs: dict) -> dict:
    return next(json.loads(each["diffilm_storyboard"][0]) for each in outputs.values() if "diffilm_storyboard" in each)


def test_over_http_too(server: Server) -> None:
    plain = server.run(api_workflow("story_only"))
    edits = json.dumps([{"index": SHOT, "prompt": PROMPT}])
    changed = server.run(api_workflow("story_only", DiffilmStorySplitter__edits=edits))
    one, other = board_of(plain), board_of(changed)
    assert [a["index"] for a, b in zip(one["shots"], other["shots"], strict=True) if a != b] == [SHOT]


def kept(server: Server, movie: str) -> dict[str, int]:
    """The movie's files under their keys, and when each was written."""
    folder = server.output / f"{movie}.diffilm"
    files = [*folder.glob("latents/*.safetensors"), *folder.glob("shots/*.mp4")]
    return {f"{path.parent.name}/{path.name}": path.stat().st_mtime_ns for path in files}


@pytest.mark.slow
@pytest.mark.parametrize("name", MOVIES)
def test_workflow_runs_with_the_model_that_ships(server: Server, name: str) -> None:
    outputs = server.run(api_workflow(name, **STEPS), PATIENCE)
    shots = board_of(outputs)["shots"]
    (file,) = server.files(outputs)
    movie = read(file)
    assert (movie.width, movie.height, movie.fps) == (512, 512, 24)
    assert movie.frames == pytest.approx(sum(shot["duration"] for shot in shots) * 24, abs=2 * len(shots))
    assert len(kept(server, MOVIES[name])) == 2 * len(shots) >= 8


@pytest.mark.slow
def test_a_changed_cell_films_that_shot_alone(server: Server, tmp_path: Path) -> None:
    name = "screenplay_to_movie"
    server.run(api_workflow(name, **STEPS), PATIENCE)  # kept already where the test above ran
    before = kept(server, MOVIES[name])
    found = in_chromium(server, name, tmp_path)
    pairs = zip(found["before"]["shots"], found["after"]["shots"], strict=True)
    assert [one["index"] for one, other in pairs if one != other] == [SHOT]
    after = kept(server, MOVIES[name])
    assert all(after[key] == when for key, when in before.items())  # the canvas sends the same, and finds it kept
    assert sorted(key.split("/")[0] for key in after.keys() - before.keys()) == ["latents", "shots"]
