"""The UNets of Stable Diffusion 1.x and 2.x: in single files, in LDM names, and in diffusers' names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from ..errors import DiffilmError
from .config import unet_config
from .layout import Layout
from .names import UNET_PREFIXES, strip_prefix, unet_to_ldm

ORIGINAL_MARK, DIFFUSERS_MARK = "input_blocks.0.0.weight", "down_blocks.0.resnets.0.conv1.weight"
CROSS = ".transformer_blocks.0.attn2.to_k.weight"
LINEAR_DIMS = 2  # of proj_in: SD 2.x has Linear, SD 1.x a convolution
SDXL = "label_emb."


def _is(system: str, tensors: Mapping[str, Tensor]) -> bool:
    if not any(name.endswith(CROSS) for name in tensors) or any(name.startswith(SDXL) for name in tensors):
        return False
    linear = any(name.endswith(".1.proj_in.weight") and t.ndim == LINEAR_DIMS for name, t in tensors.items())
    return linear == (system == "sd2")


def _finder(system: str, mark: str) -> Callable[[Mapping[str, Tensor]], dict[str, Tensor] | None]:
    def find(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
        found = strip_prefix(tensors, UNET_PREFIXES, (mark,))
        if not found:
            return None
        if any(name.startswith(("add_embedding.", SDXL)) for name in found):
            raise DiffilmError("a UNet of SDXL, which Diffilm does not run: take one of Stable Diffusion 1.x or 2.x")
        found = unet_to_ldm(found)
        return found if _is(system, found) else None

    return find


def build_unet(config: Any, **options: Any) -> nn.Module:
    """The UNet of a UNetConfig, in any dialect."""
    from ..models.unet import UNet

    return UNet(config, **options)


LAYOUTS = [
    Layout(name, system, "unet", _finder(system, mark), unet_config, build_unet)
    for system in ("sd1", "sd2")
    for name, mark in (("ldm", ORIGINAL_MARK), ("diffusers", DIFFUSERS_MARK))
]
