"""Stable Video Diffusion's UNet: Stability's single file and the diffusers folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor

from ..errors import DiffilmError
from .config import unet_config
from .names import UNET_PREFIXES, resnet_name, strip_prefix, unet_to_ldm

if TYPE_CHECKING:
    from ..models.unet import UNetConfig

ORIGINAL_MARK = "input_blocks.1.0.time_mixer.mix_factor"
DIFFUSERS_MARK = "down_blocks.0.resnets.0.time_mixer.mix_factor"
HEAD_DIM = 64
ID_WIDTH = 256

_TOP = {"add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2"}
_TEMPORAL_RESNET = re.compile(r"(.+\.)temporal_res_block\.(.+)")


def diffusers_name(name: str) -> str:
    """A diffusers name in the words of their 2-D UNet, with the temporal part in those of the single file."""
    head, _, leaf = name.rpartition(".")
    if head in _TOP:
        return f"{_TOP[head]}.{leaf}"
    if match := _TEMPORAL_RESNET.fullmatch(name):
        return f"{match[1]}time_stack.{resnet_name(match[2])}"
    name = name.replace(".spatial_res_block.", ".").replace(".temporal_transformer_blocks.", ".time_stack.")
    return name.replace(".time_pos_embed.linear_1.", ".time_pos_embed.0.").replace(
        ".time_pos_embed.linear_2.", ".time_pos_embed.2."
    )


def find_original(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    return strip_prefix(tensors, UNET_PREFIXES, (ORIGINAL_MARK,)) or None


def find_diffusers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    found = strip_prefix(tensors, UNET_PREFIXES, (DIFFUSERS_MARK,))
    return unet_to_ldm({diffusers_name(name): tensor for name, tensor in found.items()}) if found else None


def config(tensors: Mapping[str, Tensor]) -> UNetConfig:
    """The shape of the UNet with these tensors; heads of 64 channels. Raises DiffilmError where they are none."""
    found = unet_config(tensors, head_dim=HEAD_DIM)
    try:
        ids, rest = divmod(tensors["label_emb.0.0.weight"].shape[1], ID_WIDTH)
    except (KeyError, IndexError) as error:
        raise DiffilmError("a Stable Video Diffusion UNet without label_emb.0.0.weight; get the file again") from error
    if rest:
        raise DiffilmError(f"label_emb.0.0.weight takes {rest} numbers over a multiple of {ID_WIDTH}: an unknown model")
    return replace(found, temporal="svd", temporal_options={"ids": ids})
