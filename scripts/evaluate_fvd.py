"""The I3D-FVD of a model against real clips of its world, beside what it must beat and what it may reach.

    python scripts/evaluate_fvd.py .runs/shipped/diffilm -o docs          # writes docs/fvd.json

Prompts are the captions of 256 real clips of held-out compositions, one sample each, seeds 0, 1, ...; the same real
clips are the reference. Beside the model's figure: its own middle frames standing still, its frames sampled one by one,
and 256 other real clips. Features are kept in --work in parts, so a run that was stopped goes on. Needs I3D's weights
(scripts/fetch_metric_weights.py) and the sprite bank (scripts/fetch_data.py). On two cores sampling takes hours.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch
from einops import rearrange, repeat
from evaluate_model import Sampling, film, pictures
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from diffilm_core.bundle import VideoModel, load_model
from diffilm_core.metrics.frechet import frechet_distance
from diffilm_core.metrics.i3d import clip_features, load_i3d
from diffilm_core.metrics.resample import bootstrap, with_sizes
from diffilm_core.metrics.weights import WEIGHTS, find, places
from diffilm_core.training.captions import captions
from diffilm_core.training.emoji import SpriteBank
from diffilm_core.training.render import SceneRenderer
from diffilm_core.training.scenes import SceneBatch, sample_scenes

PART = 8
"""Clips that are made, measured and kept together."""
SEEDS = {"reference": 301, "other real clips": 302}
Maker = Callable[[int, int], Tensor]
"""uint8 clips `(n, t, 3, h, w)` of these numbers."""


def makers(
    model: VideoModel, renderer: SceneRenderer, scenes: dict[str, SceneBatch], work: Path, args: argparse.Namespace
) -> dict[str, Maker]:
    """What makes each set of clips; the model's own must come before those standing still."""
    d, words = model.defaults, captions(scenes["reference"])
    sampling = Sampling.of(args, model)

    def real(which: str, first: int, last: int) -> Tensor:
        some = renderer.render_clips(scenes[which][slice(first, last)], frames=d.frames, fps=d.fps)
        return rearrange(some, "b c t h w -> b t c h w").cpu()

    def sampled(first: int, last: int) -> Tensor:
        return film(model, words[first:last], list(range(first, last)), sampling)

    def still(first: int, last: int) -> Tensor:
        middle = load_file(part_file(work, "model", first, last))["middle"]
        return repeat(middle, "b c h w -> b t c h w", t=d.frames)

    def one_by_one(first: int, last: int) -> Tensor:
        prompts = [prompt for prompt in words[first:last] for _ in range(d.frames)]
        seeds = [number * d.frames + at for number in range(first, last) for at in range(d.frames)]
        return rearrange(pictures(model, prompts, seeds, sampling), "(b t) c h w -> b t c h w", t=d.frames)

    return {
        "reference": lambda first, last: real("reference", first, last),
        "other real clips": lambda first, last: real("other real clips", first, last),
        "model": sampled,
        "own frames standing still": still,
        "frames sampled one by one": one_by_one,
    }


def part_file(work: Path, name: str, first: int, last: int) -> Path:
    return work / f"{name.replace(' ', '-')}-{first:05d}-{last:05d}.safetensors"


def features(name: str, make: Maker, network: torch.nn.Module, count: int, work: Path) -> Tensor:
    """`(count, 400)`; parts that are in `work` are read."""
    found = []
    for first in tqdm(range(0, count, PART), desc=name):
        last = min(first + PART, count)
        file = part_file(work, name, first, last)
        if not file.is_file():
            clips = make(first, last)
            logits = clip_features(network, rearrange(clips.float() / 255, "b t c h w -> b t h w c"))
            part = file.with_suffix(".part")
            save_file({"logits": logits, "middle": clips[:, clips.shape[1] // 2].contiguous()}, part)
            part.replace(file)
        found.append(load_file(file)["logits"])
    return torch.cat(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("docs"))
    parser.add_argument(
        "--work", type=Path, default=Path(".runs/fvd"), help="features of each model, in a folder of its own"
    )
    parser.add_argument("--bank", default=".cache/sprites.safetensors")
    parser.add_argument("--weights", default=None, help="folder with I3D's (.cache/metrics)")
    parser.add_argument("--device", default=None)
    parser.add_argument("--count", type=int, default=256)
    Sampling.add_arguments(parser)
    args = parser.parse_args()
    file = find("i3d", places(args.weights))
    if file is None:
        raise SystemExit(WEIGHTS["i3d"].missing(places(args.weights)))
    model = load_model(args.model, device=args.device)
    sampling = Sampling.of(args, model)
    settings = f"{model.fingerprint[:12]}-{sampling.cfg:g}-{sampling.steps}-{sampling.precision}"
    work = args.work / settings
    work.mkdir(parents=True, exist_ok=True)
    network = load_i3d(file).to(model.device)
    renderer = SceneRenderer(SpriteBank.load(args.bank, model.device), size=model.defaults.width, device=model.device)
    scenes = {
        name: sample_scenes(args.count, seed=seed, split="heldout", subjects=1, clips=True)
        for name, seed in SEEDS.items()
    }
    sets = {
        name: features(name, make, network, args.count, work)
        for name, make in makers(model, renderer, scenes, work, args).items()
    }
    result = {"settings": {"clips": args.count, "model": settings, "i3d": file.name}, "fvd": {}}
    for name, logits in sets.items():
        if name == "reference":
            continue

        def figure(some: Tensor, others: Tensor, logits: Tensor = logits) -> float:
            return frechet_distance(logits[some], sets["reference"][others])

        spread = with_sizes(figure, bootstrap(figure, args.count, args.count), args.count, args.count)
        result["fvd"][name] = {
            "value": spread.value, "interval": [spread.low, spread.high], "sizes": spread.sizes, "limit": spread.limit,
        }  # fmt: skip
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "fvd.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
