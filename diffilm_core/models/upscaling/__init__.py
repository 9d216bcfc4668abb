"""Super-resolution networks: Diffilm's own, and whatever spandrel reads.

upscaler = load_upscaler()                      # ours, 4x: both layers; sees two frames on each side
upscaler = load_upscaler(scale=2)               # its first layer alone
upscaler = load_upscaler(strength=0.5)          # ours, repairing blur, noise and compression as well
upscaler = load_upscaler("RealESRGAN_x4.pth")   # frame by frame; its scale is the network's
"""

from __future__ import annotations

from pathlib import Path

import torch

from ...bundle import SHIPPED, as_device, usual_dtype
from ...checkpoints.source import open_source
from ...errors import DiffilmError
from ...frames import FrameStream
from ...frames.upscale import Upscaler, target_size
from .own import KEY, DiffilmUpscaler, own_layers

__all__ = ["FILE", "DiffilmUpscaler", "load_upscaler", "own_scale"]

FILE = "upscale.safetensors"
"""Name of the file with our two layers."""


def load_upscaler(
    source: str | Path | None = None,
    *,
    scale: int | None = None,
    strength: float = 0.0,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> Upscaler:
    """The upscaler of a file: one of ours, or one that spandrel reads; None is the one that ships.

    scale: 2 or 4 for ours, default 4; of others the one they have. strength: the worst damage that ours is to repair, 0
    (none: the film is clean) to 1. device, dtype: default the GPU where there is one; float32 on a CPU, float16
    elsewhere. Raises DiffilmError for a file that is missing, damaged or no upscaler, and for a scale or strength that
    it does not have.
    """
    path = SHIPPED / FILE if source is None else Path(source)
    if source is None and not path.is_file():
        raise DiffilmError(f"{path} is missing: install Diffilm again, give an upscaler's file, or use bicubic")
    if not 0 <= strength <= 1:
        raise DiffilmError(f"strength {strength}: expected 0 (a clean film) to 1 (badly damaged); give such a number")
    found = as_device(device)
    checkpoint = open_source(path)
    if KEY in checkpoint.metadata:
        if scale not in (None, 2, 4):
            raise DiffilmError(f"scale {scale} of {path}: Diffilm's upscaler has 2 and 4; give one of them")
        layers = own_layers(checkpoint)[: (scale or 4) // 2]
        return DiffilmUpscaler(*layers, strength=strength, device=found, dtype=dtype or usual_dtype(found))
    if strength:
        raise DiffilmError(f"strength {strength} of {path}: only Diffilm's own upscaler has one; leave it at 0")
    from .spandrel import load_spandrel

    foreign = load_spandrel(path, dict(checkpoint), device=found, dtype=dtype)
    if scale not in (None, foreign.scale):
        raise DiffilmError(f"scale {scale} of {path}: this network has {foreign.scale}; leave the scale out")
    return foreign


def own_scale(stream: FrameStream, scale: float | None, size: tuple[int, int] | None) -> int:
    """The scale of the upscaler that ships which `upscale(stream, scale, size)` needs: 2 or 4. Raises DiffilmError."""
    width, height = target_size(stream, scale, size)
    return 2 if width <= 2 * stream.width and height <= 2 * stream.height else 4
