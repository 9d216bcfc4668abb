"""Clips a second and peak memory of stage video's training, ours beside a plain loop with diffusers' own classes.

    python benchmarks/train.py [--channels 320,640,1280,1280] [--frames 16] [--size 256x256] [--batch 1] [--steps 10]
                               [--precision fp32|bf16] [--device cpu] [--threads 2] [--rounds 2] [--write]

Both train AnimateDiff's motion modules in a Stable Diffusion 1.x UNet of the same random weights, on the same latents,
with AdamW and gradients clipped to 1. Ours is the stage's own loop (`training.loop.Run`), which also keeps averaged
weights (EMA); diffusers' is UNetMotionModel, DDPMScheduler and a for loop, as its examples are written. Each runs in a
process of its own, in turn, `--rounds` times; the best time counts, after a first step that does not. Peak memory is
the process's own (VmHWM), on a GPU what torch allocated. `loss`: the mean over the steps, about the same for both.
`--write` puts the table into docs/training.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.unet import random_weights, unet_with_motion

PAGE = Path(__file__).resolve().parents[1] / "docs/training.md"
MARKS = "<!-- benchmarks/train.py: begin -->", "<!-- benchmarks/train.py: end -->"
CONTEXT = 768
RATE = 1e-4
NAMES = {"ours": "Diffilm, stage video", "diffusers": "diffusers, plain loop"}


def options(args: argparse.Namespace) -> dict[str, Any]:
    """Those of diffusers' UNetMotionModel."""
    channels = tuple(int(each) for each in args.channels.split(","))
    return {"block_out_channels": channels, "cross_attention_dim": CONTEXT, "use_motion_mid_block": False}


def batch_of(args: argparse.Namespace, number: int) -> tuple[Tensor, Tensor]:
    """Latents `(b, c, t, h, w)` and the text `(b, l, d)` of a step."""
    width, height = (int(each) // 8 for each in args.size.split("x"))
    generator = torch.Generator().manual_seed(number)
    latents = torch.randn(args.batch, 4, args.frames, height, width, generator=generator)
    return latents.to(args.device), torch.zeros(args.batch, 77, CONTEXT, device=args.device)


class Clock:
    """Seconds of the steps after the first."""

    def __init__(self, device: str) -> None:
        self.cuda = device.startswith("cuda")
        self.times: list[float] = []

    def __call__(self, *_: Any) -> None:
        if self.cuda:
            torch.cuda.synchronize()
        self.times.append(time.perf_counter())

    def step(self) -> float:
        return (self.times[-1] - self.times[0]) / (len(self.times) - 1)


def train_ours(args: argparse.Namespace, weights: dict[str, Tensor], clock: Clock) -> list[float]:
    from diffilm_core.sampling import NoiseSchedule
    from diffilm_core.training.config import StageConfig
    from diffilm_core.training.loop import Run
    from diffilm_core.training.objective import Objective

    unet = unet_with_motion(weights, args.device).requires_grad_(False)
    for parameter in unet.temporal_parameters().values():
        parameter.requires_grad_(True)
    objective, losses = Objective(NoiseSchedule.create("linear"), "eps"), []

    def loss_of(number: int) -> Tensor:
        latents, context = batch_of(args, number)
        noise, t = objective.draw(latents.shape, device=latents.device)
        loss = objective.loss(lambda x, t: unet(x, t, context), latents, noise, t)
        losses.append(loss.detach())
        return loss

    stage = StageConfig(steps=args.steps + 1, batch=args.batch, lr=RATE, warmup=1, precision=args.precision)
    with tempfile.TemporaryDirectory() as folder:
        run = Run("motion", {"unet": unet}, stage, Path(folder), torch.device(args.device), save_seconds=1e9)
        run.watch = clock
        run.save = lambda: None  # type: ignore[method-assign]
        run.train(loss_of)
    return [float(each) for each in losses]


def train_diffusers(args: argparse.Namespace, weights: dict[str, Tensor], clock: Clock) -> list[float]:
    import diffusers

    with torch.device("meta"):
        unet = diffusers.UNetMotionModel(**options(args))
    unet.load_state_dict(weights, assign=True)
    unet.to(args.device).requires_grad_(False).train()
    trained = [p for name, p in unet.named_parameters() if ".motion_modules." in name]
    for parameter in trained:
        parameter.requires_grad_(True)
    noises = diffusers.DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="linear")
    optimizer, losses = torch.optim.AdamW(trained, lr=RATE), []
    device = torch.device(args.device)
    for number in range(args.steps + 1):
        latents, context = batch_of(args, number)
        noise = torch.randn_like(latents)
        t = torch.randint(1000, (args.batch,), device=device)
        with torch.autocast(device.type, torch.bfloat16, enabled=args.precision == "bf16"):
            noisy = noises.add_noise(latents, noise, t)
            found = unet(noisy, t, context.repeat_interleave(args.frames, 0)).sample
            loss = torch.nn.functional.mse_loss(found.float(), noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.detach())
        clock()
    return [float(each) for each in losses]


TRAIN: dict[str, Callable[..., list[float]]] = {"ours": train_ours, "diffusers": train_diffusers}


def peak(device: str) -> int:
    """Bytes: this process's own peak, or the GPU's."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated()
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        raise SystemExit("peaks of memory are read from /proc, which Linux has")
    return int(found[1]) * 1024


def child(args: argparse.Namespace) -> None:
    import diffusers

    torch.set_num_threads(args.threads)
    weights = random_weights(diffusers.UNetMotionModel, options(args), torch.float32)
    torch.manual_seed(0)
    clock = Clock(args.device)
    losses = TRAIN[args.only](args, weights, clock)
    print(json.dumps({"step": clock.step(), "peak": peak(args.device), "loss": sum(losses) / len(losses)}))


def measured(args: argparse.Namespace, only: str) -> dict[str, float]:
    """The best of the rounds' figures."""
    command = [sys.executable, __file__, *sys.argv[1:], "--only", only]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def table(args: argparse.Namespace, found: dict[str, list[dict[str, float]]]) -> str:
    where = torch.cuda.get_device_name() if args.device.startswith("cuda") else f"{args.threads} threads of a CPU"
    lines = [
        f"UNet of {args.channels} channels, {args.frames} frames of {args.size}, batch {args.batch}, {args.precision}, "
        f"{args.steps} steps on {where}, torch {torch.__version__}:", "",
        "| | clips a second | peak memory | loss |", "|---|---|---|---|",
    ]  # fmt: skip
    for name, rounds in found.items():
        rate = args.batch / min(each["step"] for each in rounds)
        memory = max(each["peak"] for each in rounds) / 2**30
        lines.append(f"| {NAMES[name]} | {rate:.4g} | {memory:.2f} GiB | {rounds[0]['loss']:.3f} |")
    return "\n".join(lines)


def put(text: str) -> None:
    """The table into the page, between its marks; at its end where it has none."""
    page = PAGE.read_text("utf-8") if PAGE.is_file() else "# Training\n"
    block = f"{MARKS[0]}\n{text}\n{MARKS[1]}"
    if MARKS[0] in page:
        head, rest = page.split(MARKS[0], 1)
        page = head + block + rest.split(MARKS[1], 1)[1]
    else:
        page = (
            f"{page.rstrip()}\n\n## Speed\n\n`python benchmarks/train.py`, beside a plain diffusers loop:\n\n{block}\n"
        )
    PAGE.write_text(page, "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--channels", default="320,640,1280,1280", help="of the UNet's four levels")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", default="256x256", help="pixels; an eighth of them in latents")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="put the table into docs/training.md")
    parser.add_argument("--only", choices=tuple(TRAIN), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.only:
        child(args)
        return
    found: dict[str, list[dict[str, float]]] = {name: [] for name in TRAIN}
    for _ in range(args.rounds):
        for name, rounds in found.items():
            rounds.append(measured(args, name))
    text = table(args, found)
    print(text)
    if args.write:
        put(text)


if __name__ == "__main__":
    main()
