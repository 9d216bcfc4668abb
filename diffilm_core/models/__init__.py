"""Networks: the Stable Diffusion UNet skeleton with its temporal dialects, and the autoencoder."""

from __future__ import annotations

from .attention import AttentionFunction, sdpa_attention
from .autoencoder import AutoencoderConfig, AutoencoderKL
from .inflate import inflate
from .unet import UNet, UNetConfig, is_temporal

__all__ = [
    "AttentionFunction",
    "AutoencoderConfig",
    "AutoencoderKL",
    "UNet",
    "UNetConfig",
    "inflate",
    "is_temporal",
    "sdpa_attention",
]
