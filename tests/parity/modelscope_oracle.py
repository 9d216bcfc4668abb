"""ModelScope's own code and diffusers', with random weights, as what the tests compare with."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

TINY: dict[str, Any] = {
    "block_out_channels": (32, 64, 64, 64),
    "attention_head_dim": 16,
    "cross_attention_dim": 48,
    "layers_per_block": 2,
}


def original(name: str) -> ModuleType:
    """A file of the modelscope package, on its own: the package needs far more."""
    package = importlib.util.find_spec("modelscope")
    if package is None or not package.submodule_search_locations:
        pytest.skip("no modelscope package: pip install --no-deps -r requirements-oracles.txt")
    path = Path(package.submodule_search_locations[0]) / "models/multi_modal/video_synthesis" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"modelscope_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def randomised(module: torch.nn.Module) -> Any:
    """Random norms and biases, and no layer that is zero."""
    for parameter in module.parameters():
        if parameter.ndim == 1 or not parameter.any():
            parameter.data.add_(torch.randn_like(parameter) * (0.2 if parameter.ndim == 1 else 0.05))
    return module.eval().requires_grad_(False)


def reference(options: dict[str, Any] | None = None) -> Any:
    torch.manual_seed(0)
    diffusers = pytest.importorskip("diffusers")
    return randomised(diffusers.UNet3DConditionModel(**(TINY if options is None else options)))


def original_unet(**options: Any) -> Any:
    torch.manual_seed(0)
    shape = {"dim": 32, "dim_mult": [1, 2, 2, 2], "head_dim": 16, "attn_scales": [1, 1 / 2, 1 / 4], **options}
    return randomised(
        original("unet_sd").UNetSD(
            in_dim=4, out_dim=4, y_dim=768, context_dim=1024, num_heads=8, num_res_blocks=2, **shape
        )
    )
