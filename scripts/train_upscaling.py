"""Train the two super-resolution layers that ship, from a clip store to one file.

    python scripts/fetch_finishing_data.py                                   # the clip store
    python scripts/train_upscaling.py .cache/clips -o .runs/upscaling --minutes 75 --lpips vgg.safetensors

The first run writes the small twins of the store's clips (minutes); a stopped run goes on from its last checkpoint.
--finish writes the weights as they are now. --lpips: a perceptual term for damaged pictures, in training alone.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path

import torch
from torch import Tensor

from diffilm_core.bundle import as_device
from diffilm_core.models.upscaling.net import Doubler, DoublerConfig
from diffilm_core.models.upscaling.own import save_layers
from diffilm_core.training.config import StageConfig
from diffilm_core.training.degrade import write_pairs
from diffilm_core.training.loop import Run, fast_in_bf16
from diffilm_core.training.resolution import PairSource, ResolutionTask, open_pairs, validate

log = logging.getLogger("train")

LAYERS = {
    "first": DoublerConfig(width=64, blocks=8, radius=2),
    "second": DoublerConfig(width=64, blocks=6, radius=0, fold=2),
}
EVERY = {("clean", 4): 1, ("damaged", 4): 2, ("clean", 2): 2, ("damaged", 2): 8}
"""Which clips have a small twin of this kind and scale: every so many."""
SHARE = {"clean": 0.6, "damaged": 0.4}


def sources(
    store: Path, pairs: Path, scale: int, parts: dict[str, float], validation: bool = False
) -> list[tuple[PairSource, float]]:
    """The pairs of one scale with their shares, written first where they are not there."""
    out = []
    radius = LAYERS["first"].radius
    for part, share in parts.items():
        for kind, part_share in SHARE.items():
            if not (pairs / f"{part}_{kind}{scale}.npy").is_file():
                log.info("writing the %s pairs of %s at 1/%d", kind, part, scale)
                write_pairs(store, part, pairs, scale, damaged=kind == "damaged", every=EVERY[kind, scale])
            source = open_pairs(store, pairs, part, kind, scale, EVERY[kind, scale], radius, validation=validation)
            out.append((source, share * part_share))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=75)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=8e-4)
    parser.add_argument("--part", action="append", default=[], metavar="NAME=SHARE", help="film=1 where none is given")
    parser.add_argument("--lpips", type=Path)
    parser.add_argument("--device")
    parser.add_argument("--finish", action="store_true")
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    args.out.mkdir(parents=True, exist_ok=True)
    device = as_device(args.device)
    parts = {name: float(share) for name, share in (each.split("=") for each in args.part or ["film=1"])}
    torch.manual_seed(0)
    layers = {name: Doubler(config).to(device, memory_format=torch.channels_last) for name, config in LAYERS.items()}
    config = StageConfig(steps=0, batch=args.batch, lr=args.lr, warmup=50, minutes=args.minutes)
    run = Run("upscaling", layers, config, args.out, device)
    pairs = args.out / "pairs"
    if not args.finish:
        perceptual = None
        if args.lpips:
            from diffilm_core.metrics.lpips import Lpips

            lpips = Lpips.load(args.lpips, levels=3).to(device, torch.bfloat16, memory_format=torch.channels_last)

            def perceptual(made: Tensor, truth: Tensor) -> Tensor:
                return lpips(made, truth).mean()

        pools = (sources(args.store, pairs, scale, parts) for scale in (4, 2))
        task = ResolutionTask(layers["first"], layers["second"], *pools, batch=args.batch, perceptual=perceptual)
        run.train(task.loss)
    else:
        run.resume()
        run.ema.copy_to_live()
    found = {}
    with torch.autocast(device.type, torch.bfloat16, enabled=fast_in_bf16(device)):
        for scale in (4, 2):
            for (source, _), kind in zip(sources(args.store, pairs, scale, {"film": 1}, True), SHARE, strict=True):
                found[f"{kind} x{scale}"] = validate(layers["first"], layers["second"], source)
    about = {"steps": run.step, "validation": found}
    save_layers(layers["first"], layers["second"], args.out / "upscale.safetensors", about)
    log.info("validation, step %d: %s", run.step, json.dumps(found))


if __name__ == "__main__":
    main()
