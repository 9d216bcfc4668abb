"""Proves that whoever watches a run may stop it with all that was learnt kept, and that a Diffilm model's motion is a
file of its own, which fits no other model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from diffilm_core.checkpoints import inspect, load_motion
from diffilm_core.checkpoints.files import write_tensors
from diffilm_core.checkpoints.own_motion import PREFIX, save_own_motion
from diffilm_core.errors import DiffilmError
from diffilm_core.models import UNet, UNetConfig
from diffilm_core.models.motion import check_own
from diffilm_core.training.config import StageConfig
from diffilm_core.training.loop import Run


class Stop(Exception):
    pass


def run(folder: Path, steps: int = 4) -> Run:
    torch.manual_seed(0)
    stage = StageConfig(steps=steps, batch=1, lr=0.1, warmup=1, precision="fp32")
    return Run("tale", {"net": torch.nn.Linear(2, 2)}, stage, folder, torch.device("cpu"))


def stopped_at(step: int, made: Run, scale: float = 1.0) -> None:
    def watch(seen: Run) -> None:
        assert seen is made
        if seen.step == step:
            raise Stop

    made.watch = watch
    net = made.modules["net"]
    made.train(lambda number: (net(torch.ones(1, 2)) - number).square().mean() * scale)


def test_a_watcher_stops_a_run_and_what_was_learnt_is_kept(tmp_path: Path) -> None:
    whole, first, second = run(tmp_path / "a"), run(tmp_path / "b"), run(tmp_path / "b")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    stopped_at(9, whole)
    with pytest.raises(Stop):
        stopped_at(2, first)
    assert torch.load(first.path, weights_only=True)["step"] == 2
    stopped_at(9, second)
    assert second.step == 4 and second.left() == "0:00:00"
    for one, other in zip(whole.modules["net"].parameters(), second.modules["net"].parameters(), strict=True):
        assert torch.equal(one, other)


def test_what_is_not_finite_is_not_kept_when_it_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(DiffilmError, match="loss is nan"):
        stopped_at(2, run(tmp_path), float("nan"))
    assert not list(tmp_path.glob("*.ckpt"))


def network(width: int = 32) -> UNet:
    shape = UNetConfig(
        model_channels=width, channel_mult=(1, 2), num_res_blocks=1, transformer_depth=(1, 0), context_dim=16,
        head_dim=16, temporal="pseudo3d",
    )  # fmt: skip
    return UNet(shape)


def test_motion_of_a_diffilm_model_is_a_file_of_its_own(tmp_path: Path) -> None:
    unet = network()
    path = save_own_motion(tmp_path / "m.safetensors", unet.temporal_parameters(), {"steps": 3})
    info = inspect(path)
    assert (info.system, info.parts[0].role, info.missing, info.unexpected) == ("diffilm", "motion", [], [])
    found = load_motion(path, dtype=torch.float32)
    wanted = {name: value.detach().half().float() for name, value in unet.temporal_parameters().items()}
    assert found.state_dict().keys() == wanted.keys()
    assert all(torch.equal(value, wanted[name]) for name, value in found.state_dict().items())
    check_own(found, {name: tuple(value.shape) for name, value in unet.state_dict().items()})
    with pytest.raises(DiffilmError, match="the model that it was trained on"):
        check_own(found, {name: tuple(value.shape) for name, value in network(64).state_dict().items()})
    odd = write_tensors(tmp_path / "odd.safetensors", {f"{PREFIX}out.2.weight": torch.zeros(2)}, {})
    with pytest.raises(DiffilmError, match="no temporal layer"):
        load_motion(odd)
