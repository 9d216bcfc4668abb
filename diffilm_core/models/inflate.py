"""An image UNet becomes a video UNet that makes the same images until it has seen a video."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import DiffilmError
from .attention import AttentionFunction, sdpa_attention
from .unet import UNet, is_temporal


def inflate(
    state_dict: Mapping[str, Tensor],
    *,
    num_heads: int | None = None,
    head_dim: int | None = None,
    operations: Any = nn,
    attention: AttentionFunction = sdpa_attention,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> UNet:
    """Put Diffilm's pseudo-3D layers into a Stable Diffusion 1.x or 2.x UNet (Make-A-Video, sec. 3.2).

    state_dict: its tensors in LDM or diffusers names, with or without a prefix, alone or inside a whole checkpoint.
    The heads are in no tensor's shape: 8 where the projections are convolutions (SD 1.x), 64 channels each where they
    are Linear (SD 2.x), unless `num_heads` or `head_dim` says otherwise. The temporal layers start as the
    identity, so every frame equals the image model's. Raises DiffilmError where it is no such UNet.
    """
    from ..checkpoints.config import unet_config  # which builds on this package
    from ..checkpoints.names import unet_to_ldm

    tensors = unet_to_ldm(state_dict)
    config = unet_config(tensors, num_heads=num_heads, head_dim=head_dim).with_time()
    unet = UNet(config, operations=operations, attention=attention, dtype=dtype, device=device)
    missing, unexpected = unet.load_state_dict(tensors, strict=False)
    missing = [name for name in missing if not is_temporal(name)]
    if missing or unexpected:
        wrong = [f"missing {name}" for name in missing] + [f"unexpected {name}" for name in unexpected]
        raise DiffilmError(
            f"these tensors are no Stable Diffusion 1.x or 2.x UNet: {', '.join(wrong[:3])}"
            + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
        )
    return unet
