"""Proves that shots filmed by two Ray workers are those of one process, also where one of them is killed on the way."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import psutil
import pytest
import torch

from diffilm_core.bundle import load_model
from diffilm_core.errors import DiffilmError
from diffilm_core.frames import frame_hashes, read
from diffilm_core.movie import make_movie
from diffilm_core.movie.cluster import film_on_ray
from diffilm_core.movie.make import Options, prepare
from tests.models import tiny_model

ANIMALS = ("fox", "owl", "bear", "rabbit", "mouse", "horse", "cat", "dog")
STORY = "\n---\n".join(f"A {animal} sat in the snow." for animal in ANIMALS)
SETTINGS = {"steps": 12, "frames": 4, "upscale": 1.0, "device": "cpu"}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def kill_a_busy_worker(folder: Path, killed: list[int]) -> None:
    """Once two shots are done, SIGKILL to a worker that has a shot in hand."""
    while sum(".part" not in path.name for path in folder.glob("latents/*.safetensors")) < 2:
        time.sleep(0.05)
    for process in psutil.Process().children(recursive=True):
        if "ray::_film" in " ".join(process.cmdline()):
            os.kill(process.pid, 9)
            killed.append(process.pid)
            return


@pytest.mark.slow
def test_two_workers_film_what_one_process_does_even_if_one_is_killed(model, tmp_path, one_thread, monkeypatch) -> None:
    monkeypatch.setenv("RAY_worker_niceness", "0")  # 15 by default, which starves on a busy machine
    alone = make_movie(STORY, tmp_path / "alone.mp4", model=model, **SETTINGS)
    killed: list[int] = []
    watcher = threading.Thread(target=kill_a_busy_worker, args=(tmp_path / "ray.diffilm", killed), daemon=True)
    watcher.start()
    production, target = prepare(
        STORY, tmp_path / "ray.mp4", Options(steps=12, frames=4, upscale=1.0), model=model, device="cpu"
    )
    assert len(production.board.shots) == 8
    assert film_on_ray(production, "local") == 8
    watcher.join(timeout=5)
    assert killed, "no worker was caught at work"
    production.film.sample_shot = lambda shot: pytest.fail(f"shot {shot.index} was sampled again")
    together = production.make(target)
    assert frame_hashes(read(together)) == frame_hashes(read(alone))
    assert film_on_ray(production, "no such cluster") == 0, "nothing is missing, so no cluster is asked for"


def test_a_cluster_that_is_not_there_is_named(model, tmp_path) -> None:
    production, _ = prepare(STORY, tmp_path / "a.mp4", Options(frames=4), model=load_model(model, device="cpu"))
    with pytest.raises(DiffilmError, match="no cluster is reached"):
        film_on_ray(production, "127.0.0.1:1")
