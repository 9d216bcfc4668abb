"""Which noise levels a sampler visits: the spacings of ComfyUI, with its numbers, and ModelScope's own."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import DiffilmError
from .schedules import NoiseSchedule

KARRAS_RHO = 7.0
LCM_STEPS = 50
FULL_DENOISE = 0.9999  # from here up ComfyUI takes the whole schedule


def _with_zero(sigmas: Tensor) -> Tensor:
    return torch.cat([sigmas, sigmas.new_zeros(1)])


def _normal(schedule: NoiseSchedule, steps: int) -> Tensor:
    """Even in timesteps, the first and the last trained step included."""
    return _with_zero(schedule.sigma(torch.linspace(len(schedule) - 1, 0, steps)))


def _sgm_uniform(schedule: NoiseSchedule, steps: int) -> Tensor:
    """Even in timesteps, the last trained step (t = 0) replaced by sigma 0."""
    return _with_zero(schedule.sigma(torch.linspace(len(schedule) - 1, 0, steps + 1)[:-1]))


def _simple(schedule: NoiseSchedule, steps: int) -> Tensor:
    """Every (T / steps)-th trained sigma, counted from the noisy end."""
    stride = len(schedule) / steps
    index = torch.tensor([len(schedule) - 1 - int(i * stride) for i in range(steps)])
    return _with_zero(schedule.sigmas[index])


def _ddim_uniform(schedule: NoiseSchedule, steps: int) -> Tensor:
    """Timesteps 1, 1 + k, 1 + 2k ... with k = T // steps (DDIM, Song et al. 2021, "linear").

    Where `steps` does not divide T, the last stride still fits in and there is a step more, as in ComfyUI.
    """
    stride = max(len(schedule) // steps, 1)
    return _with_zero(schedule.sigmas[1::stride].flip(0))


def _ddim(schedule: NoiseSchedule, steps: int) -> Tensor:
    """Those of "ddim_uniform" down to the first trained level, alpha-bar_0, instead of 0: as ModelScope's DDIM and
    diffusers' for its model (`set_alpha_to_one` off) stop."""
    return torch.cat([_ddim_uniform(schedule, steps)[:-1], schedule.sigmas[:1]])


def _karras(schedule: NoiseSchedule, steps: int) -> Tensor:
    """Karras et al. 2022, eq. 5, with rho 7."""
    ramp = torch.linspace(0, 1, steps)
    low, high = schedule.sigma_min ** (1 / KARRAS_RHO), schedule.sigma_max ** (1 / KARRAS_RHO)
    return _with_zero((high + ramp * (low - high)) ** KARRAS_RHO)


def _lcm(schedule: NoiseSchedule, steps: int) -> Tensor:
    """Even picks, the noisiest first, of the 50 steps that consistency models are distilled on (Luo et al. 2023)."""
    if steps > LCM_STEPS:
        raise DiffilmError(f"{steps} steps of the lcm spacing; expected at most {LCM_STEPS} (4 to 8 are usual)")
    picked = torch.arange(steps) * LCM_STEPS // steps
    return _with_zero(schedule.sigmas[(LCM_STEPS - picked) * (len(schedule) // LCM_STEPS) - 1])


SPACINGS: dict[str, Callable[[NoiseSchedule, int], Tensor]] = {
    "normal": _normal,
    "karras": _karras,
    "simple": _simple,
    "sgm_uniform": _sgm_uniform,
    "ddim_uniform": _ddim_uniform,
    "ddim": _ddim,
    "lcm": _lcm,
}
FROM_NOISE = {"ddim"}
"""Spacings whose first step sees noise alone, of unit variance, though its level is not the schedule's highest."""


def sigmas_for(schedule: NoiseSchedule, steps: int, spacing: str = "normal", denoise: float = 1.0) -> Tensor:
    """Noise levels to visit: (steps + 1,) float32, descending, ending in 0 ("ddim": in the lowest trained).

    `denoise` below 1 (video-to-video) takes the last `steps` of int(steps / denoise) steps, as ComfyUI
    does, so the sampling starts at a lower noise. "ddim_uniform" and "ddim" have a step more where `steps`
    does not divide the schedule. Raises DiffilmError on an unknown spacing, steps < 1 or more than the schedule has,
    denoise outside (0, 1].
    """
    if spacing not in SPACINGS:
        raise DiffilmError(f"unknown spacing {spacing!r}; choose one of {', '.join(SPACINGS)}")
    if isinstance(steps, bool) or int(steps) != steps or steps < 1:
        raise DiffilmError(f"steps {steps!r}; expected a whole number of at least 1 (20 is usual)")
    if not 0 < denoise <= 1:
        raise DiffilmError(f"denoise {denoise:g}; expected more than 0 and at most 1 (1 ignores the input video)")
    steps = int(steps)
    total = steps if denoise > FULL_DENOISE else int(steps / denoise)
    if total > len(schedule):
        raise DiffilmError(
            f"{steps} steps at denoise {denoise:g} divide the schedule into {total}; expected at most {len(schedule)}; "
            "use fewer steps or a higher denoise"
        )
    sigmas = SPACINGS[spacing](schedule, total)
    return sigmas if denoise > FULL_DENOISE else sigmas[-(steps + 1) :]
