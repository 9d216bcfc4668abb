"""Stable Video Diffusion's parts, in Stability's single file and in diffusers' folders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import DiffilmError
from . import image_encoder
from .config import unet_config, vae_config
from .layout import Layout
from .names import UNET_PREFIXES, resnet_name, strip_prefix, unet_to_ldm, vae_to_ldm
from .sd import build_unet

if TYPE_CHECKING:
    from ..models.unet import UNetConfig

ORIGINAL_MARK = "input_blocks.1.0.time_mixer.mix_factor"
DIFFUSERS_MARK = "down_blocks.0.resnets.0.time_mixer.mix_factor"
HEAD_DIM = 64
IDS, ID_WIDTH = 3, 256

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
    numbers = tensors["label_emb.0.0.weight"].shape[1] if "label_emb.0.0.weight" in tensors else 0
    if numbers != IDS * ID_WIDTH:
        raise DiffilmError(
            f"a UNet of Stable Video Diffusion's kind that is told {numbers} numbers, expected {IDS * ID_WIDTH} (frame "
            "rate, motion, noise): SV3D and other relatives do not run; take svd.safetensors or svd_xt.safetensors"
        )
    return replace(found, temporal="svd")


FIRST_STAGE = "first_stage_model."
CONDITIONER = "conditioner.embedders.3.encoder."
VAE_MARK = "decoder.mid.block_1.mix_factor"
DIFFUSERS_VAE_MARK = "decoder.mid_block.resnets.0.time_mixer.mix_factor"

_VAE_TEMPORAL = {"norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3"}


def find_original_vae(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """The autoencoder of a single file, or of one saved from it.

    The published file encodes the picture with a copy of its own beside the image encoder, which alone has the
    quant_conv; a file without it gets one that changes nothing.
    """
    found = strip_prefix(tensors, (FIRST_STAGE, "vae.", ""), (VAE_MARK,))
    if not found:
        return None
    for name in ("encoder.", "quant_conv."):
        copied = {n.removeprefix(CONDITIONER): t for n, t in tensors.items() if n.startswith(CONDITIONER + name)}
        if copied:
            found = {n: t for n, t in found.items() if not n.startswith(name)} | copied
    found = {n: t for n, t in found.items() if n.startswith(("encoder.", "decoder.", "quant_conv."))}
    if "quant_conv.weight" not in found and (out := found.get("encoder.conv_out.weight")) is not None:
        width = out.shape[0]
        found["quant_conv.weight"] = torch.eye(width, dtype=out.dtype, device=out.device)[:, :, None, None]
        found["quant_conv.bias"] = out.new_zeros(width)
    return found


def find_diffusers_vae(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    found = strip_prefix(tensors, ("vae.", ""), (DIFFUSERS_VAE_MARK,))
    return vae_to_ldm({_diffusers_vae_name(name): tensor for name, tensor in found.items()}) if found else None


def _diffusers_vae_name(name: str) -> str:
    """A name of diffusers' temporal autoencoder in the words of their plain one, the rest in SGM's."""
    if match := _TEMPORAL_RESNET.fullmatch(name):
        head, _, leaf = match[2].partition(".")
        return f"{match[1]}time_stack.{_VAE_TEMPORAL.get(head, head)}.{leaf}"
    name = name.replace(".spatial_res_block.", ".").replace(".time_mixer.", ".")
    return name.replace("decoder.time_conv_out.", "decoder.conv_out.time_mix_conv.")


def build_vae(
    config: Any,
    *,
    operations: Any = None,
    attention: Any = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> nn.Module:
    """The TemporalAutoencoder of an AutoencoderConfig; its layers are torch's."""
    from ..models.temporal_decoder import TemporalAutoencoder

    with torch.device(device or "cpu"):
        vae = TemporalAutoencoder(config)
    return vae if dtype is None else vae.to(dtype)


LAYOUTS = [
    Layout("original", "svd", "unet", find_original, config, build_unet),
    Layout("diffusers", "svd", "unet", find_diffusers, config, build_unet),
    Layout("original", "svd", "vae", find_original_vae, vae_config, build_vae),
    Layout("diffusers", "svd", "vae", find_diffusers_vae, vae_config, build_vae),
    *image_encoder.LAYOUTS,
]
