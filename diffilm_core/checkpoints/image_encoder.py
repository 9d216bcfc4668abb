"""The picture encoder of Stable Video Diffusion, OpenCLIP's ViT-H/14, in open_clip's and transformers' names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ..errors import DiffilmError
from .layout import Layout
from .names import strip_prefix

if TYPE_CHECKING:
    from transformers import CLIPVisionConfig

HEAD_DIM = 80  # of ViT-H/14; no tensor's shape tells it
OPEN_CLIP_PREFIXES = ("conditioner.embedders.0.open_clip.model.visual.", "visual.", "")
PREFIXES = ("image_encoder.", "conditioner.embedders.0.", "")
OPEN_CLIP_MARK = "transformer.resblocks.0.attn.in_proj_weight"
MARK = "vision_model.embeddings.patch_embedding.weight"

_TOP = {
    "class_embedding": "embeddings.class_embedding",
    "conv1.weight": "embeddings.patch_embedding.weight",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_pre.weight": "pre_layrnorm.weight",
    "ln_pre.bias": "pre_layrnorm.bias",
    "ln_post.weight": "post_layernorm.weight",
    "ln_post.bias": "post_layernorm.bias",
}
_LAYER = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
_BLOCK = re.compile(r"transformer\.resblocks\.(\d+)\.(.+?)[._](weight|bias)")


def find_open_clip(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Transformers' names for open_clip's; q, k and v come apart and the projection is turned."""
    found = strip_prefix(tensors, OPEN_CLIP_PREFIXES, (OPEN_CLIP_MARK,))
    if "conv1.weight" not in found:  # a text tower has the same blocks
        return None
    renamed: dict[str, Tensor] = {}
    for name, tensor in found.items():
        match = _BLOCK.fullmatch(name)
        if name == "proj":
            renamed["visual_projection.weight"] = tensor.T
        elif match is None:
            renamed[f"vision_model.{_TOP.get(name, name)}"] = tensor
        elif match[2] == "attn.in_proj":
            for letter, part in zip("qkv", tensor.chunk(3), strict=True):
                renamed[f"vision_model.encoder.layers.{match[1]}.self_attn.{letter}_proj.{match[3]}"] = part
        else:
            renamed[f"vision_model.encoder.layers.{match[1]}.{_LAYER.get(match[2], match[2])}.{match[3]}"] = tensor
    return renamed


def find_transformers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    found = strip_prefix(tensors, PREFIXES, (MARK,))
    wanted = ("vision_model.", "visual_projection.")
    return {n: t for n, t in found.items() if n.startswith(wanted) and not n.endswith("position_ids")} or None


def config(tensors: Mapping[str, Tensor]) -> CLIPVisionConfig:
    """The shape of the encoder with these tensors. Raises DiffilmError where they are none of ViT-H's kind."""
    from transformers import CLIPVisionConfig

    try:
        patches = tensors[MARK]
        positions = tensors["vision_model.embeddings.position_embedding.weight"].shape[0]
        width, patch = patches.shape[0], patches.shape[-1]
        inner = tensors["vision_model.encoder.layers.0.mlp.fc1.weight"].shape[0]
        projection = tensors["visual_projection.weight"].shape[0]
    except (KeyError, IndexError) as error:
        raise DiffilmError(f"an image encoder without {error}: get the file again") from error
    if width % HEAD_DIM:
        raise DiffilmError(
            f"an image encoder of width {width}, expected one with heads of {HEAD_DIM}: the OpenCLIP ViT-H/14 that "
            "belongs to Stable Video Diffusion"
        )
    layers = {name.split(".")[3] for name in tensors if name.startswith("vision_model.encoder.layers.")}
    return CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=inner,
        projection_dim=projection,
        num_hidden_layers=len(layers),
        num_attention_heads=width // HEAD_DIM,
        image_size=round((positions - 1) ** 0.5) * patch,
        patch_size=patch,
        hidden_act="gelu",
    )


def build(
    config: CLIPVisionConfig,
    *,
    operations: Any = None,
    attention: Any = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> nn.Module:
    """Transformers' CLIPVisionModelWithProjection; operations and attention are its own."""
    from transformers import CLIPVisionModelWithProjection

    with torch.device(device or "cpu"):
        model: nn.Module = CLIPVisionModelWithProjection(config).eval()
    embeddings = model.get_submodule("vision_model.embeddings")
    count = embeddings.get_parameter("position_embedding.weight").shape[0]
    embeddings.register_buffer("position_ids", torch.arange(count)[None], persistent=False)  # none in the file
    return model if dtype is None else model.to(dtype)


LAYOUTS = [
    Layout(name, "svd", "image_encoder", find, config, build)
    for name, find in (("open_clip", find_open_clip), ("transformers", find_transformers))
]
