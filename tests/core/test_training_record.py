"""Proves that a run writes its curves and samples, scales the gradients of fp16, and keeps its best and last states."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from diffilm_core.errors import DiffilmError
from diffilm_core.training.config import StageConfig
from diffilm_core.training.loop import Run, ValidatedRun
from diffilm_core.training.record import Record

CPU = torch.device("cpu")


def config(**more: object) -> StageConfig:
    return StageConfig(**{"steps": 4, "batch": 1, "lr": 1e-2, "warmup": 1, "precision": "fp32", **more})


def validated(net: nn.Module, out: Path, losses: list[float], **more: object) -> tuple[ValidatedRun, list[int]]:
    """A run that is validated after every step, with these figures; at which steps it kept its weights."""
    kept: list[int] = []
    run = ValidatedRun(
        "net", {"net": net}, config(**more), out, CPU,
        validation=lambda: {"loss": losses[run.step - 1]}, keep=lambda: kept.append(run.step), best="loss",
        samples=lambda: torch.full((2, 3, 3, 8, 8), 9, dtype=torch.uint8), validate_seconds=0.0,
    )  # fmt: skip
    advance = run.advance

    def advance_and_report(loss_of: Callable[[int], torch.Tensor]) -> torch.Tensor:
        made = advance(loss_of)
        run.report([made])
        return made

    run.advance = advance_and_report
    return run, kept


def test_curves_and_sheets_are_written(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    net = nn.Linear(2, 1)
    run, kept = validated(net, tmp_path, [3.0, 1.0, 2.0], steps=3)
    run.train(lambda number: net(torch.ones(2)).square().sum())
    assert kept == [1, 2], "the best one alone stays"
    events = accumulator.EventAccumulator(str(tmp_path / "log" / "net"), size_guidance={"images": 0}).Reload()
    assert set(events.Tags()["scalars"]) == {"loss", "learning rate", "steps a second", "validation/loss"}
    figures = {each.step: each.value for each in events.Scalars("validation/loss")}
    assert figures == {1: 3.0, 2: 1.0, 3: 2.0}
    losses, rates = ({each.step: each.value for each in events.Scalars(name)} for name in ("loss", "learning rate"))
    assert losses.keys() == {1, 2, 3} and losses[2] < losses[1]
    rates = list(rates.values())
    assert rates[0] == pytest.approx(1e-2) and rates == sorted(rates, reverse=True)
    assert {image.step for image in events.Images("samples")} == {1, 2, 3}
    with Image.open(tmp_path / "log" / "net-0000003.png") as sheet:
        assert sheet.size == (3 * 14 + 6, 2 * 14 + 6) and sheet.getpixel((8, 8)) == (9, 9, 9)


def test_without_tensorboard_the_log_says_so_once(tmp_path: Path, monkeypatch, caplog) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    record = Record(tmp_path, "net")
    with caplog.at_level(logging.INFO, "diffilm_core"):
        for step in range(3):
            record.figures(step, {"loss": 1.0})
        path = record.samples(3, torch.zeros(1, 2, 3, 8, 8, dtype=torch.uint8))
    assert caplog.text.count("pip install tensorboard") == 1 and path.is_file()


def test_a_run_that_goes_on_knows_of_its_best(tmp_path: Path) -> None:
    net = nn.Linear(2, 1)
    first, kept = validated(net, tmp_path, [3.0, 1.0], steps=5, keep=3)
    with pytest.raises(IndexError):  # it has no third figure: killed there
        first.train(lambda number: net(torch.ones(2)).square().sum())
    assert kept == [1, 2]
    assert {path.name for path in tmp_path.glob("*.ckpt")} == {"net.ckpt", "net.1.ckpt"}
    again, kept = validated(net, tmp_path, [2.0] * 5, steps=5, keep=3)
    again.train(lambda number: net(torch.ones(2)).square().sum())
    assert again.step == 5 and kept == [], "a worse state took the place of the best one"
    assert {path.name for path in tmp_path.glob("*.ckpt")} == {"net.ckpt", "net.1.ckpt", "net.2.ckpt"}


def test_fp16_skips_what_overflows_and_is_a_gpus(tmp_path: Path) -> None:
    net = nn.Linear(2, 1)
    with pytest.raises(DiffilmError, match="fp16 on cpu: it needs a GPU"):
        Run("net", {"net": net}, config(precision="fp16"), tmp_path, CPU)
    for other, words in (({"sharding": "fsdp"}, "use bf16"), ({"precision": "fp8"}, "auto or bf16 or fp16 or fp32")):
        with pytest.raises(DiffilmError, match=words):
            config(**{"precision": "fp16", **other})

    def scaled() -> Run:
        run = Run("net", {"net": net}, config(steps=3), tmp_path, CPU)
        run.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, growth_interval=1000)
        return run

    run = scaled()
    before = net.weight.detach().clone()
    run.advance(lambda number: (net(torch.ones(2)) * 1e30).square().sum())  # finite, its scaled gradient is not
    assert torch.equal(net.weight, before) and run.scaler.get_scale() == 2.0**9
    plain, inputs = nn.Linear(2, 1), torch.tensor([0.5, -1.0])
    plain.load_state_dict(net.state_dict())
    unscaled = Run("plain", {"net": plain}, config(steps=3), tmp_path, CPU)
    unscaled.step = run.step
    for each, module in ((run, net), (unscaled, plain)):
        each.advance(lambda number, module=module: module(inputs).square().sum())
    assert torch.allclose(net.weight, plain.weight, atol=1e-7) and not torch.equal(net.weight, before)
    moments = [each.optimizer.state[module.weight]["exp_avg"] for each, module in ((run, net), (unscaled, plain))]
    assert torch.allclose(*moments, rtol=1e-4), "gradients were clipped before they were unscaled"
    run.save()
    again = scaled()
    again.resume()
    assert again.scaler.get_scale() == 2.0**9


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_fp16_trains_on_a_gpu(tmp_path: Path) -> None:
    device = torch.device("cuda")
    net = nn.Linear(64, 64).to(device)
    losses: list[float] = []

    def loss_of(number: int) -> torch.Tensor:
        loss = (net(torch.ones(8, 64, device=device)) - 1).square().mean()
        losses.append(float(loss))
        return loss

    Run("net", {"net": net}, config(steps=60, precision="fp16"), tmp_path, device).train(loss_of)
    assert losses[-1] < 0.1 * losses[0]
