"""A small movie that is killed (SIGKILL) at random moments and run again: `python -m tests.core.kill_movie MODEL FOLDER
KILLS SEED`. What broke is said on stdout, a line each; the last line counts. Each run is a process of its own, forked
from one that has loaded the model."""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

from diffilm_core.bundle import VideoModel, load_model
from diffilm_core.checkpoints.files import file_digest, read_tensors
from diffilm_core.frames import frame_hashes, read
from diffilm_core.movie import make_movie, read_record, steps
from diffilm_core.movie.store import _digest
from diffilm_core.story import Shot, Storyboard

BOARD = Storyboard(
    shots=(
        Shot(index=0, prompt="a fox", seed=1, duration=0.375),
        Shot(index=1, prompt="a bear", seed=2, duration=0.5, transition="dissolve"),
        Shot(index=2, prompt="an owl", seed=3, duration=0.75),
    )
)
OPTIONS: dict[str, Any] = {"steps": 4, "interpolator": "blend", "upscaler": "bicubic", "sampler": "dpmpp_2m"}


class Log(logging.Handler):
    """A line in a file for each step and message; what is written there outlives the process."""

    def __init__(self, path: Path) -> None:
        super().__init__(logging.INFO)
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def emit(self, record: logging.LogRecord) -> None:
        os.write(self.file, f"{record.getMessage()}\n".encode())

    def __call__(self, stage: str, done: int, total: int, message: str) -> None:
        os.write(self.file, f"{stage} {done} of {total}\n".encode())


def run(model: VideoModel, out: Path, log: Path, after: float | None) -> bool:
    """Makes the movie in a child, killed after so many seconds; whether it was."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            handler = Log(log)
            logging.getLogger("diffilm_core").addHandler(handler)
            logging.getLogger("diffilm_core").setLevel(logging.INFO)
            steps.SAVE_SECONDS = 0.0
            make_movie(BOARD, out, model=model, progress=handler, **OPTIONS)
            status = 0
        finally:
            os._exit(status)
    if after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    if status not in (0, signal.SIGKILL):
        print(f"a run ended with status {status}: {log.read_text()[-500:]}")
    return status == signal.SIGKILL


def finished(folder: Path) -> dict[str, int]:
    """The store's finished parts by name, when they were written; every file that is not whole is named."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or path.name.startswith("."):
            continue
        try:
            if path.suffix == ".safetensors":
                tensors, about = read_tensors(path)
                assert about["sha256"] == _digest(tensors)
            elif path.suffix == ".json":
                record = json.loads(path.read_text("utf-8"))
                assert path.name == "manifest.json" or record["sha256"] == file_digest(path.with_suffix(".mp4"))
            else:
                read(path).collect()
        except Exception as error:
            print(f"broken under its final name: {path}: {error}")
        if path.suffix == ".json" and path.name != "manifest.json":
            found[path.with_suffix(".mp4").name] = path.with_suffix(".mp4").stat().st_mtime_ns
        if path.suffix == ".safetensors" and not path.name.endswith(".part.safetensors"):
            found[path.name] = path.stat().st_mtime_ns
    return found


def main(model_path: str, folder: str, kills: int, seed: int) -> None:
    model, root, choose = load_model(model_path, device="cpu"), Path(folder), random.Random(seed)
    lasts = 60.0
    for whole in (root / "warm.mp4", root / "whole.mp4"):
        started = time.monotonic()
        run(model, whole, root / "whole.log", None)
        lasts = min(lasts, time.monotonic() - started)
    wanted, pieces = frame_hashes(read(whole)), read_record(whole).pieces
    killed = inside = movies = 0
    while killed < kills:
        movies += 1
        place = root / f"movie{movies}"
        place.mkdir()
        out, log = place / "m.mp4", place / "log"
        for _ in range(choose.choice([1, 1, 2, 3])):
            before = finished(place / "m.diffilm")
            killed += run(model, out, log, choose.uniform(0, lasts))
            check_kept(place, before)
            inside += any(place.rglob("*.part.safetensors"))
        before = finished(place / "m.diffilm")
        run(model, out, log, None)
        check_kept(place, before)
        if frame_hashes(read(out)) != wanted:
            print(f"other frames than undisturbed: {out}")
        taken = [line for line in log.read_text().splitlines() if "is written to" in line or "is sampled" in line]
        if len(finished(place / "m.diffilm")) != len(BOARD) + len(pieces):
            print(f"{place} has other parts than the movie")
        if os.environ.get("VERBOSE"):
            print(taken)
        shutil.rmtree(place)
    print(f"{killed} kills of {movies} movies, {inside} with a saved step, a run lasts {lasts:.2f} s")


def check_kept(place: Path, before: dict[str, int]) -> None:
    """Nothing that was finished was written again, or lost."""
    after = finished(place / "m.diffilm")
    for name, when in before.items():
        if after.get(name) != when:
            print(f"{place.name}: {name} was finished and is made again")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
