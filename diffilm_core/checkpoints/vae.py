"""Stable Diffusion's autoencoder: in single files, alone, in a Lightning trainer's file, and in diffusers' names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import DiffilmError
from .config import vae_config
from .layout import Layout
from .names import strip_prefix, vae_to_ldm

LDM_MARK, DIFFUSERS_MARK = "decoder.mid.block_1.conv1.weight", "decoder.mid_block.resnets.0.conv1.weight"
STAGE = "first_stage_model."
PARTS = ("encoder.", "decoder.", "quant_conv.", "post_quant_conv.")
LOSS = "loss."  # the discriminator and LPIPS network that an autoencoder is trained with


def _own(found: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """The autoencoder's tensors among others, its attention's projections as 1x1 convolutions."""
    kept = {name: tensor for name, tensor in found.items() if name.startswith(PARTS)}
    return {n: t[:, :, None, None] if ".mid.attn_1." in n and t.ndim == 2 else t for n, t in kept.items()} or None


def find_stage(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Inside a whole checkpoint, whatever it is wrapped in."""
    prefixes = [name.removesuffix(LDM_MARK) for name in tensors if name.endswith(STAGE + LDM_MARK)]
    return _own(strip_prefix(tensors, sorted(prefixes, key=len), (LDM_MARK,)))


def _alone(tensors: Mapping[str, Tensor], trained: bool) -> dict[str, Tensor] | None:
    found = strip_prefix(tensors, ("vae.", "module.", "model.", "autoencoder.", ""), (LDM_MARK,))
    return _own(found) if any(name.startswith(LOSS) for name in found) == trained else None


def find_plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    return _alone(tensors, False)


def find_lightning(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """As it was trained: with the networks of its loss, which are left."""
    return _alone(tensors, True)


def find_diffusers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    found = strip_prefix(tensors, ("vae.", ""), (DIFFUSERS_MARK,))
    return vae_to_ldm(found) if found else None


def build_vae(
    config: Any,
    *,
    operations: Any = None,
    attention: Any = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> nn.Module:
    """The AutoencoderKL of an AutoencoderConfig; its layers are torch's."""
    from ..models.autoencoder import AutoencoderKL

    if min(config.ch, config.num_res_blocks, config.z_channels, config.in_channels, *config.ch_mult) < 1:
        raise DiffilmError(f"an autoencoder without channels or blocks ({config}): get the file again")
    with torch.device(device or "cpu"):
        return AutoencoderKL(config).to(dtype)


LAYOUTS = [
    Layout(name, "sd1", "vae", find, vae_config, build_vae)
    for name, find in (
        ("ldm", find_stage),
        ("plain", find_plain),
        ("lightning", find_lightning),
        ("diffusers", find_diffusers),
    )
]
