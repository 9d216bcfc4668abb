"""Proves that movie, plan and clip do what their flags say, and that bad input is one line and exit status 2."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import diffilm_core.movie
from diffilm_core.cli import main
from diffilm_core.cli.film import slug
from diffilm_core.cli.output import Progress
from diffilm_core.errors import Cancelled
from diffilm_core.frames import read, read_metadata
from diffilm_core.story import Storyboard, read_storyboard
from tests.models import tiny_model

ROOT = Path(__file__).parents[2]
STORY = "The Fox\n\nA fox sleeps in the snow. A bear walks by the sea at night.\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "story.txt"
    path.write_text(STORY, "utf-8")
    return path


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1 and captured.err.startswith("diffilm: error: "), captured.err
    return captured.err


def status(*arguments: object) -> int:
    """The exit status, whether it is returned or raised (argparse)."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as leaving:
        return int(leaving.code or 0)


def test_movie_from_story_to_file(model: Path, story: Path, capsys: Any) -> None:
    small = ("--model", model, "--frames", 3, "--steps", 1, "--device", "cpu", "--seed", 4, "--style", "ink")
    small += ("--interpolator", "blend", "--upscaler", "bicubic")
    assert status("movie", story, "-o", "fox.mp4", *small) == 0
    assert capsys.readouterr().out == "fox.mp4\n"
    film = read("fox.mp4")
    assert film.frames == 2 * 6 and len(film.shots) >= 1
    shots = json.loads(read_metadata("fox.mp4")["comment"])["shots"]
    assert [shot["prompt"] for shot in shots] == [
        "A fox sleeps in the snow, ink",
        "A bear walks by the sea at night, ink",
    ]


MOVIE = {
    "fresh": False, "interpolate": None, "interpolator": None, "upscale": 2.0, "upscaler": None, "codec": "", "bits": 0,
    "crf": None, "music": None, "fade": 0.0, "check": False, "rerolls": 0, "scorer": None, "memory": None, "ray": None,
}  # fmt: skip


def test_every_flag_reaches_the_movie(story: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    def make_movie(story: Any, out: Any, **options: Any) -> Path:
        seen.update(options, story=story, out=out)
        return Path(out)

    monkeypatch.setattr(diffilm_core.movie, "make_movie", make_movie)
    flags = "--seed 9 --size 64x96 --frames 5 --fps 30000/1001 --steps 6 --style ink --model m.safetensors --device cpu"
    assert status("movie", story, "-o", "a.webp", *flags.split()) == 0
    assert isinstance(seen.pop("progress"), Progress) and callable(seen.pop("on_checked"))
    assert seen == {
        "story": STORY, "out": "a.webp", "seed": 9, "size": (64, 96), "frames": 5, "fps": Fraction(30000, 1001),
        "steps": 6, "style": "ink", "model": "m.safetensors", "device": "cpu", **MOVIE,
    }  # fmt: skip
    assert status("movie", story) == 0
    assert seen["out"] == "movie.mp4" and seen["size"] is seen["model"] is seen["fps"] is None and seen["seed"] == 0


def test_movie_of_an_edited_plan(story: Path, capsys: Any, caplog: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert status("plan", story, "--json", "--seed", 3) == 0
    Path("plan.json").write_text(capsys.readouterr().out.replace("A bear", "A polar bear"), "utf-8")
    seen: list[Any] = []
    monkeypatch.setattr(diffilm_core.movie, "make_movie", lambda board, out, **_: seen.append(board) or Path(out))
    assert status("movie", "plan.json") == 0
    assert seen == [read_storyboard("plan.json")]
    assert seen[0].shots[1].prompt == "A polar bear walks by the sea at night"
    assert status("plan", "plan.json", "--json") == 0
    assert Storyboard.from_json(capsys.readouterr().out.removeprefix("movie.mp4\n")) == seen[0]
    assert "change nothing" not in capsys.readouterr().err
    assert status("movie", "plan.json", "--style", "ink") == 0
    assert "plan.json has prompts, seeds and lengths of its own" in caplog.text


def test_plan_is_printed_where_only_ascii_is(story: Path) -> None:
    story.write_text("A fox 🦊 meets a Füchslein.", "utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    for flags in ([], ["--json"]):
        command = [sys.executable, "-m", "diffilm_core.cli", "plan", str(story), *flags]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
        assert "meets" in done.stdout
    assert Storyboard.from_json(done.stdout).shots[0].prompt == "A fox 🦊 meets a Füchslein"


def test_clip_is_a_gif_named_after_the_prompt(model: Path, story: Path, capsys: Any) -> None:
    small = ("--model", model, "--frames", 3, "--fps", 4, "--steps", 1, "--device", "cpu")
    assert status("clip", "A fox,  in the snow!", *small) == 0
    assert capsys.readouterr().out == "a-fox-in-the-snow.gif\n"
    film = read("a-fox-in-the-snow.gif")
    assert (film.width, film.height, film.frames, film.fps) == (32, 32, 3, 4)
    assert status("clip", "a fox", "-o", "fox.mp4", "--size", "48x32", *small) == 0
    assert (read("fox.mp4").width, read("fox.mp4").height) == (48, 32)
    first = Path("fox.mp4").read_bytes()
    assert status("clip", "a fox", "-o", "fox.mp4", "--size", "48x32", *small) == 0
    assert Path("fox.mp4").read_bytes() == first
    assert status("clip", "a fox", "-o", "fox.mp4", "--size", "48x32", "--seed", 1, *small) == 0
    assert Path("fox.mp4").read_bytes() != first


def test_bars_of_a_clip_come_to_their_end(model: Path, story: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, int, int]] = []
    monkeypatch.setattr(Progress, "__call__", lambda _, stage, done, total, __: calls.append((stage, done, total)))
    assert status("clip", "a fox", "--model", model, "--frames", 3, "--steps", 2, "--device", "cpu") == 0
    last = {stage: (done, total) for stage, done, total in calls}
    assert last == {"sample": (2, 2), "write": (3, 3)}


@pytest.mark.parametrize(
    ("prompt", "name"),
    [
        ("A fox's den", "a-foxs-den"),
        ("../../etc/passwd", "etc-passwd"),
        ("!!!", "clip"),
        ("Ein Füchslein im Schnee", "ein-füchslein-im-schnee"),
        ("word " * 40, "-".join(["word"] * 12)),
        ("x" * 300, "x" * 60),
    ],
)
def test_slug(prompt: str, name: str) -> None:
    assert slug(prompt) == name


BAD_STORIES = [
    (b"", "is empty"),
    (b" \n\n", "is empty"),
    (b"...\n", "no words"),
    (b"\x89PNG\r\n\x1a\n\0\0", "is not text"),
    (b"the fox\0\0\0", "is not text"),
]


@pytest.mark.parametrize("command", ["movie", "plan"])
@pytest.mark.parametrize(("data", "match"), BAD_STORIES)
def test_bad_story(command: str, data: bytes, match: str, story: Path, model: Path, capsys: Any) -> None:
    story.write_bytes(data)
    assert status(command, story, *(("--model", model) if command == "movie" else ())) == 2
    assert match in one_line(capsys)
    assert not Path("movie.mp4").exists()


def test_story_that_is_not_there(story: Path, capsys: Any) -> None:
    assert status("plan", "none.txt") == 2
    assert "no story at none.txt" in one_line(capsys)
    assert status("movie", story.parent) == 2
    assert "is a folder" in one_line(capsys)
    assert status("plan", "x" * 300) == 2
    assert "File name too long" in one_line(capsys)
    with Path("film.mov").open("wb") as file:
        file.truncate(1 << 40)
    assert status("plan", "film.mov") == 2
    assert "more than 32 MiB" in one_line(capsys)
    Path("plan.json").write_text("{}")
    assert status("movie", "plan.json") == 2
    assert "shots" in one_line(capsys)


def broken_models(folder: Path, model: Path) -> dict[str, Path]:
    whole = model.read_bytes()
    files = {
        "truncated": whole[:-1000],
        "header": whole[:50],
        "text": b"not weights",
        "empty": b"",
        "zip": b"PK\3\4" * 99,
    }
    for name, data in files.items():
        (folder / f"{name}.safetensors").write_bytes(data)
    return {name: folder / f"{name}.safetensors" for name in files} | {"none": folder / "none.x", "folder": folder}


@pytest.mark.parametrize("command", ["movie", "clip"])
@pytest.mark.parametrize("kind", ["truncated", "header", "text", "empty", "zip", "none", "folder", "unknown"])
def test_bad_model_file(command: str, kind: str, story: Path, model: Path, capsys: Any) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(3)}, "unknown.safetensors")
    files = {**broken_models(story.parent, model), "unknown": Path("unknown.safetensors")}
    subject = story if command == "movie" else "a fox"
    assert status(command, subject, "-o", "out.mp4", "--model", files[kind], "--device", "cpu") == 2
    assert files[kind].name in one_line(capsys)
    assert not Path("out.mp4").exists()


@pytest.mark.parametrize("command", ["movie", "clip"])
@pytest.mark.parametrize(
    ("flags", "match"),
    [
        ("--size 33x32", "divisible by 16"),
        ("--size 0x32", "expected WIDTHxHEIGHT"),
        ("--size 128", "expected WIDTHxHEIGHT"),
        ("--frames 0", "at least 1"),
        ("--frames -4", "at least 1"),
        ("--frames few", "no whole number"),
        ("--fps 0", "above 0"),
        ("--fps nan", "above 0"),
        ("--steps 0", "at least 1"),
        ("--seed -1", "2**64"),
        ("--seed 18446744073709551616", "2**64"),
        ("--device toaster", "toaster"),
        ("-o out.avi", ".mp4"),
        ("-o nowhere/out.mp4", "nowhere"),
        (f"-o {'x' * 300}.mp4", "File name too long"),
        ("-o folder.mp4", "folder"),
        ("--colour red", "unrecognized arguments: --colour red"),
    ],
)
def test_bad_setting(command: str, flags: str, match: str, story: Path, model: Path, capsys: Any) -> None:
    Path("folder.mp4").mkdir()
    subject = story if command == "movie" else "a fox"
    assert status(command, subject, "--model", model, *flags.split()) == 2
    assert match in one_line(capsys)
    assert not [path for path in Path().rglob("*") if path.is_file() and path != Path("story.txt")]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that not even root writes to")
@pytest.mark.parametrize("command", ["movie", "clip"])
def test_folder_without_write_access(command: str, story: Path, model: Path, capsys: Any) -> None:
    assert status(command, story if command == "movie" else "a fox", "--model", model, "-o", "/proc/out.mp4") == 2
    assert "cannot write to /proc" in one_line(capsys)


def test_no_command_and_empty_prompt(capsys: Any) -> None:
    assert status() == 2
    assert "COMMAND" in one_line(capsys)
    assert status("clip", " ") == 2
    assert "empty" in one_line(capsys)
    assert status("film") == 2
    assert "invalid choice: 'film'" in one_line(capsys)


def test_help_is_quick() -> None:
    code = "import sys; from diffilm_core.cli import main\ntry: main(['movie', '-h'])\nfinally: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and "--style TEXT" in done.stdout
    assert not {"torch", "transformers", "av", "numpy"} & set(done.stdout.splitlines()[-1].split())


def test_threads_wait_briefly_unless_the_user_says_otherwise(story: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", {})
    assert status("plan", story) == 0 and os.environ == {"GOMP_SPINCOUNT": "10000"}
    for kept in ({"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}):
        monkeypatch.setattr(os, "environ", dict(kept))
        assert status("plan", story) == 0 and os.environ == kept


def test_cancelled_is_130(story: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise Cancelled

    monkeypatch.setattr(diffilm_core.movie, "make_movie", stop)
    assert status("movie", story) == 130
    assert capsys.readouterr().err == "diffilm: stopped\n"


@pytest.mark.parametrize("command", ["movie", "clip"])
def test_ctrl_c_leaves_no_half_written_file(command: str, story: Path, model: Path) -> None:
    subject = str(story) if command == "movie" else "a fox"
    flags = ["-o", "out.mp4", "--model", str(model), "--steps", "1000", "--size", "128x128", "--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-m", "diffilm_core.cli", command, subject, *flags],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    seen = ""
    while "sample:" not in seen:  # the bar is up
        letter = process.stderr.read(1)
        assert letter, seen
        seen += letter
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert process.stderr.read().splitlines()[-1] == "diffilm: stopped"
    assert not [path for path in Path().iterdir() if path.suffix == ".mp4" or ".part" in path.name]


def test_bar_shows_after_two_seconds(capsys: Any) -> None:
    with Progress() as progress:
        progress("quick", 0, 2, "")
        progress("quick", 2, 2, "")
        assert capsys.readouterr().err == ""
        progress.start = time.monotonic() - 10
        progress("slow", 0, 3, "shot 1")
        for done in (1, 2):
            time.sleep(1.1)
            progress("slow", done, 3, f"shot {done}")
    bar = capsys.readouterr().err
    assert "slow" in bar and "2/3" in bar and "shot 2" in bar
