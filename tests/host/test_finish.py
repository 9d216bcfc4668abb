"""Proves that any video is finished in ComfyUI in bounded memory, by our networks, and by what the host loads."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from hostkit import Server, api_workflow

from diffilm_core.frames import from_tensor, read, write

SECONDS = int(os.environ.get("DIFFILM_FINISH_SECONDS", "30"))
"""Length of the long clip, at 720p and 24 frames a second."""
MEGABYTE = 2**20


def clip(path: Path, width: int, height: int, frames: int, fps: int = 24, cuts: tuple[int, ...] = ()) -> Path:
    """A moving pattern that changes at the cuts, made a few frames at a time."""
    x, y = torch.arange(width) / width, torch.arange(height)[:, None] / height

    def frame(at: int) -> torch.Tensor:
        shot = sum(at >= cut for cut in cuts)
        wave = torch.sin(20 * (x + y * (0.5 + shot) + at * 0.004 * (1 - 2 * (shot % 2)))) * 0.4 + 0.5
        return torch.stack([wave, wave.roll(40 * (shot + 1), 1), 1 - wave], -1)

    def make():
        for start in range(0, frames, 8):
            yield torch.stack([frame(at) for at in range(start, min(start + 8, frames))])

    stream = from_tensor(torch.zeros(1, height, width, 3), fps).with_frames(make, frames=frames)
    return write(stream, path, crf=30)


def peak(server: Server, graph: dict) -> float:
    """The most memory that ComfyUI's process had while it ran `graph`, over what it had before, in MB."""
    status = Path(f"/proc/{server.process.pid}/status")
    if not status.exists():
        pytest.skip("needs Linux's /proc")
    Path(f"/proc/{server.process.pid}/clear_refs").write_text("5")
    before = _field(status, "VmRSS")
    server.run(graph)
    return (_field(status, "VmHWM") - before) / 1024


def _field(status: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(name))


def finish(name: str, **changes: object) -> dict:
    return api_workflow("finish_any_video", LoadVideo__file=name, **changes)


PLAIN = {"DiffilmInterpolateVideo__method": "blend", "DiffilmUpscaleVideo__method": "bicubic"}


def by_the_host(name: str, scale: float) -> dict:
    """The same with the host's own nodes, as far as it has them: pictures of every frame, scaled, a video again."""
    save = {"video": ["4", 0], "filename_prefix": "host", "format": "mp4", "codec": "h264"}
    return {
        "1": {"class_type": "LoadVideo", "inputs": {"file": name}},
        "2": {"class_type": "GetVideoComponents", "inputs": {"video": ["1", 0]}},
        "3": {
            "class_type": "ImageScaleBy",
            "inputs": {"image": ["2", 0], "upscale_method": "bicubic", "scale_by": scale},
        },
        "4": {"class_type": "CreateVideo", "inputs": {"images": ["3", 0], "fps": 24.0}},
        "5": {"class_type": "SaveVideo", "inputs": save},
    }


def test_half_a_minute_of_720p_in_bounded_memory(server: Server) -> None:
    """Ours on the whole clip, against the host's own nodes on a sixth of it, whose memory grows with the clip."""
    long, short = SECONDS * 24, SECONDS * 4
    clip(server.base / "input/long.mp4", 1280, 720, long)
    clip(server.base / "input/short.mp4", 1280, 720, short)
    size = {"DiffilmUpscaleVideo__width": 1920, "DiffilmUpscaleVideo__height": 1080}
    ours_short = peak(server, finish("short.mp4", **PLAIN, **size))
    ours = peak(server, finish("long.mp4", **PLAIN, **size))
    host = peak(server, by_the_host("short.mp4", 1.5))
    held = short * 3 * 4 * (1280 * 720 + 1920 * 1080) / MEGABYTE
    print(f"\nours {ours:.0f} MB ({long} frames; {ours_short:.0f} MB for {short}), host {host:.0f} MB for {short}")
    made = read(server.files(server.run(finish("long.mp4", **PLAIN, **size)))[0])
    assert (made.width, made.height, made.fps, made.frames) == (1920, 1080, Fraction(48), 2 * long)
    assert ours < 1500 and ours < 1.3 * ours_short + 200
    assert host > 0.8 * held > 1.5 * ours


def test_our_networks_on_a_second(server: Server) -> None:
    clip(server.base / "input/second.mp4", 320, 180, 24, cuts=(12,))
    made = read(server.files(server.run(finish("second.mp4")))[0])
    assert (made.width, made.height, made.fps, made.frames) == (640, 360, Fraction(48), 48)
    frames, source = made.collect(), read(server.base / "input/second.mp4").collect()
    small = torch.nn.functional.interpolate(frames.movedim(-1, 1), (180, 320), mode="area").movedim(1, -1)
    assert (small[::2] - source).abs().mean() < 0.03
    last, first = source[11], source[12]
    assert (small[23] - last).abs().mean() < 0.25 * (first - last).abs().mean()  # held, not mixed with the next shot
