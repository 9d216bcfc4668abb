"""Which networks finish a movie's shots, by the names that the user gives."""

from __future__ import annotations

from pathlib import Path

import torch

from ..frames.interpolate import Interpolator
from ..frames.upscale import Upscaler
from ..models.interpolation import load_interpolator
from ..models.upscaling import load_upscaler

OURS = "diffilm"


def finishers(
    interpolator: str | Path | None,
    upscaler: str | Path | None,
    *,
    upscale: float | None = None,
    device: torch.device | str | None = None,
) -> tuple[Interpolator | None, Upscaler | None]:
    """The networks of those names: "diffilm" or None is ours; "blend" and "bicubic" are none; else a weight file.

    upscale: the factor from the sampled size, which says whether ours needs its second layer. Raises DiffilmError for a
    file that is missing or no such network.
    """
    between = larger = None
    if interpolator != "blend":
        between = load_interpolator(None if interpolator in (None, OURS) else interpolator, device=device)
    if upscaler in (None, OURS):
        larger = load_upscaler(scale=2 if (upscale or 1) <= 2 else 4, device=device)
    elif upscaler != "bicubic":
        larger = load_upscaler(upscaler, device=device)
    return between, larger
