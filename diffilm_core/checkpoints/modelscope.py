"""ModelScope's UNet (Zeroscope's too): the original file and the diffusers folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor

from ..errors import DiffilmError
from .config import unet_config
from .layout import Layout
from .names import UNET_PREFIXES, strip_prefix, unet_to_ldm
from .sd import build_unet

if TYPE_CHECKING:
    from ..models.unet import UNetConfig

ORIGINAL_MARK = "input_blocks.1.0.temopral_conv.conv1.0.weight"
DIFFUSERS_MARK = "down_blocks.0.temp_convs.0.conv1.0.weight"
STEM = "input_blocks.0.1."
STEM_HEADS = 8

_OVER_TIME = "over_time."
TIME_LAYER = re.compile(r"(?:input_blocks\.\d+|output_blocks\.\d+|middle_block)\.2\.(?:norm|proj_|transformer_blocks)")


def moved_name(name: str) -> str:
    """Where a layer of the image UNet stands when each spatial transformer has one over time behind it: the second
    ResBlock of the middle and the upsamplers are one place on."""
    name = re.sub(r"^middle_block\.2\.", "middle_block.3.", name)
    return re.sub(r"^(output_blocks\.\d+)\.2\.conv\.", r"\1.3.conv.", name)


def _spatial_name(name: str) -> str:
    """A diffusers name in the words of their 2-D UNet, marked where it is a layer over time."""
    name = re.sub(r"^transformer_in\.", STEM, name)
    name = re.sub(r"\.temp_convs\.(\d+)\.", r".resnets.\1.temopral_conv.", name)
    return re.sub(r"\.temp_attentions\.(\d+)\.", rf".attentions.\1.{_OVER_TIME}", name)


def _shaped(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Conv1d of one frame as Linear, Conv3d of one pixel as a `(3, 1)` Conv2d: as our layers are."""
    return {name: tensor.squeeze(-1) if tensor.ndim in (3, 5) else tensor for name, tensor in tensors.items()}


def find_original(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    found = strip_prefix(tensors, UNET_PREFIXES, (ORIGINAL_MARK,))
    return _shaped({re.sub(r"^(input_blocks\.\d+)\.op\.", r"\1.0.op.", name): t for name, t in found.items()}) or None


def find_diffusers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    found = strip_prefix(tensors, UNET_PREFIXES, (DIFFUSERS_MARK,))
    if not found:
        return None
    renamed = unet_to_ldm({_spatial_name(name): tensor for name, tensor in found.items()})
    return _shaped({moved_name(name).replace(f".1.{_OVER_TIME}", ".2."): tensor for name, tensor in renamed.items()})


def config(tensors: Mapping[str, Tensor]) -> UNetConfig:
    """The shape of the UNet with these tensors; its first layer over time tells the width of a head.

    Raises DiffilmError where they are none.
    """
    inner = tensors.get(f"{STEM}proj_in.weight")
    if inner is None or inner.shape[0] % STEM_HEADS:
        raise DiffilmError(f"a ModelScope UNet without a usable {STEM}proj_in.weight; get the file again")
    head_dim = inner.shape[0] // STEM_HEADS
    image = {n: t for n, t in tensors.items() if not n.startswith(STEM) and not TIME_LAYER.match(n)}
    found = unet_config(image, head_dim=head_dim)
    return replace(found, temporal="modelscope", temporal_options={"head_dim": head_dim})


LAYOUTS = [
    Layout("original", "modelscope", "unet", find_original, config, build_unet),
    Layout("diffusers", "modelscope", "unet", find_diffusers, config, build_unet),
]
