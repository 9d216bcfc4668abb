"""Seconds and peak memory of one pass of a published UNet, ours beside diffusers', with the same random weights.

    python benchmarks/unet.py [modelscope|animatediff] [--frames 16] [--size 256x256] [--threads 2] [--repeat 2]
                              [--rounds 1] [--device cpu] [--dtype float32] [--only ours|diffusers]

Each runs in a process of its own, in turn, `--rounds` times; the best time counts. Peak memory is what the process took
above its size with the weights loaded; `mean` that of the output's magnitude, the same for both (but for AnimateDiff,
whose motion modules diffusers normalises over all frames together, not one by one as they were trained). `gflops` is a
plain matrix product's rate in the same run, `share` the part of it that the pass reached (its products alone counted).
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
from diffilm_core.models.temporal.animatediff import frame_positions

M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
Pass = Callable[[Tensor, Tensor, Tensor], Tensor]


def modelscope() -> tuple[Any, dict[str, Any]]:
    import diffusers

    return diffusers.UNet3DConditionModel, {}


def animatediff() -> tuple[Any, dict[str, Any]]:
    import diffusers

    return diffusers.UNetMotionModel, {"cross_attention_dim": 768, "use_motion_mid_block": False}


def any_unet(weights: dict[str, Tensor], device: str) -> Any:
    from diffilm_core.checkpoints import load_unet

    return load_unet(weights, device=device)


def unet_with_motion(weights: dict[str, Tensor], device: str) -> Any:
    """Image model and motion modules, which are published apart."""
    from diffilm_core.checkpoints import load_motion, load_unet
    from diffilm_core.models.motion import put_motion

    motion = {name: tensor for name, tensor in weights.items() if ".motion_modules." in name}
    image = {name: tensor for name, tensor in weights.items() if name not in motion}
    for name, tensor in motion.items():
        if name.endswith(".pe"):
            tensor.copy_(frame_positions(*tensor.shape[1:]))
    return put_motion(load_unet(image), load_motion(motion)).to(device)


@dataclass(frozen=True)
class System:
    """`reference()`: diffusers' class and its options; the width of a text token; a pass's work at 16x256x256; how ours
    is made of those weights; whether diffusers' takes the text once a frame."""

    reference: Callable[[], tuple[Any, dict[str, Any]]]
    context: int
    tflop: float
    ours: Callable[[dict[str, Tensor], str], Any] = any_unet
    text_a_frame: bool = False


SYSTEMS = {
    "modelscope": System(modelscope, 1024, 4.89),
    "animatediff": System(animatediff, 768, 4.04, unet_with_motion, True),
}


def random_weights(kind: Any, options: dict[str, Any], dtype: torch.dtype) -> dict[str, Tensor]:
    """Weights of a spread that keeps activations near 1, so that no time goes into denormals or infinities."""
    with torch.device("meta"):
        shapes = {name: tensor.shape for name, tensor in kind(**options).state_dict().items()}
    torch.manual_seed(0)
    weights = {}
    for name, shape in shapes.items():
        spread = 0.02 if len(shape) < 2 else (1 / shape[1:].numel()) ** 0.5
        centre = 1 if "norm" in name and name.endswith("weight") else 0
        weights[name] = (torch.randn(shape) * spread + centre).to(dtype)
    return weights


def build(args: argparse.Namespace) -> Pass:
    """One network on the device, as `(x, timesteps, context) -> output`."""
    kind, options = SYSTEMS[args.system].reference()
    weights = random_weights(kind, options, getattr(torch, args.dtype))
    if args.only == "ours":
        return SYSTEMS[args.system].ours(weights, args.device)
    with torch.device("meta"):
        network = kind(**options)
    network.load_state_dict(weights, assign=True)
    network.eval().requires_grad_(False).to(args.device)
    times = args.frames if SYSTEMS[args.system].text_a_frame else 1
    return lambda x, t, context: network(x, t, context.repeat_interleave(times, 0)).sample


class Peak:
    """The largest resident size of this process over a while, or of the device's allocations, in bytes."""

    def __init__(self, device: str) -> None:
        self.cuda = device.startswith("cuda")
        self.seen, self.running = 0, True

    def _resident(self) -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    def _watch(self) -> None:
        while self.running:
            self.seen = max(self.seen, self._resident())
            time.sleep(0.002)

    def __enter__(self) -> Peak:
        if self.cuda:
            torch.cuda.reset_peak_memory_stats()
            self.start = torch.cuda.memory_allocated()
        else:
            gc.collect()
            # what is freed goes back at once: neither what loading left nor the holes of the heap count
            ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 20)
            ctypes.CDLL(None).malloc_trim(0)
            self.start = self._resident()
            self.thread = threading.Thread(target=self._watch)
            self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.running = False
        if self.cuda:
            self.seen = torch.cuda.max_memory_allocated()
        else:
            self.thread.join()
            ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 32 << 20)
        self.bytes = self.seen - self.start


def wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize()


def matrix_rate(device: str, dtype: torch.dtype) -> float:
    """GFLOP/s of a matrix product on this device."""
    size = 8192 if device.startswith("cuda") else 2048
    a = torch.rand(size, size, device=device, dtype=dtype)
    a @ a
    wait(device)
    began = time.perf_counter()
    for _ in range(5):
        a @ a
    wait(device)
    return 5 * 2 * size**3 / (time.perf_counter() - began) / 1e9


def measure(args: argparse.Namespace) -> dict[str, float]:
    """Figures of one network in this process."""
    torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    dtype = getattr(torch, args.dtype)
    run = build(args)
    width, height = (int(side) // 8 for side in args.size.split("x"))
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, 4, args.frames, height, width, generator=generator).to(args.device, dtype)
    context = torch.randn(1, 77, SYSTEMS[args.system].context, generator=generator).to(args.device, dtype)
    t = torch.tensor([500.0], device=args.device)
    with Peak(args.device) as peak:
        out = run(x, t, context)
        wait(args.device)
    seconds, busy = [], []
    for _ in range(args.repeat):
        began, cpu = time.perf_counter(), time.process_time()
        run(x, t, context)
        wait(args.device)
        seconds.append(time.perf_counter() - began)
        busy.append(time.process_time() - cpu)
    rate = matrix_rate(args.device, dtype)
    figures = {
        "seconds": min(seconds), "cpu_seconds": min(busy), "peak_mib": peak.bytes / 2**20,
        "mean": float(out.double().abs().mean()), "gflops": rate,
    }  # fmt: skip
    if (args.frames, args.size) == (16, "256x256"):
        figures["share"] = SYSTEMS[args.system].tflop * 1e3 / min(seconds) / rate
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("system", nargs="?", default="modelscope", choices=list(SYSTEMS))
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--size", default="256x256")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--only", choices=("ours", "diffusers"))
    args = parser.parse_args()
    if args.only:
        print(json.dumps(measure(args)))
        return
    figures: dict[str, list[dict[str, float]]] = {"diffusers": [], "ours": []}
    for _ in range(args.rounds):
        for who, found in figures.items():
            command = [sys.executable, __file__, *sys.argv[1:], "--only", who]
            found.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    best = {who: {key: min(each[key] for each in found) for key in found[0]} for who, found in figures.items()}
    for who, found in best.items():
        print(who, {key: round(value, 4) for key, value in found.items()})
    for key in ("seconds", "cpu_seconds", "peak_mib"):
        print(f"ours / diffusers, {key}: {best['ours'][key] / best['diffusers'][key]:.3f}")


if __name__ == "__main__":
    main()
