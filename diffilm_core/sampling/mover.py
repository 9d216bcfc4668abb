"""A picture becomes a clip that moves: the motion prior draws where things go, and the picture is warped there."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from ..models import AutoencoderKL
from ..models.motion_prior import CELL, MotionPrior
from ..models.warp import warp
from .denoiser import Denoiser
from .noise import MAX_SEED, cpu_generator
from .samplers import sampler_for
from .schedules import NoiseSchedule

LEVELS = 500.0, 0.03
"""The first and the last noise level at which movement is drawn. Fields as smooth as these are told from noise far
above 10, where pictures begin, so the levels are even in their logarithm; stage `motion` learns them so too."""
STEPS = 20
APART = 2
"""Added to a clip's seed, so that its movement is drawn from other noise than its picture and that one's steps."""


class Mover:
    """`mover(picture, frames, fps, seed)`: latents `(1, c, frames, h, w)` of the clip that a picture's latents
    `(1, c, 1, h, w)` become; the middle frame is the picture, exactly.

    The others are decoded, warped and encoded; what the autoencoder loses of the picture on that way is warped beside
    them, at the latents' size, and put back, or the middle frame would flash between frames that have lost it.
    The prior draws the ways of a clip of its own length, at the rate at which that lasts as long as this one; a
    shorter or longer clip samples the same ways more rarely or often. Deterministic: the seed says what is drawn.
    `below`: the noise level from which layers over time go on with the clip (`OverTime`).
    """

    def __init__(self, prior: MotionPrior, vae: AutoencoderKL, schedule: NoiseSchedule, below: float) -> None:
        self.prior, self.vae, self.schedule, self.below = prior, vae, schedule, below

    @torch.no_grad()
    def __call__(self, picture: Tensor, frames: int, fps: float, seed: int) -> Tensor:
        device, at = picture.device, frames // 2
        self.prior.to(device)
        weight = next(self.vae.to(device).parameters())
        with torch.autocast(device.type, enabled=False):
            pixels = self.vae.decode(picture[:, :, 0].to(weight)).float().clamp(-1, 1)
            flow = self.flow(pixels, frames, fps, seed)[0]
            moved = warp(pixels.expand(frames, -1, -1, -1), flow)
            # a batch of one: memory stays that of a picture
            latents = torch.cat([self.vae.encode(each[None].to(weight)) for each in moved]).float()
            lost = (picture[:, :, 0].float() - latents[at]).expand(frames, -1, -1, -1)
            coarse = F.interpolate(flow, lost.shape[-2:], mode="area") * (lost.shape[-1] / flow.shape[-1])
            latents = latents + warp(lost, coarse)
        clip = rearrange(latents.to(picture), "t c h w -> 1 c t h w")
        clip[:, :, at] = picture[:, :, 0]
        return clip

    def flow(self, pixels: Tensor, frames: int, fps: float, seed: int) -> Tensor:
        """Where each pixel of each frame is looked up in the picture `(1, 3, H, W)`, in pixels `(1, frames, 2, H, W)`,
        0 in the middle frame."""
        h, w = (max(1, side // CELL) for side in pixels.shape[-2:])
        own = self.prior.config.frames
        rate = torch.tensor([fps * own / frames], device=pixels.device)
        first, last = map(math.log, LEVELS)
        sigmas = torch.cat([torch.linspace(first, last, STEPS).exp(), torch.zeros(1)])
        seed = (seed + APART) & MAX_SEED
        noise = torch.randn((1, self.prior.config.coefficients, h, w), generator=cpu_generator(seed))
        x = (noise * (1 + sigmas[0] ** 2).sqrt()).to(pixels)

        def network(x: Tensor, timesteps: Tensor, _: Tensor | None) -> Tensor:
            return self.prior(x, timesteps, pixels, rate)

        drawn = sampler_for("dpmpp_2m")(Denoiser(network, self.schedule, self.prior.config.prediction), x, sigmas)
        ways = at_frames(self.prior.flow(drawn), frames)
        large = F.interpolate(ways[0], pixels.shape[-2:], mode="bicubic", align_corners=False)
        return large[None]


def at_frames(ways: Tensor, frames: int) -> Tensor:
    """Ways `(b, t, 2, h, w)` at as many frames, over the same time, from the middle frame of either, where they are
    0; between frames they go straight, past the ends they go on as they did."""
    own = ways.shape[1]
    where = (torch.arange(frames, dtype=torch.float64) - frames // 2) * (own / frames) + own // 2
    before = where.floor().clamp(0, own - 2).long()
    part = (where - before).to(ways).view(1, -1, 1, 1, 1)
    ways, before = ways - ways[:, own // 2, None], before.to(ways.device)
    return ways[:, before] * (1 - part) + ways[:, before + 1] * part
