"""Which networks finish a movie's shots, by the names that the user gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..frames.interpolate import Interpolator
from ..frames.upscale import Upscaler
from ..models.interpolation.load import SHIPPED as INTERPOLATOR
from ..models.upscaling import FILE, SHIPPED

OURS = "diffilm"
UPSCALER = SHIPPED / FILE


def finishers(
    interpolator: str | Path | None, upscaler: str | Path | None, *, device: torch.device | str | None = None
) -> tuple[Interpolator | None, Upscaler | None]:
    """The networks of those names: "diffilm" is ours, "blend" and "bicubic" are none (None), else a weight file.

    None: ours where its weights ship. Raises DiffilmError for a file that is missing or no such network.
    """
    return (
        _loaded("load_interpolator", interpolator, "blend", INTERPOLATOR, device),
        _loaded("load_upscaler", upscaler, "bicubic", UPSCALER, device),
    )


def _loaded(loader: str, name: str | Path | None, plain: str, ours: Path, device: torch.device | str | None) -> Any:
    if name == plain or (name is None and not ours.is_file()):
        return None
    from .. import finishing

    return getattr(finishing, loader)(None if name in (None, OURS) else name, device=device)
