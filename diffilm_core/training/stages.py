"""The stages of Diffilm's recipe: autoencoder, decoder, contrast (text), image, naming, video, motion, and the probe
that judges it.

Each takes a `World` (data and device) and what earlier stages made, and returns trained modules. Stage `video` trains
the temporal layers alone, on clips without captions; their words are what the network of stage `naming` sees in them.
"""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..models import AutoencoderKL, UNet, is_temporal
from ..models.motion_prior import MotionPrior, MotionPriorConfig
from ..sampling.mover import LEVELS
from ..sampling.over_time import OverTime, middle
from ..sampling.schedules import NoiseSchedule
from .adversarial import Adversary
from .autoencoder import Reconstruct, decibels, lpips_loss, scale_of
from .config import TrainConfig
from .contrast import Contrast, text_model
from .loop import Run
from .objective import Objective
from .pool import World, latent_clips, latent_stills, moving_pictures, to_unit
from .probe import Probe, probe_loss, seen

log = logging.getLogger(__name__)

ADVERSARIAL = 0.5
"""The discriminator's weight in stage `decoder` (`Adversary`)."""
JITTER = 0.15
"""Noise of the latents there (`Reconstruct`)."""
FITTED = 3000
"""Clips from which stage `motion` takes the basis of its ways."""


def compiled(module: nn.Module, device: torch.device) -> nn.Module:
    """Channels last, and torch.compile on a GPU, where its minute pays."""
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return torch.compile(module) if device.type == "cuda" else module  # type: ignore[return-value]


def autoencoder(world: World, config: TrainConfig, folder: Path) -> AutoencoderKL:
    """Train the autoencoder on stills and set its scale factor to 1 / std of its latents."""
    vae = AutoencoderKL(replace(config.vae, scale_factor=1.0)).to(world.device)
    reconstruct("autoencoder", world, config, folder, Reconstruct(vae))
    vae.config = replace(config.vae, scale_factor=scale_of(vae, world.frames(64)))
    return vae


def reconstruct(name: str, world: World, config: TrainConfig, folder: Path, loss: Reconstruct) -> None:
    """Train what of `loss.vae` wants gradients, on frames."""
    stage, vae = config.stages[name], loss.vae
    network = loss if loss.adversary is not None else compiled(loss, world.device)  # see Adversary.forward
    cells = config.data.size // vae.downscale

    def step(index: int) -> Tensor:
        pixels = world.frames(stage.batch).contiguous(memory_format=torch.channels_last)
        noise = torch.randn(stage.batch, config.vae.z_channels, cells, cells, device=world.device)
        return network(pixels, noise)

    Run(name, loss.trained(), stage, folder, world.device).train(step)
    vae.eval().requires_grad_(False)
    log.info("%s PSNR %.2f dB", name, decibels(vae, world.frames(max(4, min(64, config.data.pictures // 8)))))


def decoder(world: World, config: TrainConfig, folder: Path, vae: AutoencoderKL, weights: Path) -> AutoencoderKL:
    """Train the decoder on, alone, so that latents stay what they are: judged by LPIPS too, of the VGG or AlexNet
    `weights`, and by a discriminator, on latents as a UNet may sample them. Raises DiffilmError as `Lpips.load`
    does."""
    distance = lpips_loss(weights, world.device)
    vae.requires_grad_(True)
    for module in (vae.encoder, vae.quant_conv):
        module.requires_grad_(False)
    adversary = Adversary(ADVERSARIAL).to(world.device)
    reconstruct("decoder", world, config, folder, Reconstruct(vae, 0.0, distance, adversary, JITTER))
    return vae


def contrast(world: World, config: TrainConfig, folder: Path) -> nn.Module:
    """Train the text encoder against pictures; returns the CLIPTextModel."""
    stage = config.stages["contrast"]
    model = Contrast(text_model(world.text_config), config.text["hidden_size"], world.end_token).to(world.device)

    def step(index: int) -> Tensor:
        pixels, tokens = world.captioned(stage.batch)
        return model(tokens, F.avg_pool2d(pixels, 2))

    Run("contrast", {"model": model}, stage, folder, world.device).train(step)
    return model.text.eval()


def image(
    world: World, config: TrainConfig, folder: Path, vae: AutoencoderKL, text: nn.Module,
    start: dict[str, Tensor] | None = None,
) -> UNet:  # fmt: skip
    """Train text-to-image on captioned stills; the text encoder goes along at a tenth of the rate. start: an image
    UNet's tensors to go on from."""
    stage = config.stages["image"]
    unet = UNet(config.unet).to(world.device)
    if start is not None:
        unet.load_state_dict(start)
    log.info("image UNet: %.2f M parameters", sum(p.numel() for p in unet.parameters()) / 1e6)
    objective = Objective(NoiseSchedule.create(**config.schedule))
    pool, tokens = latent_stills(world, vae, config.data.stills)
    empty = world.tokenize([""])[0]
    network = compiled(unet, world.device)
    text.requires_grad_(True)

    def step(index: int) -> Tensor:
        rows = torch.randint(len(pool), (stage.batch,), device=world.device)
        dropped = torch.rand(stage.batch, 1, device=world.device) < stage.caption_dropout
        words = torch.where(dropped, empty, tokens[rows].long())
        context = text(input_ids=words).last_hidden_state
        latents = pool[rows].float()[:, :, None]
        noise, t = objective.draw(latents.shape, device=world.device)
        return objective.loss(lambda x, t: network(x, t, context), latents, noise, t)

    run = Run("image", {"unet": unet, "text": text}, stage, folder, world.device, lr_scale={"text": 0.1})
    run.train(step)
    text.eval().requires_grad_(False)
    return unet.eval()


def video(
    world: World,
    config: TrainConfig,
    folder: Path,
    vae: AutoencoderKL,
    text: nn.Module,
    still: UNet,
    named: Probe,
    start: dict[str, Tensor] | None = None,
) -> UNet:
    """Inflate the image UNet and train only its temporal layers, on clips without any text.

    A clip's context is what `named`, which learned from pictures, sees in its middle frame, in plain words, and the
    empty prompt at the rate of caption dropout: layers that learn under the empty prompt alone keep the text out
    (docs/training-log.md, run 13). Make-A-Video (Singer et al. 2022, sec. 3.3) has a frame's CLIP embedding there.
    start: temporal tensors to go on from instead of the identity. Raises RuntimeError if a spatial parameter changed.
    """
    stage = config.stages["video"]
    unet = UNet(config.unet.with_time()).to(world.device)
    unet.load_state_dict({**still.state_dict(), **(start or {})}, strict=False)
    unet.requires_grad_(False)
    for parameter in unet.temporal_parameters().values():
        parameter.requires_grad_(True)
    objective = Objective(NoiseSchedule.create(**config.schedule))
    unet.over_time = OverTime(objective.schedule, objective.prediction, math.inf)
    pool, fps, middles = latent_clips(world, vae, config.data.clips)
    words, empty = world.tokenize(seen(named, middles)), world.tokenize([""])[0]
    network = compiled(unet, world.device)

    def step(index: int) -> Tensor:
        rows = torch.randint(len(pool), (stage.batch,), device=world.device)
        latents = rearrange(pool[rows].float(), "b t c h w -> b c t h w")
        dropped = torch.rand(stage.batch, 1, device=world.device) < stage.caption_dropout
        with torch.no_grad():
            context = text(input_ids=torch.where(dropped, empty, words[rows])).last_hidden_state
        picture = latents[:, :, middle(latents.shape[2])]
        predict = lambda x, t: network(x, t, context, fps=fps[rows], picture=picture)  # noqa: E731
        noise, t = objective.draw(latents.shape, device=world.device)
        return objective.loss(predict, latents, noise, t)

    Run("video", {"unet": unet}, stage, folder, world.device).train(step)
    before = still.state_dict()
    changed = [n for n, p in unet.named_parameters() if not is_temporal(n) and not torch.equal(p, before[n])]
    if changed:
        raise RuntimeError(f"stage video changed the spatial parameter {changed[0]}")
    return unet.eval()


def motion(world: World, config: TrainConfig, folder: Path) -> MotionPrior:
    """Train the motion prior: where things go in a clip, from its middle frame, on clips without any text."""
    stage = config.stages["motion"]
    prior = MotionPrior(MotionPriorConfig.of_clips(config.data.frames)).to(world.device)
    pictures, ways, fps = moving_pictures(world, config.data.clips)
    rows = torch.randperm(len(ways), device=world.device)[:FITTED]
    prior.fit(ways[rows])
    pool = torch.cat([prior.coefficients(some) for some in ways.split(256)])
    log.info("motion prior: %.2f M parameters", sum(p.numel() for p in prior.parameters()) / 1e6)
    schedule = NoiseSchedule.create(**config.schedule)

    def step(index: int) -> Tensor:
        rows = torch.randint(len(pool), (stage.batch,), device=world.device)
        clean = pool[rows]
        first, last = map(math.log, LEVELS)
        sigma = (last + (first - last) * torch.rand(stage.batch, device=world.device)).exp().view(-1, 1, 1, 1)
        noisy = (clean + sigma * torch.randn_like(clean)) / (1 + sigma**2).sqrt()
        said = prior(noisy, schedule.nearest_timestep(sigma.flatten()), to_unit(pictures[rows]), fps[rows])
        error = (said - clean).square() * prior.importance
        return (error * (1 + sigma**-2)).mean()  # every noise level counts as a velocity's error does

    Run("motion", {"prior": prior}, stage, folder, world.device).train(step)
    return prior.eval()


def probe(world: World, config: TrainConfig, folder: Path, name: str = "probe") -> Probe:
    """Train the small classifier of objects and places on real compositions alone: the judge, or as "naming" another
    one, that tells stage `video` what its clips show."""
    stage = config.stages[name]
    model = Probe(*world.classes).to(world.device)

    def step(index: int) -> Tensor:
        pixels, objects, places = world.labelled(stage.batch)
        return probe_loss(model, pixels, objects, places)

    Run(name, {"probe": model}, stage, folder, world.device).train(step)
    return model.eval()
