"""A random Stable Diffusion 1.5 checkpoint as ComfyUI's own loader knows one: its width, text encoder and autoencoder
are the published ones, its UNet has as few levels as are asked for."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from diffilm_core.checkpoints.files import write_tensors
from diffilm_core.models import AutoencoderKL, UNet, UNetConfig

SHALLOW = UNetConfig(channel_mult=(1,), num_res_blocks=1, transformer_depth=(1,))


def sd15(unet: UNetConfig = SHALLOW, seed: int = 0) -> dict[str, Tensor]:
    """Its tensors in the names of the single file."""
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(seed)
    text = CLIPTextModel(
        CLIPTextConfig(
            hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, vocab_size=49408,
            max_position_embeddings=77, hidden_act="quick_gelu",
        )
    )  # fmt: skip
    prefix = "cond_stage_model.transformer.text_model."
    return {
        **{f"model.diffusion_model.{name}": tensor for name, tensor in UNet(unet).state_dict().items()},
        **{f"first_stage_model.{name}": tensor for name, tensor in AutoencoderKL().state_dict().items()},
        **{prefix + name.removeprefix("text_model."): tensor for name, tensor in text.state_dict().items()},
    }


def write_sd15(folder: Path, name: str = "sd15_tiny.safetensors", *, unet: UNetConfig = SHALLOW) -> Path:
    """Write it in float16 into a folder of checkpoints; the file's path."""
    folder.mkdir(parents=True, exist_ok=True)
    return write_tensors(folder / name, {key: tensor.half() for key, tensor in sd15(unet).items()}, {})
