"""The networks that finish a film: `load_interpolator` and `load_upscaler`, imported when they are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from .frames.interpolate import Interpolator
    from .frames.upscale import Upscaler


def load_interpolator(
    source: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> Interpolator:
    """The interpolation network of a file, or (None) the one that ships. Raises DiffilmError."""
    from .models.interpolation import load_interpolator as load

    return load(source, device=device, dtype=dtype)


def load_upscaler(
    source: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> Upscaler:
    """The upscaling network of a file, or (None) the one that ships. Raises DiffilmError."""
    from .models.upscaling import load_upscaler as load

    return load(source, device=device, dtype=dtype)
