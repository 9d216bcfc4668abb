"""Diffilm's own dialect, the pseudo-3D one of Make-A-Video (Singer et al. 2022)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from einops import rearrange
from torch import Tensor, nn

from ..blocks import sinusoidal
from ..build import Build
from ..dialect import TemporalDialect

if TYPE_CHECKING:
    from ..unet import UNet


MIDDLE = 8
"""The position of a clip's middle frame."""


class TemporalConv(nn.Module):
    """1-D convolution over time, the second half of a pseudo-3D one (Singer et al. 2022, Make-A-Video, sec. 3.2.1).

    Kept as a `(kernel, 1)` Conv2d over `(t, h w)`. `reset` makes it the identity.
    """

    def __init__(self, build: Build, channels: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv = build.operations.Conv2d(channels, channels, (kernel, 1), padding=(kernel // 2, 0), **build.factory)

    def reset(self) -> None:
        weight = self.conv.weight
        with torch.no_grad():
            weight.zero_()
            weight[:, :, weight.shape[2] // 2, 0] = torch.eye(weight.shape[0], dtype=weight.dtype, device=weight.device)
            self.conv.bias.zero_()

    def forward(self, x: Tensor, frames: int) -> Tensor:
        height = x.shape[2]
        x = self.conv(rearrange(x, "(b t) c h w -> b c t (h w)", t=frames))
        return rearrange(x, "b c t (h w) -> (b t) c h w", h=height)


class TemporalAttention(nn.Module):
    """Self-attention over the frames at each pixel, added back (Make-A-Video, sec. 3.2.2).

    The frame's number enters as a sinusoid; `reset` makes the output projection zero, so that it adds nothing.
    """

    def __init__(self, build: Build, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention = build.attention
        self.norm = build.layer_norm(channels)
        self.to_qkv = build.linear(channels, channels * 3, bias=False)
        self.to_out = build.linear(channels, channels)

    def reset(self) -> None:
        for parameter in self.to_out.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, frames: int) -> Tensor:
        height, width = x.shape[2:]
        tokens = rearrange(x, "(b t) c h w -> (b h w) t c", t=frames)
        h = self.norm(tokens)
        h = h + frame_positions(frames, h.shape[-1]).to(h)
        q, k, v = self.to_qkv(h).chunk(3, dim=-1)
        tokens = tokens + self.to_out(self.attention(q, k, v, self.heads))
        return rearrange(tokens, "(b h w) t c -> (b t) c h w", h=height, w=width)


def frame_positions(frames: int, dim: int) -> Tensor:
    """Sinusoidal positions `(t, dim)` of the frames (Vaswani et al. 2017, sec. 3.5); the middle one of a clip of any
    length is at 8, as in one of 16 frames, since `sampling.OverTime` makes it a picture."""
    steps = torch.arange(dim // 2, dtype=torch.float32)
    places = torch.arange(frames, dtype=torch.float32)[:, None] - frames // 2 + MIDDLE
    angles = places * torch.exp(-math.log(1e4) * steps * 2 / dim)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class PseudoThreeD(TemporalDialect):
    """Diffilm's own dialect, Make-A-Video's: a temporal convolution after each spatial one, a temporal attention
    after each spatial transformer, the frame rate beside the timestep."""

    name = "pseudo3d"

    def after_conv(self, build: Build, channels: int) -> nn.Module | None:
        return TemporalConv(build, channels)

    def after_attention(self, build: Build, channels: int, heads: int) -> nn.Module | None:
        return TemporalAttention(build, channels, heads)

    def setup(self, unet: UNet, build: Build, width: int, emb: int) -> None:
        unet.fps_embed = nn.Sequential(build.linear(width, emb), nn.SiLU(), build.linear(emb, emb))

    def embed(self, unet: UNet, emb: Tensor, conditions: dict[str, Any]) -> Tensor:
        """`fps`: frames a second, a number or `(b,)`, 8 where none is given."""
        fps = conditions.get("fps")
        rate = torch.as_tensor(8.0 if fps is None else fps, dtype=torch.float32, device=emb.device)
        rate = rate.expand(emb.shape[0]) if rate.ndim == 0 else rate
        return emb + unet.get_submodule("fps_embed")(sinusoidal(rate * 10, unet.config.model_channels).to(emb.dtype))

    def reset(self, unet: UNet) -> None:
        for module in unet.modules():
            if isinstance(module, (TemporalConv, TemporalAttention)):
                module.reset()
        for parameter in unet.get_submodule("fps_embed.2").parameters():
            nn.init.zeros_(parameter)
