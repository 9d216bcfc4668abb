"""Random ModelScope UNets in the names that are published: the original's and diffusers'."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from diffilm_core.checkpoints import modelscope
from diffilm_core.models.unet import UNet, UNetConfig

KEYS = Path(__file__).parents[1] / "keys"
CONTEXT = 1024


def tiny_config(context: int = CONTEXT, head_dim: int = 16) -> UNetConfig:
    """The published shape, an eighth as wide."""
    return UNetConfig(
        model_channels=32, channel_mult=(1, 2, 2, 2), context_dim=context, head_dim=head_dim, use_linear=True,
        temporal="modelscope", temporal_options={"head_dim": head_dim},
    )  # fmt: skip


def native(config: UNetConfig | None = None, seed: int = 0) -> dict[str, Tensor]:
    """Random weights in our names, of a spread that keeps numbers near 1; no layer is zero."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, empty in UNet(config or tiny_config(), device="meta").state_dict().items():
        fan = empty[0].numel() if empty.ndim > 1 else 25
        centre = 1.0 if empty.ndim == 1 and name.endswith("weight") else 0.0
        spread = 0.3 if name == "out.2.weight" else 1.0  # steps of a sampler do not grow what rounding began
        weights[name] = torch.randn(empty.shape, generator=generator) * spread / fan**0.5 + centre
    return weights


def original(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """In the names and shapes of `text2video_pytorch_model.pth`."""
    found = {}
    for name, tensor in weights.items():
        over_time = name.startswith(modelscope.STEM) or modelscope.TIME_LAYER.match(name)
        if name.endswith("weight") and ((over_time and ".proj_" in name) or tensor.shape[2:] == (3, 1)):
            tensor = tensor.unsqueeze(-1)
        found[name.replace(".0.op.", ".op.")] = tensor.contiguous()
    return found


def diffusers_places() -> dict[str, str]:
    """Every name of diffusers' full model, with ours."""
    names = [line.split(" ")[0] for line in (KEYS / "modelscope_diffusers.txt").read_text("utf-8").splitlines()]
    numbered = {name: torch.empty(number, device="meta") for number, name in enumerate(names)}
    found = modelscope.find_diffusers(numbered) or {}
    return {names[tensor.shape[0]]: own for own, tensor in found.items()}


def diffusers(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """In the names and shapes of diffusers' UNet3DConditionModel."""
    found = {}
    for name, own in diffusers_places().items():
        tensor = weights.get(own)
        if tensor is not None:  # a narrower model has fewer convolutions beside its blocks
            found[name] = (tensor.unsqueeze(-1) if tensor.shape[2:] == (3, 1) else tensor).contiguous()
    return found
