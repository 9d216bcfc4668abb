"""Peak memory is a chunk and not the clip; a full disk is a one-line error that leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("resource")
ROOT = Path(__file__).parents[2]

PEAK = """
import sys, torch
from diffilm_core.frames import FrameStream, interpolate, upscale, write
from tests.peak import own_peak
def clip(frames):
    def make():
        for start in range(0, frames, 4):
            yield torch.rand(1, 1, 1, 3).expand(4, 128, 128, 3) * torch.linspace(0, 1, 128)[:, None]
    small = FrameStream(make, width=128, height=128, fps=8, frames=frames)
    return upscale(interpolate(small, 16), 2)
torch.set_num_threads(1)
write(clip(64), sys.argv[1] + "/warm.mp4")
before = own_peak() / 2**20
write(clip(400), sys.argv[1] + "/long.mp4")
print(own_peak() / 2**20 - before)
"""

FULL = """
import resource, sys, torch
from diffilm_core.errors import DiffilmError
from diffilm_core.frames import concat_files, from_tensor, spool, write
folder = sys.argv[1]
noise = from_tensor(torch.rand(32, 64, 64, 3), 8)
parts = [write(from_tensor(torch.rand(8, 64, 64, 3), 8), f"{folder}/{i}.mp4") for i in range(3)]
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
for job in (
    lambda: write(noise, folder + "/full.mp4"),
    lambda: write(noise, folder + "/full.gif"),
    lambda: write(noise, folder + "/full.webp"),
    lambda: concat_files(parts, folder + "/full.mp4"),
    lambda: spool(noise).collect(),
):
    try:
        job()
    except DiffilmError as error:
        print(error)
"""


def run(script: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_memory_does_not_grow_with_the_clip(tmp_path: Path) -> None:
    """800 frames of 256x256 are 600 MB in float32; writing them takes less than a tenth of that on top of 128."""
    assert float(run(PEAK, tmp_path)) < 60


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    lines = run(FULL, tmp_path).splitlines()
    assert len(lines) == 5 and all("cannot" in line and "expected" in line for line in lines)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.mp4", "1.mp4", "2.mp4"]
