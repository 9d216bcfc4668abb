"""Proves that the node that trains motion learns what the core learns from the same clips, with the host's MODEL, VAE
and CLIP; that Cancel keeps the run and the next one goes on; and that the workflow runs over HTTP."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
import torch
from hostkit import Server, api_workflow, listen, run_inside

from diffilm_core.checkpoints import inspect
from diffilm_core.frames import from_tensor, read, write
from tests.models import tiny_model

pytestmark = pytest.mark.slow
SMALL = {
    "DiffilmTrainMotion__width": 32, "DiffilmTrainMotion__height": 32, "DiffilmTrainMotion__frames": 4,
    "DiffilmEmptyLatent__width": 32, "DiffilmEmptyLatent__height": 32, "DiffilmEmptyLatent__frames": 4,
    "KSampler__steps": 1,
}  # fmt: skip


def crossing(path: Path, seed: int, frames: int = 24, side: int = 48) -> Path:
    """A bright square that crosses a noisy ground."""
    clip = torch.rand(1, side, side, 3, generator=torch.Generator().manual_seed(seed)).repeat(frames, 1, 1, 1) * 0.3
    for t in range(frames):
        clip[t, 8 + seed : 20 + seed, t : t + 12] = 0.9
    return write(from_tensor(clip, 8), path)


@pytest.fixture(scope="session")
def figures(host_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict:
    work = tmp_path_factory.mktemp("train")
    (work / "clips").mkdir()
    for number in range(3):
        crossing(work / "clips" / f"{number}.mp4", number)
    model = tiny_model(work / "tiny.safetensors")
    return run_inside(host_path, "inside_train.py", str(model), str(work / "clips"), str(work / "host"))


def figure(figures: dict, name: str) -> dict:
    found = figures[name]
    assert "error" not in found, found["error"]
    return found


def test_the_node_learns_what_the_core_learns_and_the_host_samples_with_it(figures: dict) -> None:
    found = figure(figures, "core")
    assert found["same_names"] and found["listed"] and found["file"] == ["diffilm", "motion"]
    assert found["learnt"] > 0.1 and found["apart"] < 0.02
    assert found["sampled"] < 1e-2 < found["moved"] and found["unchanged"]


def test_a_cancelled_run_goes_on_to_the_same_numbers(figures: dict) -> None:
    found = figure(figures, "cancel")
    assert found["stopped"] == "InterruptProcessingException" and found["kept"] == 2
    assert found["files_before"] == [] and found["equal"]
    assert found["said"][0].startswith("step 4 of 4") and "saved as parts-" in found["said"][1]


def test_videos_of_any_kind_are_clips(figures: dict) -> None:
    assert figure(figures, "videos") == {"same": 1, "other": True, "clips": 3}


def test_stable_diffusion_gets_animatediffs_modules(figures: dict) -> None:
    found = figure(figures, "modules")
    assert found["lora"] < 1e-6 and found["identity"] == 0.0 and found["sigmas"] < 1e-4
    assert found["file"] == ["animatediff", "original"] and found["own_lora"] and found["further"] == "animatediff"


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("size", "needs multiples of 16"), ("vae", "latents have 8"), ("both", "from one of the two"),
        ("neither", "from one of the two"), ("folder", "no such folder"), ("name", "name of a file"),
        ("short", "shot of 200 frames"), ("scale", "set them to 1"), ("other", "from Load Diffilm Model"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(figures: dict, case: str, words: str) -> None:
    assert words in figure(figures, "refusals")[case]


def test_the_workflow_trains_applies_and_films(server: Server) -> None:
    crossing(server.base / "input/clip.mp4", 1)
    pictures = []

    def seen(kind: str, data: dict) -> bool:
        return kind == "execution_success"

    graph = api_workflow("train_motion", DiffilmTrainMotion__steps=2, **SMALL)
    threading.Timer(1.0, lambda: server.queue(graph, "watch")).start()
    listen(server, "watch", seen, 900, pictures.append)
    assert any(b"JFIF" in each[:40] or b"\xff\xd8\xff" in each[:400] for each in pictures), "no preview was sent"
    assert any(b"step 2 of 2" in each for each in pictures), "no words on the node"
    (made,) = [path for path in (server.base / "models/animatediff_models").iterdir() if path.name.startswith("my_")]
    assert inspect(made).system == "diffilm"
    assert read(max((server.output / "diffilm").glob("trained_*.mp4"))).frames == 4
    offered = json.dumps(server.call("/object_info/DiffilmApplyMotion"))
    assert made.name in offered


def test_cancel_over_http_keeps_the_run(server: Server) -> None:
    crossing(server.base / "input/clip.mp4", 1)
    graph = api_workflow("train_motion", DiffilmTrainMotion__steps=60, DiffilmTrainMotion__name="stopped", **SMALL)

    def third(kind: str, data: dict) -> bool:
        return kind == "progress" and data["max"] == 60 and data["value"] >= 3

    queued: list[str] = []
    threading.Timer(1.0, lambda: queued.append(server.queue(graph, "cancel"))).start()
    listen(server, "cancel", third, 900)
    server.call("/interrupt", {})
    entry = server.wait(queued[0])
    assert any(kind == "execution_interrupted" for kind, _ in entry["status"]["messages"])
    (run,) = (server.output / "diffilm/training").glob("stopped-*")
    kept = torch.load(run / "motion.ckpt", weights_only=True)["step"]
    assert 3 <= kept < 60 and not list((server.base / "models/animatediff_models").glob("stopped*"))
    done = api_workflow("train_motion", DiffilmTrainMotion__steps=kept + 1, DiffilmTrainMotion__name="stopped", **SMALL)
    before = len(server.log_text())
    server.run(done)
    assert f"motion goes on at step {kept}" in server.log_text()[before:]


def test_bad_words_are_refused_before_anything_runs(server: Server) -> None:
    crossing(server.base / "input/clip.mp4", 1)
    for changes, words in (
        ({"DiffilmTrainMotion__folder": "nowhere"}, "no such folder"),
        ({"DiffilmTrainMotion__name": "a/b"}, "name of a file"),
    ):
        with pytest.raises(AssertionError, match=words):
            server.queue(api_workflow("train_motion", **changes))
