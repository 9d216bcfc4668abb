"""Hyper-parameters read from tensor names and shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from ..errors import DiffilmError

if TYPE_CHECKING:
    from ..models.autoencoder import AutoencoderConfig
    from ..models.unet import UNetConfig


def _numbers(names: Mapping[str, Tensor], pattern: str) -> list[int]:
    return sorted({int(m[1]) for name in names if (m := re.match(pattern, name))})


def unet_config(
    tensors: Mapping[str, Tensor], *, num_heads: int | None = None, head_dim: int | None = None
) -> UNetConfig:
    """The shape of the Stable Diffusion UNet with these LDM-named tensors.

    Raises DiffilmError where the names do not add up to one.
    """
    from ..models.unet import UNetConfig

    try:
        width = tensors["input_blocks.0.0.weight"].shape[0]
        blocks = _numbers(tensors, r"input_blocks\.(\d+)\.")
        down = [i for i in blocks if f"input_blocks.{i}.0.op.weight" in tensors]
        res_blocks = (down[0] if down else len(blocks)) - 1
        starts = range(1, len(blocks), res_blocks + 1)
        mult = tuple(tensors[f"input_blocks.{i}.0.out_layers.3.weight"].shape[0] // width for i in starts)
        depth = tuple(len(_numbers(tensors, rf"input_blocks\.{i}\.1\.transformer_blocks\.(\d+)\.")) for i in starts)
        middle = len(_numbers(tensors, r"middle_block\.1\.transformer_blocks\.(\d+)\."))
        crossed = next(name for name in tensors if name.endswith(".attn2.to_k.weight"))
        projection = next(name for name in tensors if name.endswith(".1.proj_in.weight"))
        out = tensors["out.2.weight"].shape[0]
    except (KeyError, StopIteration, IndexError, ZeroDivisionError) as error:
        raise DiffilmError(
            f"these tensors are no Stable Diffusion 1.x or 2.x UNet ({error or 'no cross-attention'} not found)"
        ) from error
    linear = tensors[projection].ndim == 2
    if num_heads is None and head_dim is None and linear:
        inner = {tensors[n].shape[0] for n in tensors if n.endswith(".attn2.to_q.weight")}
        head_dim = 64 if all(each % 64 == 0 for each in inner) else None
    return UNetConfig(
        in_channels=tensors["input_blocks.0.0.weight"].shape[1],
        out_channels=out,
        model_channels=width,
        channel_mult=mult,
        num_res_blocks=res_blocks,
        transformer_depth=depth,
        middle_depth=middle,
        context_dim=tensors[crossed].shape[1],
        num_heads=num_heads or 8,
        head_dim=None if num_heads else head_dim,
        use_linear=linear,
    )


def vae_config(tensors: Mapping[str, Tensor]) -> AutoencoderConfig:
    """The shape of the AutoencoderKL with these LDM-named tensors; the scale of its latents is Stable Diffusion's.

    Raises DiffilmError where the names do not add up to one.
    """
    from ..models.autoencoder import AutoencoderConfig

    try:
        entry = tensors["encoder.conv_in.weight"]
        levels = _numbers(tensors, r"encoder\.down\.(\d+)\.")
        widths = [tensors[f"encoder.down.{i}.block.0.conv1.weight"].shape[0] for i in levels]
        return AutoencoderConfig(
            ch=entry.shape[0],
            ch_mult=tuple(width // entry.shape[0] for width in widths),
            num_res_blocks=len(_numbers(tensors, r"encoder\.down\.0\.block\.(\d+)\.")),
            z_channels=tensors["encoder.conv_out.weight"].shape[0] // 2,
            in_channels=entry.shape[1],
        )
    except (KeyError, IndexError, ZeroDivisionError) as error:
        raise DiffilmError(f"these tensors are no AutoencoderKL ({error} not found)") from error
