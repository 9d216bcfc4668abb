"""Proves that two processes with half of each batch train what one with all of it does (float64, 20 steps, 1e-6) and
save the same file, whether each has the whole model (DDP) or a slice of it (FSDP)."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from diffilm_core.bundle import read_model
from diffilm_core.errors import DiffilmError
from diffilm_core.frames import from_tensor, write
from diffilm_core.models import UNet, UNetConfig
from diffilm_core.models.vdm import VDMConfig, VDMUNet
from diffilm_core.training.config import StageConfig
from diffilm_core.training.loop import ValidatedRun
from diffilm_core.training.processes import Processes, launched
from diffilm_core.training.shards import units
from tests.models import tiny_model

ROOT = Path(__file__).parents[2]


TWO = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")


@pytest.fixture(scope="module")
def train(tmp_path_factory: pytest.TempPathFactory):
    """`train(out, *launcher, **changes)`: `diffilm train` of stage `video` in float64; its checkpoint and result."""
    root = tmp_path_factory.mktemp("runs")
    (root / "clips").mkdir()
    for number in range(3):
        frames = torch.rand(12, 40, 40, 3, generator=torch.Generator().manual_seed(number))
        write(from_tensor(frames.cumsum(0) / 12, 8), root / "clips" / f"{number}.mp4")
    settings = {
        "base.model": tiny_model(root / "tiny.safetensors"), "data.clips": root / "clips", "data.width": 32,
        "data.height": 32, "data.frames": 4, "data.workers": 0, "train.steps": 20, "train.batch": 4, "train.lr": 1e-3,
        "train.precision": "fp32", "train.warmup": 1,
    }  # fmt: skip

    def run(out: str, *launcher: str, **changes: object) -> tuple[dict, dict[str, torch.Tensor]]:
        program = [*(launcher or (sys.executable,)), str(ROOT / "tests" / "core" / "train_in_double.py")]
        arguments = ["train", str(ROOT / "configs" / "motion.toml"), "-o", str(root / out), "--device", "cpu"]
        own = settings | {f"train.{name}": value for name, value in changes.items()}
        env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
        arguments += [f"--set={key}={value}" for key, value in own.items()]
        ran = subprocess.run([*program, *arguments], env=env, capture_output=True, text=True, timeout=280)
        assert ran.returncode == 0, ran.stderr[-3000:]
        state = torch.load(root / out / "motion.ckpt", weights_only=True)
        return state, read_model(root / out / "motion.safetensors")[0]

    run.root = root
    return run


@pytest.fixture(scope="module")
def one(train):
    return train("one")


def same(one: object, other: object, most: float = 1e-6) -> None:
    """Nested dicts and lists with the same keys, shapes and dtypes, and numbers at most `most` apart."""
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert one.shape == other.shape and one.dtype == other.dtype
        assert not one.numel() or float((one.double() - other.double()).abs().max()) <= most
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one.keys() - {"seconds"}:
            same(one[key], other[key], most)
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            same(a, b, most)
    elif isinstance(one, float):
        assert one == other or abs(one - other) <= most
    else:
        assert one == other


@pytest.mark.slow
@pytest.mark.parametrize("sharding", ["ddp", "fsdp"])
def test_two_processes_train_what_one_does(train, one, sharding: str) -> None:
    state, result = train(sharding, *TWO, sharding=sharding)
    assert state["step"] == 20 and all(each.dtype == torch.float64 for each in state["modules"]["unet"].values())
    same(state, one[0])
    same(result, one[1], most=1e-3)  # float16, where 1e-9 apart may be the next number
    assert (train.root / sharding / "log" / "motion-0000020.png").is_file()


class Blocks(nn.Module):
    """Two blocks in a list, a frozen layer and a parameter of its own, none of a size that two divides."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.first = nn.Linear(3, 5).requires_grad_(False)
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(5, 5), nn.SiLU()) for _ in range(2)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x * self.scale)
        for block in self.blocks:
            x = block(x)
        return x


class Pixels(VDMUNet):
    """A Video Diffusion Model that is called as `Blocks` is."""

    def __init__(self) -> None:
        super().__init__(VDMConfig(dim=8, dim_mults=(1, 2), cond_dim=3, heads=2, head_dim=8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        clip = x[:, :, None, None, None] * torch.linspace(-1, 1, 32, dtype=x.dtype).view(2, 4, 4)
        return super().forward(clip, torch.full((len(x),), 3.0), x, drop=x[:, 0] > 0)


def train_one(
    kind: type[nn.Module], out: Path, steps: int, sharding: str = "ddp", rank: int = 0, count: int = 1
) -> None:
    """A run on samples of their own number, validated after every step; the best weights in `best.pt`."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), "GLOO_SOCKET_IFNAME": "lo"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(29500 + os.getppid() % 2000)}
    torch.set_num_threads(1)
    processes, device = launched(torch.device("cpu"), sharding)
    torch.manual_seed(5)
    net = kind().double()
    network, share = processes.prepared(net), processes.share(4)

    def loss(x: torch.Tensor) -> torch.Tensor:
        return (network(x) - 1).square().mean()

    def loss_of(number: int) -> torch.Tensor:
        x = torch.randn(4, 3, generator=torch.Generator().manual_seed(number)).double()
        return loss(x[rank * share :][:share])

    def validation() -> dict[str, float]:
        with torch.no_grad():
            return {"loss": float(loss(torch.ones(2, 3).double())) + 10 * (run.step % 2)}  # odd steps are not kept

    def keep() -> None:
        torch.save({"step": run.step, **{n: p.detach().clone() for n, p in net.named_parameters()}}, out / "best.pt")

    config = StageConfig(steps=steps, batch=4, lr=1e-2, warmup=1, precision="fp32", ema=0.6, sharding=sharding)
    run = ValidatedRun(
        "blocks", {"net": net}, config, out, device, validation=validation, keep=keep, best="loss",
        validate_seconds=0.0, processes=processes,
    )  # fmt: skip
    advance = run.advance

    def advance_and_report(loss_of: Callable[[int], torch.Tensor]) -> torch.Tensor:
        made = advance(loss_of)
        run.report([made])
        return made

    run.advance = advance_and_report
    run.train(loss_of)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "most"), [(Blocks, 1e-12), (Pixels, 1e-6)])  # its rotary positions are float32
def test_a_sharded_run_is_saved_validated_and_taken_up_as_a_whole_one(kind, most: float, tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")

    def trained(out: str, steps: int, count: int, start: str = "") -> tuple[dict, dict]:
        (tmp_path / out).mkdir()
        if start:
            shutil.copy(tmp_path / start / "blocks.ckpt", tmp_path / out)
        sharding = "fsdp" if count > 1 else "ddp"
        started = [
            fork.Process(target=train_one, args=(kind, tmp_path / out, steps, sharding, rank, count))
            for rank in range(count)
        ]
        for process in started:
            process.start()
        for process in started:
            process.join(280)
        assert [process.exitcode for process in started] == [0] * count
        state, best = (torch.load(tmp_path / out / name, weights_only=True) for name in ("blocks.ckpt", "best.pt"))
        return state, best

    whole = trained("whole", 4, 1)
    same(trained("slices", 4, 2), whole, most)
    same(trained("onwards", 6, 2, start="whole"), trained("whole onwards", 6, 1, start="slices"), most)


def test_what_is_gathered_at_a_time_are_blocks_that_are_called() -> None:
    unet = UNet(UNetConfig(model_channels=32, channel_mult=(1, 2), num_res_blocks=1, transformer_depth=(1, 0)))
    for net, count in ((unet, len(unet.input_blocks) + 1 + len(unet.output_blocks)), (Pixels(), 18), (Blocks(), 2)):
        found = list(units(net))
        assert len(found) == count and all(type(each).forward is not nn.Module.forward for each in found)
        inside = [id(p) for each in found for p in each.parameters()]
        assert len(inside) == len(set(inside)), "a parameter is gathered twice"


def test_a_batch_that_cannot_be_parted_is_named() -> None:
    assert Processes(1, 2).share(4) == 2
    with pytest.raises(DiffilmError, match="multiple of 2"):
        Processes(0, 2).share(3)
    assert launched(torch.device("cpu")) == (Processes(), torch.device("cpu"))
