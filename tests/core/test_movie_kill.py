"""Proves that a movie that is killed at random moments and run again has the frames of an undisturbed one, with no
broken file under a final name and no finished part made twice; and that a full disk and damage cost only what they hit.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models import tiny_model

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL") or not hasattr(os, "fork"), reason="needs SIGKILL and fork")
@pytest.mark.parametrize("kills", [3, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_at_random_moments(model: Path, tmp_path: Path, kills: int) -> None:
    command = [sys.executable, "-m", "tests.core.kill_movie", str(model), str(tmp_path), str(kills), "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    lines = done.stdout.splitlines()
    counted = re.match(r"(\d+) kills of (\d+) movies, (\d+) with a saved step", lines[-1])
    assert len(lines) == 1 and counted is not None, "\n".join(lines)
    assert int(counted[1]) >= kills
    assert kills < 20 or int(counted[3]) > 0  # some died inside a shot
