"""Proves that the movie command says what a movie takes before it is made, checks shots, and makes one again."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from diffilm_core.bundle import load_model
from diffilm_core.cli import main
from diffilm_core.frames import frame_hashes, read, read_metadata
from diffilm_core.movie import estimate as estimates
from diffilm_core.movie.make import Options, prepare
from tests.models import tiny_model

STORY = "A fox sleeps in the snow. A bear walks by the sea at night."


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "story.txt"
    path.write_text(STORY, "utf-8")
    return path


def status(*arguments: object) -> int:
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as leaving:
        return int(leaving.code or 0)


SMALL = ("--frames", 2, "--steps", 2, "--device", "cpu", "--interpolator", "blend", "--upscaler", "bicubic")


def test_a_movie_is_looked_at_made_checked_and_shot_again(model: Path, story: Path, capsys: Any) -> None:
    small = ("--model", model, *SMALL)
    assert status("movie", story, "-o", "m.mp4", "--dry-run", *small) == 0
    lines = capsys.readouterr().out.splitlines()
    words = [line.split()[0] for line in lines]
    assert words == ["shots", "frames", "memory", "disk", "time", "weights"] and not Path("m.diffilm").exists()
    assert "2, 2 to make" in lines[0] and "8 in the movie at 64x64, 16 a second" in lines[1]
    assert "one call of each stage on this machine" in lines[4] and "tiny.safetensors: whole" in lines[5]
    assert status("movie", story, "-o", "m.mp4", "--check", *small) == 0
    said = capsys.readouterr()
    assert said.out == "m.mp4\n" and len(re.findall(r"^shot \d: ", said.err, re.M)) == 2
    checks = json.loads(Path("m.diffilm/manifest.json").read_text())["checks"]
    assert len(checks) == 2 and all(each["measures"]["finite"] for each in checks.values())
    assert status("movie", story, "-o", "m.mp4", "--dry-run", *small) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "2, 0 to make" in lines[0] and "nothing is left to make" in lines[4] and "0.0 s" in lines[4]
    before = frame_hashes(read("m.mp4"))
    assert status("reshoot", "m.mp4", "--shot", 2, "--seed", 5, "--model", model, "--device", "cpu") == 0
    assert capsys.readouterr().out == "m.shot-2.mp4\n"
    after = frame_hashes(read("m.shot-2.mp4"))
    assert after[:4] == before[:4] and after[4:] != before[4:]
    assert json.loads(read_metadata("m.shot-2.mp4")["comment"])["shots"][1]["seed"] == 5


def test_fresh_makes_all_of_it_again(model: Path, story: Path, capsys: Any) -> None:
    small = ("--model", model, *SMALL)
    assert status("movie", story, "-o", "m.mp4", *small) == 0
    times = {p.name: p.stat().st_mtime_ns for p in Path("m.diffilm").rglob("*.mp4")}
    assert status("movie", story, "-o", "m.mp4", "--resume", *small) == 0
    assert {p.name: p.stat().st_mtime_ns for p in Path("m.diffilm").rglob("*.mp4")} == times
    assert status("movie", story, "-o", "m.mp4", "--fresh", *small) == 0
    again = {p.name: p.stat().st_mtime_ns for p in Path("m.diffilm").rglob("*.mp4")}
    assert again.keys() == times.keys() and all(again[name] > times[name] for name in times)


@pytest.mark.parametrize(
    ("flags", "match"),
    [
        ("reshoot none.mp4 --shot 1", "no such file"),
        ("reshoot story.txt --shot 0", "at least 1"),
        ("reshoot story.txt", "--shot"),
        ("movie story.txt --crf 99", "crf 99"),
        ("movie story.txt --codec mpeg1", "codec 'mpeg1'"),
        ("movie story.txt --music none.mp3", "none.mp3"),
        ("movie story.txt -o a.gif --music story.txt", "has no sound"),
        ("movie story.txt --upscaler none.pth", "none.pth"),
    ],
)
def test_bad_input_is_one_line(flags: str, match: str, story: Path, model: Path, capsys: Any) -> None:
    more = () if flags.startswith("reshoot") else ("--model", str(model), "--device", "cpu")
    assert status(*flags.split(), *more) == 2
    said = capsys.readouterr().err
    assert match in said and said.count("\n") == 1 and not Path("movie.mp4").exists()


def test_what_does_not_fit_is_said_with_what_does(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = Options(size="512x256", frames=4, interpolator="blend", upscaler="bicubic")
    production, out = prepare(STORY, tmp_path / "m.mp4", options, model=load_model(model, device="cpu"))
    assert estimates.advice(production, None) == estimates.advice(production, 10**12) == []
    needed = estimates.memory_needed(production)
    weights = estimates.weights_bytes(production.sampler.model)
    found = re.fullmatch(r"--size (\d+)x(\d+) fits the .* that are free", estimates.advice(production, needed)[0])
    assert found is not None
    width, height = int(found[1]), int(found[2])
    assert width % 16 == height % 16 == 0 and 0 < width < 512
    settings = Options(size=(width, height), frames=4, interpolator="blend", upscaler="bicubic")
    smaller, _ = prepare(STORY, tmp_path / "m.mp4", settings, model=production.sampler.model)
    assert estimates.advice(smaller, needed) == []
    assert "--device cpu" in estimates.advice(production, weights // 2)[0]
    monkeypatch.setattr(estimates, "memory_free", lambda device: needed - 1)
    monkeypatch.setattr(estimates, "_probed", lambda *_: pytest.fail("it was tried"))
    found_ = estimates.estimate(production, out)
    assert found_.advice and found_.total == 0 and "do not fit" in found_.source


@pytest.mark.slow
def test_a_dry_run_of_the_model_that_ships_takes_seconds(story: Path, capsys: Any) -> None:
    start = time.monotonic()
    assert status("movie", story, "--dry-run", "--device", "cpu") == 0
    assert time.monotonic() - start < 10
    assert "video.safetensors: whole" in capsys.readouterr().out
