"""Proves that the peak memory of decode, interpolate x4, upscale x4 and encode does not grow with the film, and stays
under the bound that a user sets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.peak import needs_proc

pytestmark = needs_proc
ROOT = Path(__file__).parents[2]
BOUND = "1.2GB"

CHILD = """
import sys, torch
import torch.nn.functional as F
from torch import nn
from diffilm_core.frames import FrameStream, decode, interpolate, upscale, write
from diffilm_core.frames.memory import plan_memory
from tests.peak import own_peak

class Decoder:
    downscale = 8
    def decode(self, z):
        return F.interpolate(z, scale_factor=8.0, mode="nearest")

class Between(nn.Module):
    fingerprint = name = "between"
    batch = 2
    def between(self, first, second, t):
        return torch.lerp(first, second, t[:, None, None, None])

class Larger(nn.Module):
    fingerprint = name = "larger"
    scale, radius, batch = 2, 1, 2
    def upscale(self, frames):
        return F.interpolate(frames[:, 1], scale_factor=2.0, mode="nearest")

torch.set_num_threads(1)
frames = int(sys.argv[1])
clip = decode(Decoder(), torch.linspace(-1, 1, 3 * frames * 64).reshape(3, frames, 8, 8), 4)
between, larger = plan_memory(clip, sys.argv[3], interpolator=Between(), upscaler=Larger(), size=(256, 256))
film = interpolate(clip, 16, model=Between(), fit=between)
write(upscale(film, 4, model=Larger(), fit=larger), sys.argv[2])
print(own_peak())
"""


@pytest.mark.slow
def test_five_minutes_take_the_memory_of_five_seconds(tmp_path: Path) -> None:
    """20 and 1,200 frames of 64x64 at 4 a second; 4,800 frames of 256x256 would be 3.8 GB."""
    peaks = []
    for frames in (20, 1200):
        command = [sys.executable, "-c", CHILD, str(frames), str(tmp_path / f"{frames}.mp4"), BOUND]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout))
    print([f"{peak / 2**20:.0f} MiB" for peak in peaks], f"{peaks[1] / peaks[0]:.3f}")
    assert peaks[1] <= 1.15 * peaks[0]
    assert peaks[1] < 1.2e9
