"""Tiny models with random weights, in the layout of the one that ships."""

from __future__ import annotations

from pathlib import Path

import torch

from diffilm_core.bundle import TOKENIZER, Defaults, ModelConfig, save_model, tokenizer_digest
from diffilm_core.models import AutoencoderConfig, AutoencoderKL, UNet, UNetConfig
from diffilm_core.text.clip import load_tokenizer


def tiny_model(path: Path, *, seed: int = 0, frames: int = 4, size: int = 32) -> Path:
    """Write a small model file: 8-channel latents at 1/8 size, temporal layers not the identity."""
    from transformers import CLIPTextConfig, CLIPTextModel

    torch.manual_seed(seed)
    unet_config = UNetConfig(
        in_channels=8,
        out_channels=8,
        model_channels=32,
        channel_mult=(1, 2),
        num_res_blocks=1,
        transformer_depth=(1, 1),
        context_dim=32,
        head_dim=16,
        use_linear=True,
        temporal="pseudo3d",
    )
    vae_config = AutoencoderConfig(ch=32, ch_mult=(1, 1, 1, 1), num_res_blocks=1, z_channels=8, scale_factor=0.8)
    first, last = load_tokenizer(TOKENIZER)("")["input_ids"]
    text_config = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 32,
        "vocab_size": len(load_tokenizer(TOKENIZER)),
        "bos_token_id": first,
        "eos_token_id": last,
        "pad_token_id": last,
        "hidden_act": "quick_gelu",
    }
    unet, vae = UNet(unet_config), AutoencoderKL(vae_config)
    for parameter in unet.temporal_parameters().values():
        torch.nn.init.normal_(parameter, std=0.05)
    config = ModelConfig(
        unet=unet_config,
        vae=vae_config,
        text=text_config,
        schedule={"name": "scaled_linear", "zero_terminal_snr": True},
        prediction="v",
        defaults=Defaults(width=size, height=size, frames=frames, steps=3),
        tokenizer=tokenizer_digest(),
    )
    text = CLIPTextModel(CLIPTextConfig(**text_config))
    return save_model(path, config, unet.state_dict(), vae.state_dict(), text.state_dict())
