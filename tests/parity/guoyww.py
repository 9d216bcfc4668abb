"""guoyww's AnimateDiff as an oracle, run from its repository where that is present.

Its code is read from the git repository named by DIFFILM_ANIMATEDIFF, or /work/.mirror/guoyww+AnimateDiff/repo. It was
written for diffusers 0.11, of which it gets here the few classes that it uses.
"""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

REPOSITORY = Path(os.environ.get("DIFFILM_ANIMATEDIFF", "/work/.mirror/guoyww+AnimateDiff/repo"))
FILES = ("attention", "motion_module", "resnet", "unet", "unet_blocks")


class CrossAttention(nn.Module):
    """Attention as diffusers 0.11 had it: the heads are folded into the batch."""

    def __init__(self, query_dim: int, cross_attention_dim: int | None = None, heads: int = 8, dim_head: int = 64,
                 dropout: float = 0.0, bias: bool = False, **_: Any) -> None:  # fmt: skip
        super().__init__()
        inner, context = heads * dim_head, cross_attention_dim or query_dim
        self.heads, self.scale = heads, dim_head**-0.5
        self.group_norm = self.added_kv_proj_dim = self._slice_size = None
        self._use_memory_efficient_attention_xformers = False
        self.to_q = nn.Linear(query_dim, inner, bias=bias)
        self.to_k, self.to_v = (nn.Linear(context, inner, bias=bias) for _ in range(2))
        self.to_out = nn.ModuleList([nn.Linear(inner, query_dim), nn.Dropout(dropout)])

    def reshape_heads_to_batch_dim(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2).flatten(0, 1)

    def _attention(self, query: Tensor, key: Tensor, value: Tensor, mask: Any = None) -> Tensor:
        weights = (query @ key.transpose(1, 2) * self.scale).softmax(-1)
        return (weights @ value).unflatten(0, (-1, self.heads)).transpose(1, 2).flatten(2)

    def forward(self, x: Tensor, encoder_hidden_states: Tensor | None = None, attention_mask: Any = None) -> Tensor:
        context = x if encoder_hidden_states is None else encoder_hidden_states
        each = (self.to_q(x), self.to_k(context), self.to_v(context))
        return self.to_out[0](self._attention(*map(self.reshape_heads_to_batch_dim, each)))


class Model(nn.Module):
    """ModelMixin and ConfigMixin in one."""

    config: SimpleNamespace
    dtype = torch.float32


def register_to_config(init: Any) -> Any:
    defaults = {name: each.default for name, each in inspect.signature(init).parameters.items()}

    def wrapped(self: Any, *args: Any, **keywords: Any) -> None:
        init(self, *args, **keywords)
        self.config = SimpleNamespace(**{**defaults, **keywords})

    return wrapped


def _module(name: str, **members: Any) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(members)
    return module


def load(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Its `unet` module. Skips the test where the repository is not there."""
    if not REPOSITORY.is_dir():
        pytest.skip(f"guoyww's AnimateDiff is not at {REPOSITORY}")
    embeddings = pytest.importorskip("diffusers.models.embeddings")
    attention = pytest.importorskip("diffusers.models.attention")
    package = folder / "guoyww_animatediff"
    package.mkdir()
    (package / "__init__.py").write_text("")
    for name in FILES:
        command = ["git", f"--git-dir={REPOSITORY}", "show", f"HEAD:animatediff/models/{name}.py"]
        (package / f"{name}.py").write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    logging = SimpleNamespace(get_logger=lambda _: SimpleNamespace(info=lambda *_: None))
    mixin = type("Mixin", (), {})
    fakes = {
        "torchvision": _module("torchvision"),
        "diffusers": _module("diffusers"),
        "diffusers.configuration_utils": _module("c", ConfigMixin=mixin, register_to_config=register_to_config),
        "diffusers.modeling_utils": _module("m", ModelMixin=Model),
        "diffusers.utils": _module("u", BaseOutput=object, logging=logging),
        "diffusers.utils.import_utils": _module("i", is_xformers_available=lambda: False),
        "diffusers.models": _module("n"),
        "diffusers.models.embeddings": embeddings,
        "diffusers.models.attention": _module(
            "a", CrossAttention=CrossAttention, FeedForward=attention.FeedForward, AdaLayerNorm=nn.LayerNorm
        ),
    }
    for name, fake in fakes.items():
        monkeypatch.setitem(sys.modules, name, fake)
    monkeypatch.syspath_prepend(str(folder))
    for name in [name for name in sys.modules if name.startswith(package.name)]:
        monkeypatch.delitem(sys.modules, name)
    return importlib.import_module(f"{package.name}.unet")


def unet(module: Any, version: str, **options: Any) -> Any:
    """Its UNet of v1, v2 or v3 with the settings of its inference configurations."""
    keywords: dict[str, Any] = {
        "use_motion_module": True,
        "motion_module_type": "Vanilla",
        "motion_module_mid_block": version == "v2",
        "use_inflated_groupnorm": version != "v1",
        "unet_use_cross_frame_attention": False,
        "unet_use_temporal_attention": False,
        "motion_module_kwargs": {
            "num_attention_heads": 8,
            "num_transformer_block": 1,
            "attention_block_types": ["Temporal_Self", "Temporal_Self"],
            "temporal_position_encoding": True,
            "temporal_position_encoding_max_len": 24 if version == "v1" else 32,
            "zero_initialize": False,
        },
        **options,
    }
    return module.UNet3DConditionModel(**keywords).eval().requires_grad_(False)
