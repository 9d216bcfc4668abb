"""Video Diffusion Models as video-diffusion-pytorch saves them: the trainer's file, or the network's tensors alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor, nn

from ..errors import DiffilmError
from .layout import Layout

if TYPE_CHECKING:
    from ..models.vdm import VDMConfig

MARK = "time_rel_pos_bias.relative_attention_bias.weight"
FIRST = re.compile(r"downs\.(\d+)\.0\.block1\.proj\.weight")
NOT_KEPT = re.compile(r"\.rotary_emb\.(?!freqs$)")  # what some versions of the rotary package store beside


def find_vdm(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """The network's tensors, from under any wrapper (`ema.denoise_fn.` of the trainer's file before `model.`)."""
    prefixes = [name.removesuffix(MARK) for name in tensors if name.endswith(MARK)]
    prefixes = [prefix for prefix in prefixes if not prefix or prefix.endswith(".")]
    if not prefixes:
        return None
    prefix = min(prefixes, key=lambda each: ("ema" not in each.split("."), len(each)))
    found = {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
    return {name: value for name, value in found.items() if not NOT_KEPT.search(name)}


def vdm_config(tensors: Mapping[str, Tensor]) -> VDMConfig:
    """The shape of the network with these tensors. Raises DiffilmError where they do not add up to one."""
    from ..models.vdm import VDMConfig

    try:
        init, emb = tensors["init_conv.weight"], tensors["time_mlp.1.weight"]
        dim, heads = int(emb.shape[1]), int(tensors[MARK].shape[1])
        first = {int(m[1]): t for name, t in tensors.items() if (m := FIRST.fullmatch(name))}
        widths = [int(first[level].shape[0]) for level in range(len(first))]
        config = VDMConfig(
            dim=dim,
            dim_mults=tuple(width // dim for width in widths),
            channels=int(init.shape[1]),
            out_channels=int(tensors["final_conv.1.weight"].shape[0]),
            heads=heads,
            head_dim=int(tensors["init_temporal_attn.fn.fn.fn.to_qkv.weight"].shape[0]) // (3 * heads),
            cond_dim=int(tensors["null_cond_emb"].shape[1]) if "null_cond_emb" in tensors else None,
            kernel=int(init.shape[-1]),
            norm="rms" if "downs.0.0.block1.norm.gamma" in tensors else "group",
            linear_attention="downs.0.2.fn.fn.to_qkv.weight" in tensors,
        )
    except (KeyError, IndexError, ZeroDivisionError) as error:
        raise DiffilmError(f"these tensors are no whole VDM UNet ({error} not found): get the file again") from error
    if init.shape[0] != dim or not widths or any(width % dim for width in widths):
        raise DiffilmError(
            f"a VDM UNet of width {dim} with a first convolution of {init.shape[0]} and levels of {widths}: expected "
            "multiples of its width, as Unet3D(dim, dim_mults) makes them"
        )
    return config


def build_vdm(config: VDMConfig, **options: object) -> nn.Module:
    from ..models.vdm import VDMUNet

    return VDMUNet(config, **options)  # type: ignore[arg-type]


LAYOUTS = [Layout("original", "vdm", "unet", find_vdm, vdm_config, build_vdm)]
