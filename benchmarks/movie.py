"""Seconds and peak memory of each stage of one shot of a model, on this machine.

    python benchmarks/movie.py [--model FILE] [--size 128x128] [--frames 16] [--threads 2] [--repeat 3]

Stages run one after the other in a process each, so that the peak of one does not hide another's. The reference for
time is a plain 1024x1024 float32 matrix product on the same threads, measured in the same run: `gflops`.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

STAGES = ("load", "text", "sample", "decode", "interpolate", "upscale", "write")


def matrix_rate() -> float:
    """GFLOP/s of a float32 matrix product."""
    a = torch.rand(1024, 1024)
    began = time.perf_counter()
    for _ in range(20):
        a @ a
    return 20 * 2 * 1024**3 / (time.perf_counter() - began) / 1e9


def stage_functions(args: argparse.Namespace, folder: Path) -> dict[str, Callable[[], object]]:
    """What each stage does; a stage reads what the one before it left in `folder`."""
    from diffilm_core.bundle import load_model
    from diffilm_core.frames import decode, interpolate, upscale, write
    from diffilm_core.movie import parse_size
    from diffilm_core.sampling.run import sample_clip

    model = load_model(args.model, device="cpu")
    d = model.defaults
    width, height = parse_size(args.size) or (d.width, d.height)
    frames, latents = args.frames or d.frames, folder / "latents.pt"
    prompt = "a fox walks through the snowy forest"

    def text() -> torch.Tensor:
        return model.text.encode([prompt, d.negative])

    def sample() -> None:
        cond, uncond = text().split(1)
        rate = torch.tensor([d.fps])
        shape = (model.unet.config.in_channels, frames, height // model.vae.downscale, width // model.vae.downscale)
        settings = dict(steps=args.steps or d.steps, cfg=d.cfg, sampler=d.sampler, spacing=d.spacing)
        with torch.inference_mode():
            clip = sample_clip(
                model.unet,
                model.schedule,
                model.prediction,
                {"context": cond, "fps": rate},
                {"context": uncond, "fps": rate},
                shape=shape,
                seed=0,
                **settings,
            )
        torch.save(clip, latents)

    def stream():
        return decode(model.vae, torch.load(latents, weights_only=True), d.fps)

    def drain(frames_of) -> None:
        for _ in frames_of:
            pass

    return {
        "load": lambda: load_model(args.model, device="cpu"),
        "text": text,
        "sample": sample,
        "decode": lambda: drain(stream()),
        "interpolate": lambda: drain(interpolate(stream(), d.fps * 2)),
        "upscale": lambda: drain(upscale(stream(), scale=2)),
        "write": lambda: write(upscale(interpolate(stream(), d.fps * 2), scale=2), folder / "shot.mp4"),
    }


def run_stage(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    act = stage_functions(args, Path(args.folder))[args.stage]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = []
    for _ in range(args.repeat):
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"seconds": statistics.median(times), "peak": peak / 1024, "more": (peak - before) / 1024}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--size")
    parser.add_argument("--frames", type=int)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.stage:
        run_stage(args)
        return
    torch.set_num_threads(args.threads)
    print(f"{args.threads} threads, matrix product {matrix_rate():.0f} GFLOP/s; median of {args.repeat}")
    print(f"{'stage':12} {'seconds':>8} {'peak MiB':>9} {'above start':>12}")
    with tempfile.TemporaryDirectory() as folder:
        for stage in STAGES:
            command = [sys.executable, __file__, *sys.argv[1:], "--stage", stage, "--folder", folder]
            out = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            print(f"{stage:12} {out['seconds']:8.2f} {out['peak']:9.0f} {out['more']:12.0f}")


if __name__ == "__main__":
    main()
