"""Renaming between tensor layouts: everything inside Diffilm speaks LDM."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from torch import Tensor

from ..errors import DiffilmError

UNET_PREFIXES = ("model.diffusion_model.", "diffusion_model.", "unet.", "module.", "")
_UNET_MARKS = ("input_blocks.0.0.weight", "conv_in.weight")

_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_TOP = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
_BLOCK = re.compile(r"(down_blocks|up_blocks)\.(\d+)\.(resnets|attentions|downsamplers|upsamplers)\.(\d+)\.(.+)")
_MIDDLE = re.compile(r"mid_block\.(resnets|attentions)\.(\d+)\.(.+)")


def strip_prefix(tensors: Mapping[str, Tensor], prefixes: Iterable[str], marks: Iterable[str]) -> dict[str, Tensor]:
    """The tensors under the first prefix that holds one of `marks`, without it; empty where none does."""
    for prefix in prefixes:
        if any(prefix + mark in tensors for mark in marks):
            return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}
    return {}


def resnet_name(rest: str) -> str:
    head, _, tail = rest.partition(".")
    return f"{_RESNET.get(head, head)}.{tail}"


def diffusers_unet_name(name: str, layers: int, attention_levels: frozenset[int]) -> str:
    """The LDM name of a tensor of diffusers' UNet2DConditionModel.

    layers: ResBlocks a level on the way down. attention_levels: the up_blocks that have attentions, which decides
    whether their upsampler is layer 1 or 2. A name that is not known is returned as it is.
    """
    head, _, leaf = name.rpartition(".")
    if head in _TOP:
        return f"{_TOP[head]}.{leaf}"
    if match := _MIDDLE.fullmatch(name):
        kind, index, rest = match.groups()
        if kind == "attentions":
            return f"middle_block.1.{rest}"
        return f"middle_block.{int(index) * 2}.{resnet_name(rest)}"
    match = _BLOCK.fullmatch(name)
    if match is None:
        return name
    side, level, kind, index, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
    if side == "down_blocks":
        if kind == "downsamplers":
            return f"input_blocks.{(level + 1) * (layers + 1)}.0.op.{leaf}"
        block = f"input_blocks.{1 + level * (layers + 1) + index}"
    else:
        if kind == "upsamplers":
            slot = 2 if level in attention_levels else 1
            return f"output_blocks.{level * (layers + 1) + layers}.{slot}.conv.{leaf}"
        block = f"output_blocks.{level * (layers + 1) + index}"
    return f"{block}.0.{resnet_name(rest)}" if kind == "resnets" else f"{block}.1.{rest}"


def unet_to_ldm(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A Stable Diffusion UNet's tensors in LDM names, from LDM or diffusers names, with or without a prefix.

    Raises DiffilmError where no UNet is found.
    """
    found = strip_prefix(tensors, UNET_PREFIXES, _UNET_MARKS)
    if "input_blocks.0.0.weight" in found:
        return found
    if not any(name.startswith("down_blocks.0.") for name in found):
        names = ", ".join(list(tensors)[:3])
        raise DiffilmError(
            f"no Stable Diffusion UNet among {len(tensors)} tensors ({names} ...): expected LDM names "
            "(input_blocks.0.0.weight) or diffusers names (down_blocks.0.resnets.0...)"
        )
    layers = len({name.split(".")[3] for name in found if name.startswith("down_blocks.0.resnets.")})
    attention = frozenset(int(m[1]) for name in found if (m := re.match(r"up_blocks\.(\d+)\.attentions\.", name)))
    return {diffusers_unet_name(name, layers, attention): tensor for name, tensor in found.items()}


_VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
_VAE_ATTENTION |= {"query": "q", "key": "k", "value": "v", "proj_attn": "proj_out"}  # before diffusers 0.17
_VAE_BLOCK = re.compile(r"(en|de)coder\.(down|up)_blocks\.(\d+)\.(resnets|downsamplers|upsamplers)\.(\d+)\.(.+)")
_VAE_MIDDLE = re.compile(r"((?:en|de)coder)\.mid_block\.(resnets|attentions)\.(\d+)\.(.+)")


def diffusers_vae_name(name: str, levels: int) -> str:
    """The LDM name of a tensor of diffusers' AutoencoderKL of that many levels; one not known is returned as it is."""
    if match := _VAE_MIDDLE.fullmatch(name):
        side, kind, index, rest = match.groups()
        if kind == "resnets":
            return f"{side}.mid.block_{int(index) + 1}.{rest}"
        head, _, leaf = rest.rpartition(".")
        return f"{side}.mid.attn_{int(index) + 1}.{_VAE_ATTENTION.get(head, head)}.{leaf}"
    if match := _VAE_BLOCK.fullmatch(name):
        side, way, level, kind, index, rest = match.groups()
        number = int(level) if way == "down" else levels - 1 - int(level)
        if kind == "resnets":
            return f"{side}coder.{way}.{number}.block.{index}.{rest.replace('conv_shortcut', 'nin_shortcut')}"
        return f"{side}coder.{way}.{number}.{kind.removesuffix('rs')}.{rest}"
    return name.replace(".conv_norm_out.", ".norm_out.")


def vae_to_ldm(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of diffusers' AutoencoderKL in LDM names, its attention's projections as 1x1 convolutions."""
    levels = len({m[1] for name in tensors if (m := re.match(r"encoder\.down_blocks\.(\d+)\.", name))})
    renamed = {diffusers_vae_name(name, levels): tensor for name, tensor in tensors.items()}
    return {
        name: tensor[:, :, None, None] if ".mid.attn_" in name and tensor.ndim == 2 else tensor
        for name, tensor in renamed.items()
    }
