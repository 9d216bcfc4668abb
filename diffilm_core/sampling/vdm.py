"""Sampling of Video Diffusion Models: ancestral steps of a cosine schedule with x0 kept in range, in pixels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from ..errors import DiffilmError
from .denoiser import Denoiser
from .guidance import Guidance
from .noise import initial_noise
from .samplers import Callback, Model, Noise, SamplerState, sample_euler_ancestral
from .schedules import COSINE_OFFSET, NoiseSchedule
from .spacing import sigmas_for
from .windows import ContextWindows

MAX_BETA = 0.9999
QUANTILE_BLOCK = 1 << 24  # torch.quantile takes no more numbers


def vdm_schedule(steps: int = 1000) -> NoiseSchedule:
    """The cosine schedule of Nichol & Dhariwal 2021, eq. 17, betas up to 0.9999, as in video-diffusion-pytorch."""
    t = torch.arange(steps + 1, dtype=torch.float64) / steps
    alpha_bar = torch.cos((t + COSINE_OFFSET) / (1 + COSINE_OFFSET) * math.pi / 2) ** 2
    betas = (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(0, MAX_BETA)
    return NoiseSchedule(torch.cumprod(1 - betas, dim=0), "vdm cosine")


def check_percentile(percentile: float | None) -> None:
    """Raises DiffilmError unless it is None or in (0, 1]."""
    if percentile is not None and not 0 < percentile <= 1:
        raise DiffilmError(f"dynamic threshold percentile {percentile:g}; expected above 0, at most 1 (0.9 is usual)")


def thresholded(x0: Tensor, percentile: float | None = None, *, clip_dim: int = 0) -> Tensor:
    """x0 in [-1, 1]: clipped there (None), or at the larger of 1 and that percentile of |x0| and divided by it.

    Dynamic thresholding is of Saharia et al. 2022 (Imagen), section 2.3. A clip is a row of `clip_dim`; -1: all of
    x0 is one clip.
    """
    if percentile is None:
        return x0.clamp(-1, 1)
    rows = x0.reshape(1, -1) if clip_dim < 0 else x0.flatten(1)
    limit = torch.stack([_quantile(row.abs(), percentile) for row in rows]).clamp(min=1)
    limit = limit.view(-1, *(1,) * (x0.ndim - 1))
    return x0.clamp(-limit, limit) / limit


def _quantile(values: Tensor, share: float) -> Tensor:
    """torch.quantile of any number of values."""
    if values.numel() <= QUANTILE_BLOCK:
        return torch.quantile(values, share)
    place = share * (values.numel() - 1)
    low = torch.kthvalue(values, int(place) + 1).values
    high = torch.kthvalue(values, min(int(place) + 2, values.numel())).values
    return low + (high - low) * (place - int(place))


class Thresholded:
    """`(x, sigma) -> x0` of a guided model, kept in range as `thresholded` does."""

    def __init__(self, model: Model, percentile: float | None = None) -> None:
        check_percentile(percentile)
        self.model, self.percentile = model, percentile

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        return thresholded(self.model(x, sigma), self.percentile)


def sample_vdm(
    unet: Callable[..., Tensor],
    context: Tensor | None,
    *,
    shape: tuple[int, int, int, int],
    seed: int,
    cfg: float = 2.0,
    percentile: float | None = None,
    schedule: NoiseSchedule | None = None,
    steps: int | None = None,
    noise: Tensor | None = None,
    step_noise: Noise | None = None,
    window: int | None = None,
    overlap: int | None = None,
    callback: Callback | None = None,
    resume: SamplerState | None = None,
) -> Tensor:
    """Pixels `(c, t, h, w)` in [0, 1], float32 on the CPU, of a clip of that shape (c, t, h, w).

    context `(1, 1, d)`: the caption's vector (`BertEncoder.encode`), None for a network without text. cfg: 1 is no
    guidance. percentile: None clips x0, a number thresholds it dynamically. steps: None visits every step of the
    schedule, as published. noise, step_noise: in place of what the seed gives. window, overlap: as in `sample_clip`,
    for clips longer than the trained ones. An ancestral step of Ho et al. 2020 (algorithm 2, posterior variance) is, in
    the variance-exploding form, an ancestral Euler step of full strength.
    Raises DiffilmError on bad settings.
    """
    schedule = vdm_schedule() if schedule is None else schedule
    sigmas = sigmas_for(schedule, len(schedule) if steps is None else steps, "simple")
    null = None if context is None else {"context": None}
    guided = Guidance(Denoiser(unet, schedule), {"context": context}, null, cfg, "two_pass")
    windows = None if window is None else ContextWindows(guided, window, overlap)
    model = Thresholded(windows or guided, percentile)
    if noise is None:
        free = window if window is not None and shape[1] > window else None
        noise = initial_noise((1, *shape), seed, freenoise_window=free, overlap=overlap)[0]
    start = rearrange(noise, "c t h w -> 1 c t h w")
    x = start * (1 + sigmas[0] ** 2) ** 0.5
    if isinstance(unet, torch.nn.Module):
        x = x.to(next(unet.parameters()).device)
    result = sample_euler_ancestral(model, x, sigmas, callback=callback, resume=resume, seed=seed, noise=step_noise)
    return ((result[0] + 1) / 2).float().cpu()


def vdm_loss(unet: Callable[..., Tensor], pixels: Tensor, schedule: NoiseSchedule, **conditions: Any) -> Tensor:
    """The L1 training loss of clips `(b, c, t, h, w)` in [0, 1] at random steps; conditions are the network's."""
    steps = torch.randint(0, len(schedule), (pixels.shape[0],), device=pixels.device)
    kept = schedule.alphas_cumprod.to(pixels.device)[steps].to(pixels.dtype).view(-1, 1, 1, 1, 1)
    noise = torch.randn_like(pixels)
    noisy = kept.sqrt() * (pixels * 2 - 1) + (1 - kept).sqrt() * noise
    return (unet(noisy, steps, **conditions) - noise).abs().mean()
