"""Random Stable Video Diffusion files in the layout of the published single file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffilm_core.checkpoints.files import write_tensors
from diffilm_core.models import UNet, UNetConfig
from diffilm_core.models.temporal_decoder import TemporalAutoencoder

TINY_UNET = UNetConfig(
    in_channels=8, model_channels=64, channel_mult=(1, 2), num_res_blocks=1, transformer_depth=(1, 0), context_dim=48,
    head_dim=64, use_linear=True, temporal="svd",
)  # fmt: skip
TINY_VISION: dict[str, Any] = {
    "hidden_size": 160, "intermediate_size": 96, "projection_dim": 48, "num_hidden_layers": 2,
    "num_attention_heads": 2, "image_size": 224, "patch_size": 56, "hidden_act": "gelu",
}  # fmt: skip
VISUAL = "conditioner.embedders.0.open_clip.model.visual."


def to_open_clip(tensors: dict[str, Tensor], layers: int) -> dict[str, Tensor]:
    """open_clip's names of a vision tower in transformers', written down apart from what is tested."""
    base = "vision_model.embeddings."
    made = {
        "class_embedding": tensors[f"{base}class_embedding"],
        "positional_embedding": tensors[f"{base}position_embedding.weight"],
        "conv1.weight": tensors[f"{base}patch_embedding.weight"],
        "proj": tensors["visual_projection.weight"].T,
    }
    for leaf in ("weight", "bias"):
        made[f"ln_pre.{leaf}"] = tensors[f"vision_model.pre_layrnorm.{leaf}"]
        made[f"ln_post.{leaf}"] = tensors[f"vision_model.post_layernorm.{leaf}"]
        for i in range(layers):
            theirs, block = f"vision_model.encoder.layers.{i}", f"transformer.resblocks.{i}"
            qkv = [tensors[f"{theirs}.self_attn.{letter}_proj.{leaf}"] for letter in "qkv"]
            made[f"{block}.attn.in_proj_{leaf}"] = torch.cat(qkv)
            made[f"{block}.attn.out_proj.{leaf}"] = tensors[f"{theirs}.self_attn.out_proj.{leaf}"]
            made[f"{block}.ln_1.{leaf}"] = tensors[f"{theirs}.layer_norm1.{leaf}"]
            made[f"{block}.ln_2.{leaf}"] = tensors[f"{theirs}.layer_norm2.{leaf}"]
            made[f"{block}.mlp.c_fc.{leaf}"] = tensors[f"{theirs}.mlp.fc1.{leaf}"]
            made[f"{block}.mlp.c_proj.{leaf}"] = tensors[f"{theirs}.mlp.fc2.{leaf}"]
    return made


def single_file(unet: UNetConfig = TINY_UNET, seed: int = 0) -> dict[str, Tensor]:
    """A small UNet and image encoder and, because ComfyUI knows no other, an autoencoder of the published size."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(seed)
    network, vae = UNet(unet), TemporalAutoencoder()
    with torch.no_grad():
        for parameter in (*network.parameters(), *vae.parameters()):
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    vision = CLIPVisionModelWithProjection(CLIPVisionConfig(**TINY_VISION))
    made = {f"model.diffusion_model.{name}": tensor for name, tensor in network.state_dict().items()}
    for name, tensor in vae.state_dict().items():
        if not name.startswith("quant_conv."):
            made[f"first_stage_model.{name}"] = tensor
        if name.startswith(("encoder.", "quant_conv.")):
            made[f"conditioner.embedders.3.encoder.{name}"] = tensor.clone()
    layers = TINY_VISION["num_hidden_layers"]
    return made | {VISUAL + name: tensor for name, tensor in to_open_clip(vision.state_dict(), layers).items()}


def write_svd(folder: Path, name: str = "svd_tiny.safetensors", *, dtype: torch.dtype = torch.float16) -> Path:
    """Write it into a folder of checkpoints; the file's path."""
    folder.mkdir(parents=True, exist_ok=True)
    return write_tensors(folder / name, {key: tensor.to(dtype) for key, tensor in single_file().items()}, {})
