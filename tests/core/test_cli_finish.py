"""Proves that `diffilm interpolate`, `upscale` and `describe` do what the library does, and refuse in one line."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from diffilm_core.cli.main import main
from diffilm_core.frames import from_tensor, interpolate, read, upscale, write
from diffilm_core.frames.stream import frame_hashes


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Two shots of six frames of a wave that moves, the second the negative of the first."""
    x, y = torch.arange(32) / 32, torch.arange(24)[:, None] / 24
    wave = torch.stack([torch.sin(7 * (x + y - 0.03 * at)) / 2 + 0.5 for at in range(6)])
    shot = wave[..., None].expand(-1, -1, -1, 3)
    frames = torch.cat([shot * torch.tensor([1.0, 0.6, 0.2]), (1 - shot) * torch.tensor([0.1, 0.3, 1.0])])
    return write(from_tensor(frames, 8), tmp_path / "clip.mkv")


def test_interpolate(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "more.mkv"
    assert main(["interpolate", str(clip), "-o", str(out), "--factor", "3/2", "--model", "blend"]) == 0
    made = read(out)
    assert (made.fps, made.frames) == (12, 18)
    source = read(clip)
    wanted = interpolate(source.with_frames(source.__iter__, cuts=[6]), 12)
    assert frame_hashes(made) == frame_hashes(write_and_read(wanted, tmp_path))
    assert main(["interpolate", str(clip), "-o", str(out), "--fps", "24", "--model", "blend", "--cuts", "none"]) == 0
    assert frame_hashes(read(out)) == frame_hashes(write_and_read(interpolate(source, 24), tmp_path))


def write_and_read(stream, folder: Path):
    return read(write(stream, folder / "wanted.mkv"))


def test_upscale(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "larger.mkv"
    assert main(["upscale", str(clip), "-o", str(out), "--size", "80x50", "--model", "bicubic"]) == 0
    assert frame_hashes(read(out)) == frame_hashes(write_and_read(upscale(read(clip), size=(80, 50)), tmp_path))


def test_upscale_with_the_network_that_ships(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "larger.mp4"
    assert main(["upscale", str(clip), "-o", str(out), "--scale", "2", "--strength", "0.5", "--steady", "0.3"]) == 0
    made = read(out)
    assert (made.width, made.height, made.frames, made.fps) == (64, 48, 12, Fraction(8))
    plain = upscale(read(clip), 2).collect()
    assert (made.collect() - plain).abs().mean() < 0.05


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["interpolate", "none.mp4", "-o", "OUT.mp4", "--fps", "24"], "none.mp4"),
        (["interpolate", "CLIP", "-o", "OUT.mp4"], "one of the arguments --fps --factor is required"),
        (["interpolate", "CLIP", "-o", "OUT.mp4", "--factor", "0"], "above 0"),
        (["interpolate", "CLIP", "-o", "CLIP", "--factor", "2", "--model", "blend"], "is the input"),
        (["interpolate", "CLIP", "-o", "OUT.mp4", "--factor", "2", "--model", "none.pkl"], "none.pkl"),
        (["upscale", "CLIP", "-o", "OUT.doc", "--scale", "2"], "suffix"),
        (["upscale", "CLIP", "-o", "OUT.mp4", "--scale", "2", "--model", "none.pth"], "none.pth"),
        (["upscale", "CLIP", "-o", "OUT.mp4", "--scale", "0.001"], "at least 1x1"),
        (["upscale", "CLIP", "-o", "OUT.mp4", "--scale", "2", "--model", "bicubic", "--steady", "1"], "below 1"),
        (["upscale", "CLIP", "-o", "OUT.mp4", "--scale", "2", "--strength", "2"], "strength"),
        (["upscale", "CLIP", "-o", "OUT.mp4", "--scale", "2", "--memory", "100MB"], "with the smallest settings"),
        (["interpolate", "CLIP", "-o", "OUT.mp4", "--fps", "24", "--model", "blend", "--memory", "lots"], "4GB"),
        (["describe", "CLIP", "--captioner", "none"], "config.json"),
    ],
)
def test_wrong_arguments_are_named_in_a_line(
    arguments: list[str], words: str, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(clip) if a == "CLIP" else str(tmp_path / a) if a.startswith("OUT") else a for a in arguments]
    try:
        status = main(given)
    except SystemExit as left:
        status = left.code
    said = capsys.readouterr().err.strip()
    assert status == 2 and words in said.splitlines()[-1] and "Traceback" not in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mkv"]


def test_describe(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    class Captioner:
        def caption(self, frames: torch.Tensor) -> str:
            return "there is a red wall" if frames[..., 0].mean() > frames[..., 2].mean() else "a blue wall"

    monkeypatch.setattr("diffilm_core.story.describe.load_captioner", lambda folder, device: Captioner())
    plan = tmp_path / "plan.json"
    story = tmp_path / "story.json"
    story.write_text('{"version": 1, "shots": [{"prompt": "a red wall"}, {"prompt": "a green wall"}]}')
    given = ["describe", str(clip), "--captioner", "x", "--plan", str(plan), "--against", str(story)]
    assert main([*given, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["text"] == "A red wall. A blue wall." and said["matches"] == [1.0, 0.5]
    assert [shot["frames"] for shot in said["shots"]] == [[0, 6], [6, 12]]
    assert [shot["prompt"] for shot in json.loads(plan.read_text())["shots"]] == ["A red wall", "A blue wall"]
    assert main(given) == 0
    assert "matches 50%" in capsys.readouterr().out
