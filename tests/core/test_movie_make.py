"""A story becomes a movie; the same again; a killed run goes on to the same frames; bad input is named at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

import diffilm_core
from diffilm_core.bundle import load_model
from diffilm_core.errors import Cancelled, DiffilmError
from diffilm_core.frames import frame_hashes, read, read_metadata
from diffilm_core.movie import parse_size
from diffilm_core.movie.make import make_movie
from diffilm_core.story import Storyboard
from tests.models import tiny_model

ROOT = Path(__file__).parents[2]
STORY = "A fox sleeps in the snow. A bear walks by. The fox wakes up and runs home."
SMALL: dict[str, Any] = {"steps": 2, "device": "cpu", "frames": 3, "interpolator": "blend", "upscaler": "bicubic"}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


class Watch:
    """A progress callback that records the shots whose sampling began, and can stop there."""

    def __init__(self, stop: tuple[str, int] | None = None, kill: bool = False) -> None:
        self.calls: list[tuple[str, int, int, str]] = []
        self.stop, self.kill = stop, kill

    def __call__(self, stage: str, done: int, total: int, message: str) -> None:
        self.calls.append((stage, done, total, message))
        if (stage, done) == self.stop:
            if self.kill:
                os.kill(os.getpid(), signal.SIGKILL)
            raise Cancelled

    def stages(self) -> list[str]:
        names = [stage for stage, *_ in self.calls]
        return [name for name, before in zip(names, [None, *names], strict=False) if name != before]

    def sampled(self) -> int:
        """Sampler steps that were really taken: a shot is reported where it begins, at each step, and when it is kept;
        one that was there is reported once."""
        counts: dict[str, list[int]] = {}
        for stage, done, _, message in self.calls:
            if stage == "sample":
                counts.setdefault(message, []).append(done)
        return sum(max(each) - min(each) for each in counts.values())


def hashes(path: Path) -> list[str]:
    return frame_hashes(read(path))


def test_a_story_becomes_a_movie_with_a_shot_for_each_sentence(path: Path, tmp_path: Path) -> None:
    watch = Watch()
    out = diffilm_core.make_movie(STORY, tmp_path / "fox.mp4", model=path, seed=5, progress=watch, **SMALL)
    assert out == tmp_path / "fox.mp4"
    film = read(out)
    assert (film.width, film.height, film.fps, film.frames) == (64, 64, 16, 3 * 6)
    assert watch.stages() == ["load", "sample", "render", "join"] and watch.sampled() == 6
    assert watch.calls[-1][:3] == ("join", 3, 3)
    assert [call[1:3] for call in watch.calls if call[0] == "render"][-1] == (18, 18)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fox.diffilm", "fox.mp4"]
    about = json.loads(read_metadata(out)["comment"])
    fingerprint = load_model(path, device="cpu").fingerprint
    assert [shot["prompt"][:5] for shot in about["shots"]] == ["A fox", "A bea", "The f"]
    assert {shot["model"] for shot in about["shots"]} == {fingerprint}
    assert all(isinstance(shot["seed"], int) for shot in about["shots"])


def test_the_same_movie_twice_and_its_folder_saves_the_work(path: Path, tmp_path: Path) -> None:
    one = make_movie(STORY, tmp_path / "one.mp4", model=path, **SMALL)
    watch = Watch()
    two = make_movie(STORY, tmp_path / "two.mp4", model=path, progress=watch, **SMALL)
    assert hashes(one) == hashes(two) and watch.sampled() == 6
    watch = Watch()
    again = make_movie(STORY, tmp_path / "two.mp4", model=path, progress=watch, **SMALL)
    assert hashes(again) == hashes(one) and watch.sampled() == 0
    watch = Watch()
    edited = make_movie(STORY.replace("bear", "goat"), tmp_path / "two.mp4", model=path, progress=watch, **SMALL)
    assert watch.sampled() == 2
    assert [a == b for a, b in zip(hashes(edited), hashes(one), strict=True)] == [True] * 6 + [False] * 6 + [True] * 6
    watch = Watch()
    small = make_movie(STORY, tmp_path / "two.mp4", model=path, progress=watch, upscale=None, interpolate=8, **SMALL)
    assert watch.sampled() == 0 and (read(small).width, read(small).fps, read(small).frames) == (32, 8, 9)


def test_frames_do_not_depend_on_the_threads_of_the_writer_or_the_shot_before(path: Path, tmp_path: Path) -> None:
    """The last shot alone is the last shot of the movie."""
    whole = hashes(make_movie(STORY, tmp_path / "whole.mp4", model=path, **SMALL))
    model = load_model(path, device="cpu")
    found = json.loads((tmp_path / "whole.diffilm/manifest.json").read_text())
    shot = {**found["shots"][-1], "index": 0, "span": [0, 0]}
    board = Storyboard.from_json({"version": 1, "cast": found["cast"], "shots": [shot]})
    alone = hashes(make_movie(board, tmp_path / "alone.mp4", model=model, **{**SMALL, "frames": None}))
    assert alone == whole[-6:]


@pytest.mark.parametrize(
    ("stop", "left"),
    [
        (("sample", 2), 4),
        (("sample", 1), 5),
        (("sample", 3), 3),
        (("render", 6), 0),
        (("render", 12), 0),
        (("join", 2), 0),
    ],
)
def test_a_cancelled_run_keeps_what_is_finished(path: Path, tmp_path: Path, stop: tuple[str, int], left: int) -> None:
    with pytest.raises(Cancelled):
        make_movie(STORY, tmp_path / "m.mp4", model=path, progress=Watch(stop), **SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["m.diffilm"]
    assert not list(tmp_path.rglob(".*"))
    watch = Watch()
    out = make_movie(STORY, tmp_path / "m.mp4", model=path, progress=watch, **SMALL)
    assert watch.sampled() == left
    assert hashes(out) == hashes(make_movie(STORY, tmp_path / "plain.mp4", model=path, **SMALL))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize(("stop", "left"), [(("sample", 4), 2), (("render", 12), 0)])
def test_a_killed_run_goes_on_to_the_same_frames(path: Path, tmp_path: Path, stop: tuple[str, int], left: int) -> None:
    child = [sys.executable, "-m", "tests.core.test_movie_make", str(path), str(tmp_path / "m.mp4"), *map(str, stop)]
    done = subprocess.run(child, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / "m.mp4").exists()
    watch = Watch()
    out = make_movie(STORY, tmp_path / "m.mp4", model=path, progress=watch, **SMALL)
    assert watch.sampled() == left
    assert hashes(out) == hashes(make_movie(STORY, tmp_path / "plain.mp4", model=path, **SMALL))


def test_damaged_parts_are_made_again(path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = hashes(make_movie(STORY, tmp_path / "m.mp4", model=path, **SMALL))
    for part in (tmp_path / "m.diffilm").rglob("*.*"):
        part.write_bytes(part.read_bytes()[:-5])
    watch = Watch()
    again = make_movie(STORY, tmp_path / "m.mp4", model=path, progress=watch, **SMALL)
    assert hashes(again) == first and watch.sampled() == 6
    assert sum("is damaged and is made again" in message for message in caplog.messages) == 7


def test_options_reach_the_movie(path: Path, tmp_path: Path) -> None:
    out = make_movie(
        "A fox. A long sleep in the snow.", tmp_path / "m.mp4", model=path, size="48x32", fps=10, interpolate=25,
        upscale=1.5, style="watercolor", max_shots=1, **SMALL,
    )  # fmt: skip
    film = read(out)
    assert (film.width, film.height, film.fps, film.frames) == (72, 48, 25, 8)
    assert "watercolor" in read_metadata(out)["comment"]
    long = make_movie(STORY, tmp_path / "long.mp4", model=path, max_shots=1, **{**SMALL, "frames": 9})
    assert read(long).frames == 18


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_animations_are_made_from_the_same_shots(path: Path, tmp_path: Path, suffix: str) -> None:
    film = read(make_movie(STORY, tmp_path / "m.mp4", model=path, **SMALL)).collect()
    watch = Watch()
    out = make_movie(STORY, tmp_path / f"m{suffix}", model=path, progress=watch, **SMALL)
    assert watch.sampled() == 0 and watch.calls[-1][:3] == ("render", 18, 18)
    got = read(out)
    assert got.frames == 18 and abs(got.fps - 16) < Fraction(1, 2)
    assert (got.collect() - film).abs().mean() < 0.06


def test_bad_input_is_named_before_the_model_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("the slow part began")

    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "noise.txt").write_bytes(bytes(range(256)))
    (tmp_path / "cut.safetensors").write_bytes(path.read_bytes()[:-100])
    monkeypatch.setattr("diffilm_core.sampling.sample_clip", never)
    good: dict[str, Any] = {"story": STORY, "out": tmp_path / "m.mp4", "model": path, **SMALL}
    for change, message in (
        ({"story": "  \n"}, "empty"),
        ({"story": tmp_path / "empty.txt"}, "empty"),
        ({"story": tmp_path / "noise.txt"}, "not text"),
        ({"story": tmp_path / "none.txt"}, "no story at"),
        ({"out": tmp_path / "m.avi"}, "suffix"),
        ({"out": tmp_path / "none" / "m.mp4"}, "there is no folder"),
        ({"out": "/proc/m.mp4"}, "cannot write to /proc"),
        ({"model": tmp_path / "none.safetensors"}, "does not exist"),
        ({"model": tmp_path / "cut.safetensors"}, "truncated"),
        ({"model": tmp_path / "noise.txt"}, "no safetensors file"),
        ({"size": "100x128"}, "size 100x128: expected width and height divisible by 16"),
        ({"size": (0, 16)}, "size (0, 16): expected WIDTHxHEIGHT"),
        ({"size": "big"}, "size 'big': expected WIDTHxHEIGHT"),
        ({"frames": 0}, "frames 0"),
        ({"steps": 0}, "steps 0"),
        ({"steps": 5000}, "5000 steps"),
        ({"fps": 0}, "frame rate 0"),
        ({"interpolate": -1}, "frame rate -1"),
        ({"upscale": 0}, "upscale 0"),
        ({"seed": -1}, "seed"),
        ({"sampler": "magic"}, "unknown sampler 'magic'"),
        ({"spacing": "magic"}, "unknown spacing 'magic'"),
        ({"device": "abacus"}, "device 'abacus'"),
        ({"batch": 0}, "batch 0"),
        ({"crf": 52}, "crf 52"),
        ({"max_shots": 0}, "max_shots"),
    ):
        with pytest.raises(DiffilmError) as caught:
            make_movie(**{**good, **change})
        assert message in str(caught.value) and "\n" not in str(caught.value), change
    assert not (tmp_path / "m.mp4").exists() and not (tmp_path / "m.diffilm").exists()


def test_a_broken_model_is_noticed_and_not_stored(path: Path, tmp_path: Path) -> None:
    model = load_model(path, device="cpu")
    with torch.no_grad():
        next(model.unet.parameters()).fill_(float("nan"))
    with pytest.raises(DiffilmError, match="NaN"):
        make_movie(STORY, tmp_path / "m.mp4", model=model, **SMALL)
    assert not list((tmp_path / "m.diffilm" / "latents").iterdir())


def test_a_cancel_stops_between_the_windows_of_a_long_shot(path: Path, tmp_path: Path) -> None:
    model = load_model(path, device="cpu")
    passes: list[int] = []
    forward = model.unet.forward
    model.unet.forward = lambda *a, **k: passes.append(1) or forward(*a, **k)  # type: ignore[method-assign,func-returns-value]

    def stop(stage: str, *_: object) -> None:
        if stage == "sample" and len(passes) == 4:
            raise Cancelled

    with pytest.raises(Cancelled):
        make_movie(STORY, tmp_path / "m.mp4", model=model, progress=stop, **{**SMALL, "frames": 16})
    assert len(passes) == 4


@pytest.mark.parametrize("words", ["DefaultCPUAllocator: can't allocate memory", "", "other"])
def test_too_little_memory_is_one_line(path: Path, tmp_path: Path, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(words) if words else MemoryError

    monkeypatch.setattr("diffilm_core.sampling.sample_clip", fail)
    with pytest.raises(RuntimeError if words == "other" else DiffilmError) as caught:
        make_movie(STORY, tmp_path / "m.mp4", model=path, **SMALL)
    assert words == "other" or "3 frames of 32x32, more than the memory of cpu takes" in str(caught.value)


def test_a_file_may_be_named_by_a_string(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "story.txt"
    file.write_text(STORY)
    movies = [
        diffilm_core.make_movie(story, tmp_path / f"{n}.mp4", model=path, max_shots=1, **SMALL)
        for n, story in enumerate((STORY, file, str(file)))
    ]
    assert hashes(movies[0]) == hashes(movies[1]) == hashes(movies[2])


def test_sizes_are_read() -> None:
    for size in ("256X128", "256×128", " 256 x 128 ", (256, 128), [256, 128]):
        assert parse_size(size) == (256, 128)
    assert parse_size(None) is None


def test_importing_the_core_is_quick() -> None:
    code = "import sys, diffilm_core; print('torch' in sys.modules or 'av' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr


if __name__ == "__main__":
    model_path, out_path, stage, count = sys.argv[1:]
    make_movie(STORY, out_path, model=model_path, progress=Watch((stage, int(count)), kill=True), **SMALL)
