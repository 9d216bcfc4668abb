"""Noise drawn on the CPU, so that a seed means the same numbers on every device."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from einops import rearrange
from torch import Tensor

from ..errors import DiffilmError

MAX_SEED = 2**64 - 1
Seed = int | Sequence[int]
"""That of a batch, or one for each of its clips."""


def cpu_generator(seed: int) -> torch.Generator:
    """A CPU generator at that seed. Raises DiffilmError unless 0 <= seed < 2^64."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        raise DiffilmError(f"seed {seed!r}; expected a whole number from 0 to {MAX_SEED}")
    return torch.Generator("cpu").manual_seed(seed)


def frame_noise(shape: tuple[int, ...] | torch.Size, generator: torch.Generator) -> Tensor:
    """Standard normal float32 noise; (b, c, t, h, w) is drawn frame by frame, so b = 1 has the numbers that
    ComfyUI draws for a 4-D clip `[t, c, h, w]`."""
    if len(shape) != 5:
        return torch.randn(tuple(shape), generator=generator)
    b, c, t, h, w = shape
    drawn = torch.randn((b * t, c, h, w), generator=generator)
    return rearrange(drawn, "(b t) c h w -> b c t h w", b=b).contiguous()


def freenoise_order(frames: int, window: int, overlap: int, seed: int) -> Tensor:
    """Which drawn frame each frame's noise is: (frames,) int64 (the noise rescheduling of FreeNoise, Qiu et al. 2023).

    The first window is as drawn; after it every stride of window - overlap frames repeats, shuffled, the
    stride one window earlier. So any window of `window` frames that starts at a multiple of the stride, and
    the last one, is a permutation of the first. ComfyUI's shuffles for the same seed.
    """
    check_window(window, overlap)
    generator = cpu_generator(seed)
    order = torch.arange(frames)
    stride = window - overlap
    for start in range(0, frames - window, stride):
        place = start + window
        count = min(stride, frames - place)
        order[place : place + count] = order[start + torch.randperm(count, generator=generator)]
    return order


def check_window(window: int, overlap: int) -> None:
    """Raises DiffilmError unless window >= 1 and 0 <= overlap < window."""
    if window < 1:
        raise DiffilmError(f"a context window of {window} frames; expected at least 1 (the model's training length)")
    if not 0 <= overlap < window:
        raise DiffilmError(f"an overlap of {overlap} frames; expected 0 to {window - 1} for windows of {window} frames")


def initial_noise(
    shape: tuple[int, ...] | torch.Size,
    seed: int,
    *,
    freenoise_window: int | None = None,
    overlap: int | None = None,
) -> Tensor:
    """Float32 CPU noise of shape (b, c, t, h, w); with `freenoise_window`, laid out for context windows over t.

    `overlap` defaults to half the window. Raises DiffilmError on a bad shape, seed, window or overlap.
    """
    if len(shape) != 5 or min(shape) < 1:
        raise DiffilmError(f"latents of shape {tuple(shape)}; expected (b, c, t, h, w) with every size at least 1")
    noise = frame_noise(shape, cpu_generator(seed))
    if freenoise_window is None:
        return noise
    overlap = freenoise_window // 2 if overlap is None else overlap
    return noise[:, :, freenoise_order(shape[2], freenoise_window, overlap, seed)]


class StepNoise:
    """The noise of a stochastic sampler, step by step, from a seeded CPU generator: `noise(step) -> Tensor`.

    Starts at seed + 1, as ComfyUI does on a CPU, so that it differs from the initial noise. Asking for step
    k first draws and drops the steps before it: a resumed run gets the noise of an uninterrupted one. Steps
    only go up. With a seed for each clip of the batch, each gets what it would get alone.

    Raises DiffilmError where seeds and clips are not as many.
    """

    def __init__(self, x: Tensor, seed: Seed) -> None:
        seeds = [seed] if isinstance(seed, int) else list(seed)
        if not isinstance(seed, int) and len(seeds) != x.shape[0]:
            raise DiffilmError(f"{len(seeds)} seeds for {x.shape[0]} clips; expected one number, or one for each clip")
        self.shape = (x.shape[0] // len(seeds), *x.shape[1:])
        self.device, self.dtype = x.device, x.dtype
        self.generators = [cpu_generator((each + 1) & MAX_SEED) for each in seeds]
        self.drawn = 0

    def __call__(self, step: int) -> Tensor:
        if step < self.drawn:
            raise ValueError(f"noise of step {step} was already drawn")
        while self.drawn <= step:
            noise = torch.cat([frame_noise(self.shape, generator) for generator in self.generators])
            self.drawn += 1
        return noise.to(self.device, self.dtype)


def noisy_start(latents: Tensor | None, noise: Tensor, sigma: Tensor | float, sigma_max: float) -> Tensor:
    """x at the first noise level, VE form: latents + sigma * noise; latents None means zeros.

    From the schedule's sigma_max up, the noise is scaled by sqrt(1 + sigma^2) instead (as ComfyUI does), so
    that the network sees unit variance.
    """
    full = float(sigma) > sigma_max or math.isclose(float(sigma), sigma_max, rel_tol=1e-5)
    level = torch.as_tensor(sigma, dtype=noise.dtype, device=noise.device)
    x = noise * ((level**2 + 1).sqrt() if full else level)
    return x if latents is None else x + latents.to(x)
