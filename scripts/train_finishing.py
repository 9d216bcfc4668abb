"""Train the networks that finish films, on the store that scripts/fetch_finishing_data.py builds.

    python scripts/fetch_finishing_data.py                                   # -> .cache/clips
    python scripts/train_finishing.py interpolate -o .runs/finishing --minutes 60
    python scripts/train_finishing.py upscale -o .runs/finishing --minutes 60 --lpips vgg16.ckpt

A stopped run goes on from its checkpoint; a new one starts from nothing, or from the weights of --start. Every few
minutes the averaged weights are validated on shots kept apart (of the training film, none of them held out for
evaluation) and written to the output folder. --lpips: a perceptual term for damaged pictures, in training alone. On a
GPU an hour is plenty; one CPU core does some 6,000 steps of `interpolate` in it, with bfloat16 instructions.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from diffilm_core.bundle import as_device
from diffilm_core.training.finishing import InterpolateConfig, train_interpolation
from diffilm_core.training.resolution import UpscaleConfig, train_upscaling


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=("interpolate", "upscale"))
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the checkpoint and the weights")
    parser.add_argument("--store", type=Path, default=Path(".cache/clips"), help="folder of the clips")
    parser.add_argument("--minutes", type=float, default=60.0, help="length of the whole run, by the clock")
    parser.add_argument("--start", type=Path, help="weights to begin with, as this script or the pack has them")
    parser.add_argument("--lpips", type=Path, help="VGG or AlexNet weights of LPIPS, for `upscale`")
    parser.add_argument("--device", help="default: the GPU where there is one")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    args.out.mkdir(parents=True, exist_ok=True)
    device = as_device(args.device)
    if args.stage == "interpolate":
        interpolate = InterpolateConfig()
        interpolate = replace(interpolate, stage=replace(interpolate.stage, minutes=args.minutes))
        train_interpolation(args.store, args.out, interpolate, device, args.start)
    else:
        upscale = UpscaleConfig()
        upscale = replace(upscale, stage=replace(upscale.stage, minutes=args.minutes))
        train_upscaling(args.store, args.out, upscale, device, args.start, args.lpips)


if __name__ == "__main__":
    main()
