"""Judge a model on prompts whose object-place pairs it never saw, with a probe trained on real compositions alone.

    python scripts/evaluate_model.py .runs/shipped/diffilm .runs/shipped/probe.safetensors -o docs

Writes into OUT model.json (all figures), model-stills.jpg (middle frames), model-clips.jpg (some clips) and
model-duos.jpg (middle frames of prompts with two subjects).
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor
from tqdm import tqdm

from diffilm_core.bundle import VideoModel, load_model
from diffilm_core.metrics.probe import load_probe
from diffilm_core.sampling import OverTime, sample_clip
from diffilm_core.sampling.denoiser import Denoiser
from diffilm_core.sampling.guidance import Guidance
from diffilm_core.sampling.noise import initial_noise
from diffilm_core.sampling.over_time import middle as middle_of
from diffilm_core.sampling.samplers import sampler_for
from diffilm_core.sampling.spacing import sigmas_for
from diffilm_core.training.emoji import SpriteBank
from diffilm_core.training.pool import to_unit
from diffilm_core.training.probe import judge
from diffilm_core.training.render import SceneRenderer
from diffilm_core.training.scenes import heldout_duos, heldout_prompts, sample_scenes
from diffilm_core.training.sheet import contact_sheet

MOVING = 64
"""Of the prompts, those whose whole clips are made, for how much they move and what their first frames show."""
REAL = 5
"""Real compositions that are judged, for each prompt."""


@dataclass(frozen=True)
class Sampling:
    """How clips are made; None: as the model does by default. `batch`: pictures at a time; clips are made one by one.
    `precision`: "fp32", or "bf16" autocast."""

    steps: int | None = None
    cfg: float | None = None
    batch: int = 16
    precision: str = "fp32"

    def half(self, model: VideoModel) -> torch.autocast:
        return torch.autocast(model.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--batch", type=int, default=16, help="pictures sampled at a time")
        parser.add_argument("--cfg", type=float, default=None)
        parser.add_argument("--steps", type=int, default=None)
        parser.add_argument(
            "--precision", choices=("fp32", "bf16"), default="fp32", help="bf16: autocast, half the time"
        )

    @classmethod
    def of(cls, args: argparse.Namespace, model: VideoModel) -> Sampling:
        d = model.defaults
        return cls(args.steps or d.steps, args.cfg or d.cfg, args.batch, args.precision)


@torch.no_grad()
def film(
    model: VideoModel, prompts: list[str], seeds: list[int], sampling: Sampling, *, fps: Tensor | None = None
) -> Tensor:
    """uint8 clips `(n, t, 3, h, w)`, one a prompt, each from its own seed; `fps` `(n,)`, None: the model's."""
    d, clips = model.defaults, []
    rates = [d.fps] * len(prompts) if fps is None else fps.tolist()
    for prompt, seed, rate in zip(tqdm(prompts, desc="sampling"), seeds, rates, strict=True):
        context = model.text.encode([prompt, d.negative])
        told = [{"context": one[None], "fps": torch.tensor([rate])} for one in context]
        with sampling.half(model):
            latents = sample_clip(
                model.unet, model.schedule, model.prediction, *told, shape=cells(model), seed=seed,
                steps=sampling.steps or d.steps, cfg=sampling.cfg or d.cfg, sampler=d.sampler, spacing=d.spacing,
            )  # fmt: skip
        clips.append(decoded(model, rearrange(latents, "c t h w -> t c h w"), sampling))
    return torch.stack(clips)


@torch.no_grad()
def pictures(model: VideoModel, prompts: list[str], seeds: list[int], sampling: Sampling) -> Tensor:
    """uint8 `(n, 3, h, w)`: what the image model makes of each prompt from the noise of the middle frame of the clip
    of that seed. It is that frame, where the model has `OverTime`."""
    d, made = model.defaults, []
    sigmas = sigmas_for(model.schedule, sampling.steps or d.steps, d.spacing)
    for first in tqdm(range(0, len(prompts), sampling.batch), desc="pictures"):
        some, theirs = prompts[first:][: sampling.batch], seeds[first:][: sampling.batch]
        context = model.text.encode([*some, d.negative])
        cond = {"context": context[:-1], "enable_time": False}
        guided = Guidance(
            Denoiser(model.unet, model.schedule, model.prediction), cond,
            cond | {"context": context[-1:].expand(len(some), -1, -1)}, sampling.cfg or d.cfg,
        )  # fmt: skip
        noise = torch.cat([initial_noise((1, *cells(model)), seed)[:, :, middle_of(d.frames)] for seed in theirs])
        x = (noise * (1 + sigmas[0] ** 2).sqrt()).to(model.device)
        with sampling.half(model):
            latents = sampler_for(d.sampler)(guided, x, sigmas, seed=theirs)
        made.append(decoded(model, latents[:, :, 0], sampling))
    return torch.cat(made)


def middles(model: VideoModel, prompts: list[str], seeds: list[int], sampling: Sampling) -> Tensor:
    """uint8 `(n, 3, h, w)`, the middle frames of clips; with `OverTime` no other frame is made."""
    if isinstance(model.unet.over_time, OverTime):
        return pictures(model, prompts, seeds, sampling)
    return film(model, prompts, seeds, sampling)[:, middle_of(model.defaults.frames)][:, 0]


def cells(model: VideoModel) -> tuple[int, int, int, int]:
    """The shape of a clip's latents, (c, t, h, w)."""
    d, scale = model.defaults, model.vae.downscale
    return model.unet.config.in_channels, d.frames, d.height // scale, d.width // scale


def decoded(model: VideoModel, latents: Tensor, sampling: Sampling) -> Tensor:
    """Latents `(n, c, h, w)` as uint8 pictures `(n, 3, h, w)`, on the CPU."""
    flat = latents.to(model.device, next(model.vae.parameters()).dtype)
    with sampling.half(model):
        pixels = torch.cat([model.vae.decode(piece) for piece in flat.split(64)]).float()
    return ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().cpu()


def motion(clips: Tensor) -> float:
    """Mean absolute difference of neighbouring frames, clips `(n, t, 3, h, w)` uint8, in 8-bit levels."""
    return float((clips[:, 1:].float() - clips[:, :-1].float()).abs().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("probe", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("docs"))
    parser.add_argument("--bank", default=".cache/sprites.safetensors")
    parser.add_argument("--device", default=None)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--duos", type=int, default=200, help="prompts of two subjects")
    Sampling.add_arguments(parser)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    model = load_model(args.model, device=args.device)
    probe = load_probe(args.probe).to(model.device)
    renderer = SceneRenderer(SpriteBank.load(args.bank, model.device), size=model.defaults.width, device=model.device)

    prompts, objects, places = zip(*heldout_prompts(200)[: args.count], strict=True)
    wanted, where = torch.tensor(objects), torch.tensor(places)
    sampling = Sampling.of(args, model)
    began = time.monotonic()
    middle = middles(model, list(prompts), list(range(len(prompts))), sampling)
    clips = film(model, list(prompts[:MOVING]), list(range(len(prompts)))[:MOVING], sampling)
    words, pairs = heldout_duos(args.duos)
    both = middles(model, words, list(range(len(words))), sampling)
    shuffle = torch.randperm(len(prompts), generator=torch.Generator().manual_seed(0))

    real = sample_scenes(REAL * len(prompts), seed=77, split="heldout", subjects=1)
    real_pairs = sample_scenes(REAL * len(words), seed=76, split="heldout", subjects=2)
    moving = sample_scenes(len(clips), seed=78, split="heldout", clips=True)
    real_clips = renderer.render_clips(moving, frames=model.defaults.frames, fps=model.defaults.fps)
    figures = {
        "generated": judge(probe, to_unit(middle), wanted, where),
        "generated, middle frames of clips": judge(
            probe, to_unit(clips[:, clips.shape[1] // 2]), wanted[:MOVING], where[:MOVING]
        ),
        "generated, first frames of clips": judge(probe, to_unit(clips[:, 0]), wanted[:MOVING], where[:MOVING]),
        "real, held-out pairs": judge(probe, to_unit(renderer.render(real)), real.object, real.place),
        "shuffled prompts": judge(probe, to_unit(middle), wanted[shuffle], where[shuffle]),
        "two subjects, generated": judge(probe, to_unit(both), pairs.objects, pairs.place),
        "two subjects, real": judge(probe, to_unit(renderer.render(real_pairs)), real_pairs.objects, real_pairs.place),
    }
    result = {
        "figures": figures,
        "motion": {"generated": motion(clips), "real": motion(rearrange(real_clips, "b c t h w -> b t c h w").cpu())},
        "settings": {
            "prompts": len(prompts),
            "clips": len(clips),
            "duos": len(words),
            **asdict(sampling),
            "device": str(model.device),
        },
        "seconds": round(time.monotonic() - began, 1),
        "fingerprint": model.fingerprint,
    }
    (args.out / "model.json").write_text(json.dumps(result, indent=2) + "\n")
    contact_sheet(middle[:80], args.out / "model-stills.jpg", columns=10, labels=prompts[:80])
    contact_sheet(both[:40], args.out / "model-duos.jpg", columns=10, labels=words[:40])
    some = clips[:: len(clips) // 12 + 1][:12, ::2]  # a step that does not divide by the number of places
    contact_sheet(rearrange(some, "b t c h w -> (b t) c h w"), args.out / "model-clips.jpg", columns=some.shape[1])
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
