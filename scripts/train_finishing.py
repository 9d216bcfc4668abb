"""Train the networks that finish films, on the store that scripts/fetch_finishing_data.py builds.

    python scripts/fetch_finishing_data.py                                   # -> .cache/clips
    python scripts/train_finishing.py interpolate -o .runs/finishing --minutes 60

A stopped run goes on from its checkpoint. Every few minutes the averaged weights are validated on shots kept apart
(of the training film, none of them held out for evaluation) and written to the output folder. On a GPU an hour is
plenty; one CPU core with AMX does some 4,000 steps in it.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from diffilm_core.bundle import as_device
from diffilm_core.training.finishing import InterpolateConfig, train_interpolation


def interpolate(store: Path, out: Path, minutes: float, device: torch.device) -> None:
    config = InterpolateConfig()
    train_interpolation(store, out, replace(config, stage=replace(config.stage, minutes=minutes)), device)


STAGES: dict[str, Callable[[Path, Path, float, torch.device], object]] = {"interpolate": interpolate}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the checkpoint and the weights")
    parser.add_argument("--store", type=Path, default=Path(".cache/clips"), help="folder of the clips")
    parser.add_argument("--minutes", type=float, default=60.0, help="length of the whole run, by the clock")
    parser.add_argument("--device", help="default: the GPU where there is one")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    args.out.mkdir(parents=True, exist_ok=True)
    STAGES[args.stage](args.store, args.out, args.minutes, as_device(args.device))


if __name__ == "__main__":
    main()
