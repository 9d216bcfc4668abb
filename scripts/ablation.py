"""What each part of learning motion is worth: six ways to give the image model motion, trained and measured alike.

    python scripts/ablation.py diffilm_core/assets/diffilm .runs/probe/probe.safetensors -o docs

Each way starts from the model's image UNet with fresh layers over time, sees the same clips in the same order without a
word, and takes the same number of steps. Measured on held-out compositions, half at 4 frames a second, half at 16: the
v loss of 256 real clips (same noise for all), I3D-FVD of --count samples against these, what the probe sees in the
middle frames, and how much moves; beside them the model as it is, its middle frames standing still, and other real
clips. Writes ablation.json, ablation.png and ablation.jpg (some clips of each) into OUT; what was trained and measured
is kept in --work, so a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import matplotlib
import torch
from einops import rearrange
from evaluate_model import Sampling, film, motion
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from diffilm_core.bundle import VideoModel, load_model
from diffilm_core.metrics.frechet import frechet_distance
from diffilm_core.metrics.i3d import clip_features, load_i3d
from diffilm_core.metrics.probe import load_probe
from diffilm_core.metrics.resample import Spread, bootstrap, mean_interval
from diffilm_core.metrics.weights import WEIGHTS, find, places
from diffilm_core.models import UNet, is_temporal
from diffilm_core.training.captions import captions
from diffilm_core.training.config import DataConfig, StageConfig
from diffilm_core.training.loop import Run
from diffilm_core.training.objective import Objective
from diffilm_core.training.pool import World, latent_clips, to_unit
from diffilm_core.training.probe import Probe, judge
from diffilm_core.training.scenes import sample_scenes
from diffilm_core.training.sheet import contact_sheet

matplotlib.use("agg")
import matplotlib.pyplot as plt

log = logging.getLogger("ablation")
RATES = 4.0, 16.0
SHIPPED = "the model as it is"
REAL, PART = 256, 16


@dataclass(frozen=True)
class Way:
    """Which parameters are trained, by name, and whether the network is told the frame rate."""

    trained: Callable[[str], bool]
    fps: bool = True


def _rate(name: str) -> bool:
    return name.startswith("fps_embed.")


def _convolution(name: str) -> bool:
    return is_temporal(name) and ".conv." in name


WAYS = {
    "pseudo-3D, trained": Way(is_temporal),
    "pseudo-3D, untrained": Way(lambda name: False),
    "attention only": Way(lambda name: is_temporal(name) and not _convolution(name)),
    "convolution only": Way(lambda name: _convolution(name) or _rate(name)),
    "joint: spatial layers too": Way(lambda name: True),
    "no frame rate": Way(lambda name: is_temporal(name) and not _rate(name), fps=False),
}


def train(
    way: Way, model: VideoModel, still: UNet, pool: tuple[Tensor, Tensor], stage: StageConfig, folder: Path
) -> UNet:
    """A fresh video UNet on `still`, trained on the latents and frame rates of `pool`; read where it was before."""
    unet, file = copy.deepcopy(still), folder / "unet.safetensors"
    if file.is_file():
        unet.load_state_dict(load_file(file))
        return unet.eval().requires_grad_(False)
    folder.mkdir(parents=True, exist_ok=True)
    groups: dict[str, list[nn.Parameter]] = {"temporal": [], "spatial": []}
    for name, parameter in unet.named_parameters():
        parameter.requires_grad_(way.trained(name))
        if parameter.requires_grad:
            groups["temporal" if is_temporal(name) else "spatial"].append(parameter)
    modules = {name: nn.ParameterList(some) for name, some in groups.items() if some}
    if modules:
        step = loss_of(way, model, unet, pool, stage.batch)
        Run("video", modules, stage, folder, model.device, lr_scale={"spatial": 0.1}).train(step)
    save_file({k: v.detach().contiguous() for k, v in unet.state_dict().items()}, file)
    return unet.eval().requires_grad_(False)


def loss_of(
    way: Way, model: VideoModel, unet: UNet, pool: tuple[Tensor, Tensor], batch: int
) -> Callable[[int], Tensor]:
    """The loss of stage `video` under the empty prompt alone: v of noisy clips."""
    objective = Objective(model.schedule, model.prediction)
    latents, rates = pool
    nothing = model.text.encode([""]).detach()

    def step(index: int) -> Tensor:
        rows = torch.randint(len(latents), (batch,))
        some = rearrange(latents[rows].float(), "b t c h w -> b c t h w")
        noise, t = objective.draw(some.shape)
        told = {"fps": rates[rows]} if way.fps else {}
        return objective.loss(lambda x, t: unet(x, t, nothing.expand(batch, -1, -1), **told), some, noise, t)

    return step


@torch.no_grad()
def held_out_losses(way: Way, model: VideoModel, unet: UNet, real: Real) -> list[float]:
    """The same loss of each real clip, at timesteps spread evenly over the clips."""
    objective = Objective(model.schedule, model.prediction)
    dice, nothing, found = torch.Generator().manual_seed(9), model.text.encode([""]), []
    for number, latents in enumerate(real.latents):
        some = rearrange(latents.float(), "t c h w -> 1 c t h w")
        noise = torch.randn(some.shape, generator=dice)
        t = torch.tensor([(number * 997) % len(objective.schedule.alphas_cumprod)])
        told = {"fps": real.rates[number : number + 1]} if way.fps else {}
        with torch.autocast("cpu", torch.bfloat16):
            loss = objective.loss(lambda x, t, told=told: unet(x, t, nothing, **told), some, noise, t)
        found.append(float(loss))
    return found


@dataclass(frozen=True)
class Real:
    """Real clips of held-out compositions, uint8 `(n, t, 3, h, w)`, their latents `(n, t, c, h, w)` and I3D logits,
    with their words, frame rates and ids."""

    pixels: Tensor
    latents: Tensor
    logits: Tensor
    words: list[str]
    rates: Tensor
    objects: Tensor
    places: Tensor

    @classmethod
    def render(
        cls, world: World, model: VideoModel, network: nn.Module, file: Path, count: int = REAL, seed: int = 303
    ) -> Real:
        """`file` keeps what takes long."""
        scenes = sample_scenes(count, seed=seed, split="heldout", subjects=1, clips=True)
        rates = torch.tensor(RATES).repeat(count)[:count]
        parts = []
        for at in range(0, count, PART):
            some, frames = scenes[slice(at, at + PART)], model.defaults.frames
            parts.append(world.renderer.render_clips(some, frames=frames, fps=rates[at : at + PART]).cpu())
        pixels = rearrange(torch.cat(parts), "b c t h w -> b t c h w")
        if not file.is_file():
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
                latents = torch.stack([model.vae.encode(to_unit(clip)).bfloat16() for clip in pixels])
            logits = torch.cat([logits_of(network, some) for some in pixels.split(PART)])
            save_file({"latents": latents, "logits": logits}, file)
        kept = load_file(file)
        return cls(pixels, kept["latents"], kept["logits"], captions(scenes), rates, scenes.object, scenes.place)


def logits_of(network: nn.Module, clips: Tensor) -> Tensor:
    return clip_features(network, rearrange(clips.float() / 255, "b t c h w -> b t h w c"))


def measured(
    way: Way,
    model: VideoModel,
    unet: UNet,
    real: Real,
    network: nn.Module,
    folder: Path,
    count: int,
    sampling: Sampling,
) -> dict[str, Tensor]:
    """What was made and what is known of it: logits, clips (uint8) and held-out losses; read where it was before."""
    file = folder / f"measured-{count}-{sampling.steps}-{sampling.precision}.safetensors"
    if not file.is_file():
        losses = torch.tensor(held_out_losses(way, model, unet, real))
        fps = real.rates[:count] if way.fps else torch.full((count,), 8.0)
        clips = film(replace(model, unet=unet), real.words[:count], list(range(count)), sampling, fps=fps)
        parts = [logits_of(network, some) for some in clips.split(PART)]
        save_file({"losses": losses, "clips": clips, "logits": torch.cat(parts)}, file)
    return load_file(file)


def figures(found: dict[str, Tensor], real: Real, probe: Probe) -> dict[str, Any]:
    """FVD, held-out loss, text match, and the movement at each frame rate beside that of the real clips."""
    clips, count = found["clips"], len(found["clips"])
    seen = judge(probe, to_unit(clips[:, clips.shape[1] // 2]), real.objects[:count], real.places[:count])
    moved = [motion(clips[at :: len(RATES)]) for at in range(len(RATES))]
    return {
        "fvd": fvd_of(found["logits"], real),
        "held-out loss": interval(mean_interval(found["losses"].tolist())),
        "seen": seen,
        "motion": dict(zip(map(str, RATES), moved, strict=True)),
        "losses": found["losses"].tolist(),
    }


def fvd_of(logits: Tensor, real: Real) -> list[float]:
    def figure(some: Tensor, others: Tensor) -> float:
        return frechet_distance(logits[some], real.logits[others])

    return interval(bootstrap(figure, len(logits), len(real.logits)))


def interval(spread: Spread) -> list[float]:
    return [spread.value, spread.low, spread.high]


def against(result: dict[str, Any]) -> None:
    """Add to each way its loss less that of the first, clip by clip, with an interval."""
    first = torch.tensor(next(iter(result.values()))["losses"])
    for way in result.values():
        way["loss above the first's"] = interval(mean_interval((torch.tensor(way["losses"]) - first).tolist()))
        del way["losses"]


def plot(ways: dict[str, Any], others: dict[str, list[float]], path: Path) -> None:
    names = list(ways)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.6), layout="constrained", sharey=True)
    for axis, key, title in (
        (left, "fvd", "I3D-FVD (95 % interval)"), (right, "held-out loss", "v loss of held-out clips"),
    ):  # fmt: skip
        values = torch.tensor([ways[name][key] for name in names])
        reach = torch.stack([values[:, 0] - values[:, 1], values[:, 2] - values[:, 0]])
        axis.barh(names, values[:, 0], xerr=reach, color="#5b8db8", ecolor="#333333", capsize=3)
        axis.set_title(title)
    left.invert_yaxis()  # the axis is shared
    for (name, value), line in zip(others.items(), ("--", ":"), strict=True):
        left.axvline(value[0], color="#c0504d", linestyle=line, label=name)
    figure.legend(fontsize=8, loc="outside lower left", ncols=2)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("probe", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("docs"))
    parser.add_argument("--work", type=Path, default=Path(".runs/ablation"))
    parser.add_argument("--bank", default=".cache/sprites.safetensors")
    parser.add_argument("--weights", default=None, help="folder with I3D's (.cache/metrics)")
    parser.add_argument("--clips", type=int, default=400, help="clips to learn from")
    parser.add_argument("--train-steps", type=int, default=500)
    parser.add_argument("--train-batch", type=int, default=2)
    parser.add_argument("--lr", type=float, default=6e-4, help="of layers over time; spatial ones get a tenth")
    parser.add_argument("--count", type=int, default=64, help="samples of each way")
    parser.add_argument("--train-only", action="store_true", help="train all ways, measure none")
    Sampling.add_arguments(parser)
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    args.work.mkdir(parents=True, exist_ok=True)
    model = load_model(args.model, device="cpu")
    own, still = model.unet, copy.deepcopy(model.unet)
    still.over_time = None  # the ways are compared without a picture first, the model samples as it does
    fresh = UNet(still.config)
    still.load_state_dict({n: t for n, t in fresh.state_dict().items() if is_temporal(n)}, strict=False)
    frames, sampling = model.defaults.frames, Sampling.of(args, model)
    data = DataConfig(args.bank, size=model.defaults.width, frames=frames, clips=args.clips)
    world = World(data, model.config.text, model.device)
    stage = StageConfig(args.train_steps, args.train_batch, args.lr, warmup=30, ema=0.99)

    kept = args.work / f"clips-{args.clips}.safetensors"
    if not kept.is_file():
        latents, rates, _ = latent_clips(world, model.vae, args.clips)
        save_file({"latents": latents, "rates": rates}, kept)
    pool = load_file(kept)["latents"], load_file(kept)["rates"]
    folder = {name: args.work / "".join(c if c.isalnum() else "-" for c in name) for name in WAYS}
    unets = {name: train(way, model, still, pool, stage, folder[name]) for name, way in WAYS.items()}
    if args.train_only:
        return

    file = find("i3d", places(args.weights))
    if file is None:
        raise SystemExit(WEIGHTS["i3d"].missing(places(args.weights)))
    network = load_i3d(file)
    probe = load_probe(args.probe)
    real = Real.render(world, model, network, args.work / f"real-{REAL}.safetensors")
    folder[SHIPPED], unets[SHIPPED] = args.work / "shipped", own
    folder[SHIPPED].mkdir(exist_ok=True)
    found = {
        name: measured(way, model, unets[name], real, network, folder[name], args.count, sampling)
        for name, way in {**WAYS, SHIPPED: Way(is_temporal)}.items()
    }
    ways = {name: figures(some, real, probe.eval()) for name, some in found.items()}
    against(ways)
    others = Real.render(world, model, network, args.work / f"others-{args.count}.safetensors", args.count, 304)
    still = found[SHIPPED]["clips"][:, frames // 2 : frames // 2 + 1].expand(-1, frames, -1, -1, -1)
    beside = {
        "as many other real clips": fvd_of(others.logits, real),
        "its middle frames standing still": fvd_of(
            torch.cat([logits_of(network, some) for some in still.split(PART)]), real
        ),
    }
    moved = {str(rate): motion(real.pixels[at :: len(RATES)]) for at, rate in enumerate(RATES)}
    result = {
        "ways": ways, "real": {"motion": moved}, "beside": beside, "training": {**asdict(stage), "clips": args.clips},
        "settings": {**asdict(sampling), "samples": args.count, "real clips": REAL},
    }  # fmt: skip
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "ablation.json").write_text(json.dumps(result, indent=2) + "\n")
    plot(ways, beside, args.out / "ablation.png")
    strips = [some["clips"][1, :: frames // 8] for some in found.values()]
    labels = [name if at == 0 else "" for name in found for at in range(len(strips[0]))]
    contact_sheet(torch.cat(strips), args.out / "ablation.jpg", columns=len(strips[0]), labels=labels)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
