"""Proves that `diffilm evaluate` measures what the library does, films a model's prompts and goes on where it was
stopped, and says in one line what is wrong or in a table what was left out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from diffilm_core.cli.main import main
from diffilm_core.frames import read
from diffilm_core.frames.stream import frame_hashes
from diffilm_core.metrics.evaluate import evaluate
from diffilm_core.metrics.options import Options
from diffilm_core.metrics.sets import Cut, open_set
from tests.core.metric_kit import clips, tiny_i3d
from tests.models import tiny_model

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DIFFILM_WEIGHTS", raising=False)
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    return tmp_path


@pytest.fixture
def sets(home: Path) -> tuple[str, str]:
    (home / "weights").mkdir()
    tiny_i3d(home / "weights" / "i3d_torchscript.pt")
    return str(clips(home / "made", 3, 1, frames=9)), str(clips(home / "real", 3, 2, frames=9))


def test_table_and_json(sets: tuple[str, str], capsys: Any) -> None:
    flags = ["--metrics", "fvd, psnr,fid", "--frames", "9", "--weights", "weights", "--rounds", "4", "--device", "cpu"]
    assert main(["evaluate", *sets, *flags, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    wanted = evaluate(
        *(open_set(each, Cut(frames=9)) for each in sets),
        metrics=["fvd", "psnr"], folder="weights", options=Options(rounds=4), device="cpu",
    )  # fmt: skip
    assert found["figures"].keys() == {"fvd", "psnr"}
    assert found["figures"]["fvd"]["value"] == pytest.approx(wanted["fvd"].spread.value)
    assert found["figures"]["fvd"]["interval"] == pytest.approx([wanted["fvd"].spread.low, wanted["fvd"].spread.high])
    assert found["settings"]["generated"] == {
        "path": sets[0], "items": 3, "kind": "clips", "frames": 9, "fps": None, "start": "first", "size": None,
    }  # fmt: skip
    assert found["left_out"]["fid"].startswith("Inception of FID is not there: ")
    assert main(["evaluate", *sets, *flags]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ["metric", "value", "95", "%", "interval", "items", "better"]
    assert out[2].split()[0] == "FVD" and out[3].startswith("PSNR (dB)")
    assert out[-1].startswith("left out: fid: Inception of FID is not there")


def test_pairs_of_another_size(sets: tuple[str, str], capsys: Any) -> None:
    flags = ["--metrics", "motion", "--size", "16x16", "--frames", "4", "--limit", "2", "--json"]
    assert main(["evaluate", sets[0], *flags]) == 0
    settings = json.loads(capsys.readouterr().out)["settings"]["generated"]
    assert (settings["items"], settings["frames"], settings["size"]) == (2, 4, [16, 16])


def test_a_model_with_prompts(home: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """One clip a prompt, seeds 5 and 6, kept with their words; a second run films only what is missing."""
    model = tiny_model(home / "model.safetensors")
    (home / "words.txt").write_text("a fox in the snow\nan owl at night\n")
    flags = ["--model", str(model), "--prompts", "words.txt", "--samples", "kept", "--seed", "5", "--device", "cpu"]
    flags += ["--frames", "4", "--json"]
    assert main(["evaluate", *flags]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["figures"]["motion"]["samples"] == 2 and "clipsim" in found["left_out"]
    assert sorted(path.name for path in (home / "kept").iterdir()) == [
        "00000.mkv", "00000.txt", "00001.mkv", "00001.txt", "samples.json",
    ]  # fmt: skip
    assert (home / "kept" / "00001.txt").read_text() == "an owl at night\n"
    main(
        [
            "clip",
            "an owl at night",
            "-o",
            "one.mkv",
            "--model",
            str(model),
            "--seed",
            "6",
            "--frames",
            "4",
            "--device",
            "cpu",
        ]
    )
    assert frame_hashes(read(home / "one.mkv")) == frame_hashes(read(home / "kept" / "00001.mkv"))
    first = (home / "kept" / "00000.mkv").stat().st_mtime_ns
    wanted = frame_hashes(read(home / "kept" / "00001.mkv"))
    (home / "kept" / "00001.mkv").unlink()
    capsys.readouterr()
    assert main(["evaluate", *flags]) == 0
    assert json.loads(capsys.readouterr().out)["figures"] == found["figures"]
    assert (home / "kept" / "00000.mkv").stat().st_mtime_ns == first
    assert frame_hashes(read(home / "kept" / "00001.mkv")) == wanted
    (home / "words.txt").write_text("a fox in the snow\na cat\n")
    assert main(["evaluate", *flags]) == 2
    assert "holds clips with other prompts than asked for" in capsys.readouterr().err


def test_a_protocol(home: Path, capsys: Any) -> None:
    model = tiny_model(home / "model.safetensors")
    for name in ("TaiChi", "YoYo"):
        clips(home / "ucf" / name, 1, 1, frames=4)
    (home / "p.toml").write_text(
        'name = "small"\nsources = ["none"]\nmetrics = ["motion", "psnr"]\nchoose = "classes"\nsamples = 3\n'
        'frames = 4\nsize = [16, 16]\ndiffers = ["all of it"]\n'
    )
    flags = ["--model", str(model), "--protocol", "p.toml", "--samples", "kept", "--device", "cpu"]
    assert main(["evaluate", "ucf", *flags, "--metrics", "motion"]) == 0
    assert "unlike the papers: all of it" in capsys.readouterr().out
    words = [(home / "kept" / f"{at:05d}.txt").read_text().strip() for at in range(3)]
    assert words in (["tai chi", "tai chi", "yo yo"], ["tai chi", "yo yo", "yo yo"])
    assert main(["evaluate", "ucf", *flags]) == 2
    assert "metric psnr needs pairs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "nothing to measure: give a file or a folder"),
        (["none"], "none: no such file or folder"),
        (["made", "--metrics", "fvd"], "metric fvd needs a real set"),
        (["made", "--frames", "x"], "--frames x: expected a whole number"),
        (["made", "--steps", "3"], "--samples and --steps are for filming"),
        (["made", "real", "--model", "m"], "expected at most one, the real set"),
        (["--model", "shipped"], "give --prompts FILE"),
        (["made", "--frames", "40"], "000.mkv has 9 frames, expected 40"),
        (["made", "--frames", "9", "--protocol", "none.toml"], "protocol none.toml cannot be read"),
        (["made", "--frames", "9", "--weights", "none"], "weights folder none: no such folder"),
        (["made", "--rounds", "-1"], "-1 rounds"),
    ],
)
def test_wrong(flags: list[str], words: str, sets: tuple[str, str], capsys: Any) -> None:
    assert main(["evaluate", *flags]) == 2
    said = capsys.readouterr()
    assert words in said.err and said.err.count("\n") == 1 and not said.out


def test_ctrl_c(home: Path) -> None:
    """One line and 130, no traceback, and the finished clips are kept."""
    model = tiny_model(home / "model.safetensors")
    (home / "words.txt").write_text("a fox\n" * 500)
    flags = ["--model", str(model), "--prompts", "words.txt", "--samples", "kept", "--frames", "4", "--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-m", "diffilm_core.cli", "evaluate", *flags],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    seen = ""
    while "sample" not in seen:
        letter = process.stderr.read(1)
        assert letter, seen
        seen += letter
    process.send_signal(signal.SIGINT)
    out, rest = process.communicate(timeout=60)
    assert process.returncode == 130 and not out
    assert rest.splitlines()[-1] == "diffilm: stopped" and "Traceback" not in rest
    assert not [path for path in (home / "kept").iterdir() if ".part" in path.name]
