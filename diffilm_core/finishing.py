"""The networks that finish a film: `load_interpolator` and `load_upscaler`, imported when they are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from .frames import FrameStream
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
    scale: int | None = None,
    strength: float = 0.0,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> Upscaler:
    """The upscaling network of a file, or (None) the one that ships, of which `scale` (2 or 4) chooses the layers and
    `strength` (0 to 1) says the worst damage to repair. Raises DiffilmError."""
    from .models.upscaling import load_upscaler as load

    return load(source, scale=scale, strength=strength, device=device, dtype=dtype)


def own_scale(stream: FrameStream, scale: float | None, size: tuple[int, int] | None) -> int:
    """The scale of the upscaler that ships which `upscale(stream, scale, size)` needs: 2 or 4. Raises DiffilmError."""
    from .frames.upscale import target_size

    width, height = target_size(stream, scale, size)
    return 2 if width <= 2 * stream.width and height <= 2 * stream.height else 4
