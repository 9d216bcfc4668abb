"""Proves that two processes with half of each batch train what one with all of it does (float64, 20 steps, 1e-6)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from diffilm_core.errors import DiffilmError
from diffilm_core.frames import from_tensor, write
from diffilm_core.training.processes import Processes, launched
from tests.models import tiny_model

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_two_processes_train_what_one_does(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    for number in range(3):
        frames = torch.rand(12, 40, 40, 3, generator=torch.Generator().manual_seed(number))
        write(from_tensor(frames.cumsum(0) / 12, 8), tmp_path / "clips" / f"{number}.mp4")
    model = tiny_model(tmp_path / "tiny.safetensors")
    settings = {
        "base.model": model, "data.clips": tmp_path / "clips", "data.width": 32, "data.height": 32, "data.frames": 4,
        "data.workers": 0, "train.steps": 20, "train.batch": 4, "train.lr": 1e-3, "train.precision": "fp32",
        "train.warmup": 1,
    }  # fmt: skip

    def train(out: str, *launcher: str) -> dict[str, torch.Tensor]:
        program = [*launcher, str(ROOT / "tests" / "core" / "train_in_double.py")]
        arguments = ["train", str(ROOT / "configs" / "motion.toml"), "-o", str(tmp_path / out), "--device", "cpu"]
        changes = [f"--set={key}={value}" for key, value in settings.items()]
        env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
        ran = subprocess.run([*program, *arguments, *changes], env=env, capture_output=True, text=True, timeout=280)
        assert ran.returncode == 0, ran.stderr[-3000:]
        return torch.load(tmp_path / out / "motion.ckpt", weights_only=True)["modules"]["unet"]

    one = train("one", sys.executable)
    two = train("two", sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    assert one.keys() == two.keys()
    assert all(tensor.dtype == torch.float64 for tensor in one.values())
    assert max(float((one[name] - two[name]).abs().max()) for name in one) < 1e-6
    fresh = torch.load(tmp_path / "one" / "motion.ckpt", weights_only=True)
    assert fresh["step"] == 20


def test_a_batch_that_cannot_be_parted_is_named() -> None:
    assert Processes(1, 2).share(4) == 2
    with pytest.raises(DiffilmError, match="multiple of 2"):
        Processes(0, 2).share(3)
    assert launched(torch.device("cpu")) == (Processes(), torch.device("cpu"))
