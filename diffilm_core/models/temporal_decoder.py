"""Stable Video Diffusion's autoencoder: the image encoder of latent diffusion and a decoder that sees the frames of a
clip together (Blattmann et al. 2023), with the tensor names of the single file."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn

from .autoencoder import AutoencoderConfig, AutoencoderKL, Decoder, ResnetBlock, group_norm


def _time_conv(channels: int) -> nn.Conv3d:
    return nn.Conv3d(channels, channels, (3, 1, 1), padding=(1, 0, 0))


class TimeBlock(nn.Module):
    """Two convolutions over the frames, each after a norm over all frames together, added to x `(b, c, t, h, w)`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(group_norm(channels, 1e-5), nn.SiLU(), _time_conv(channels))
        self.out_layers = nn.Sequential(group_norm(channels, 1e-5), nn.SiLU(), nn.Identity(), _time_conv(channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.out_layers(self.in_layers(x))


class VideoResnetBlock(ResnetBlock):
    """The image block and its temporal twin; sigmoid(mix_factor) is the *temporal* one's share, unlike the UNet's."""

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__(cin, cout)
        self.time_stack = TimeBlock(cout)
        self.mix_factor = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, frames: int = 1) -> Tensor:
        x = super().forward(x)
        clip = rearrange(x, "(b t) c h w -> b c t h w", t=frames)
        mixed = torch.lerp(clip, self.time_stack(clip), torch.sigmoid(self.mix_factor).to(x.dtype))
        return rearrange(mixed, "b c t h w -> (b t) c h w")


class _TimeConvOut(nn.Conv2d):
    def __init__(self, cin: int, cout: int) -> None:
        super().__init__(cin, cout, 3, padding=1)
        self.time_mix_conv = _time_conv(cout)

    def forward(self, x: Tensor, frames: int = 1) -> Tensor:
        clip = rearrange(super().forward(x), "(b t) c h w -> b c t h w", t=frames)
        return rearrange(self.time_mix_conv(clip), "b c t h w -> (b t) c h w")


class TemporalDecoder(Decoder):
    """Called `(z, frames)`: latents `(b t, z, h, w)` of clips of that many frames to pixels `(b t, 3, h f, w f)`."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__(config, VideoResnetBlock)
        self.conv_out = _TimeConvOut(config.ch * config.ch_mult[0], config.in_channels)


class TemporalAutoencoder(AutoencoderKL):
    """AutoencoderKL whose decoder sees all frames that it is given together: how many at a time decides the pixels."""

    temporal = True

    def build_decoder(self, config: AutoencoderConfig) -> None:
        self.decoder = TemporalDecoder(config)

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents `(t, z, h, w)` of one clip to pixels `(t, 3, h f, w f)`, about [-1, 1], not clamped."""
        return self.decoder(latents / self.config.scale_factor, latents.shape[0])

    def encode_image(self, pixels: Tensor) -> Tensor:
        """The latent that the UNet reads beside the noisy clip: the mean, *not* scaled. `(b, 3, h, w)` in [-1, 1]."""
        return self.moments(pixels)[0]
