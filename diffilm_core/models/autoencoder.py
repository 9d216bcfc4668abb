"""The AutoencoderKL of latent diffusion (Rombach et al. 2022), with the tensor names of LDM."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict, dataclass
from typing import Any

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..errors import DiffilmError


@dataclass(frozen=True)
class AutoencoderConfig:
    """The shape of an autoencoder. The defaults are Stable Diffusion's.

    `ch` base width, `ch_mult` its multiple at each level, `z_channels` of the latent, `scale_factor` the number that a
    latent is multiplied with to have unit variance.
    """

    ch: int = 128
    ch_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    z_channels: int = 4
    in_channels: int = 3
    scale_factor: float = 0.18215

    @property
    def downscale(self) -> int:
        """Pixels a latent cell is wide."""
        return 2 ** (len(self.ch_mult) - 1)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> AutoencoderConfig:
        return cls(**{**values, "ch_mult": tuple(values["ch_mult"])})


def group_norm(channels: int, eps: float = 1e-6) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(32, channels), channels, eps=eps)


class ResnetBlock(nn.Module):
    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = group_norm(cin), nn.Conv2d(cin, cout, 3, padding=1)
        self.norm2, self.conv2 = group_norm(cout), nn.Conv2d(cout, cout, 3, padding=1)
        if cin != cout:
            self.nin_shortcut = nn.Conv2d(cin, cout, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x) + h


class AttnBlock(nn.Module):
    """Single-head self-attention over the pixels, projections as 1x1 convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        height = x.shape[2]
        h = self.norm(x)
        q, k, v = (rearrange(each(h), "b c h w -> b 1 (h w) c") for each in (self.q, self.k, self.v))
        h = F.scaled_dot_product_attention(q, k, v)
        return x + self.proj_out(rearrange(h, "b 1 (h w) c -> b c h w", h=height))


class _Down(nn.Module):
    """Stride-2 convolution padded on the right and below only, as LDM does."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class _Up(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class _Middle(nn.Module):
    def __init__(self, channels: int, block: type[ResnetBlock] = ResnetBlock) -> None:
        super().__init__()
        self.block_1 = block(channels, channels)
        self.attn_1 = AttnBlock(channels)
        self.block_2 = block(channels, channels)

    def forward(self, x: Tensor, *more: int) -> Tensor:
        return self.block_2(self.attn_1(self.block_1(x, *more)), *more)


class _Stage(nn.Module):
    """The blocks of one level, from `widths[0]` through the others, and the resampling after them."""

    def __init__(self, widths: list[int], block: type[ResnetBlock] = ResnetBlock, **resample: nn.Module | None) -> None:
        super().__init__()
        self.block = nn.ModuleList(block(a, b) for a, b in itertools.pairwise(widths))
        for name, layer in resample.items():
            if layer is not None:
                self.add_module(name, layer)

    def forward(self, x: Tensor, *more: int) -> Tensor:
        for layer in self.block:
            x = layer(x, *more)
        for name, layer in self.named_children():
            x = x if name == "block" else layer(x)
        return x


class Encoder(nn.Module):
    """Pixels `(b, 3, h, w)` to moments `(b, 2 z, h / f, w / f)`."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(config.in_channels, config.ch, 3, padding=1)
        channels = config.ch
        self.down = nn.ModuleList()
        for level, mult in enumerate(config.ch_mult):
            widths = [channels] + [config.ch * mult] * config.num_res_blocks
            channels = widths[-1]
            self.down.append(_Stage(widths, downsample=_Down(channels) if level + 1 < len(config.ch_mult) else None))
        self.mid = _Middle(channels)
        self.norm_out = group_norm(channels)
        self.conv_out = nn.Conv2d(channels, 2 * config.z_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_in(x)
        for stage in self.down:
            h = stage(h)
        return self.conv_out(F.silu(self.norm_out(self.mid(h))))


class Decoder(nn.Module):
    """Latents `(b, z, h, w)` to pixels `(b, 3, h f, w f)`. `more` goes to the blocks."""

    def __init__(self, config: AutoencoderConfig, block: type[ResnetBlock] = ResnetBlock) -> None:
        super().__init__()
        channels = config.ch * config.ch_mult[-1]
        self.conv_in = nn.Conv2d(config.z_channels, channels, 3, padding=1)
        self.mid = _Middle(channels, block)
        stages: list[nn.Module] = []
        for level in reversed(range(len(config.ch_mult))):
            widths = [channels] + [config.ch * config.ch_mult[level]] * (config.num_res_blocks + 1)
            channels = widths[-1]
            stages.insert(0, _Stage(widths, block, upsample=_Up(channels) if level else None))
        self.up = nn.ModuleList(stages)
        self.norm_out = group_norm(channels)
        self.conv_out = nn.Conv2d(channels, config.in_channels, 3, padding=1)

    def forward(self, z: Tensor, *more: int) -> Tensor:
        h = self.mid(self.conv_in(z), *more)
        for stage in reversed(self.up):
            h = stage(h, *more)
        return self.conv_out(F.silu(self.norm_out(h)), *more)


class AutoencoderKL(nn.Module):
    """Pictures to latents and back. `encode` and `decode` work in scaled latents, as the UNet sees them."""

    def __init__(self, config: AutoencoderConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or AutoencoderConfig()
        self.encoder = Encoder(config)
        self.quant_conv = nn.Conv2d(2 * config.z_channels, 2 * config.z_channels, 1)
        self.build_decoder(config)

    def build_decoder(self, config: AutoencoderConfig) -> None:
        self.decoder = Decoder(config)
        self.post_quant_conv = nn.Conv2d(config.z_channels, config.z_channels, 1)

    @property
    def downscale(self) -> int:
        return self.config.downscale

    def moments(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of the unscaled latent; pixels `(b, 3, h, w)` in [-1, 1].

        Raises DiffilmError where h or w does not divide by `downscale`.
        """
        height, width = pixels.shape[2:]
        if height % self.downscale or width % self.downscale:
            raise DiffilmError(
                f"picture of {width}x{height} cannot be encoded: width and height must divide by {self.downscale}"
            )
        mean, logvar = self.quant_conv(self.encoder(pixels)).chunk(2, dim=1)
        return mean, logvar.clamp(-30, 20)

    def encode(self, pixels: Tensor) -> Tensor:
        """The mean latent, scaled: `(b, 3, h, w)` in [-1, 1] to `(b, z, h / f, w / f)`."""
        return self.moments(pixels)[0] * self.config.scale_factor

    def decode(self, latents: Tensor) -> Tensor:
        """Scaled latents `(b, z, h, w)` to pixels `(b, 3, h f, w f)`, about [-1, 1], not clamped."""
        return self.decoder(self.post_quant_conv(latents / self.config.scale_factor))
