"""Diffilm's super-resolution: two layers that each double the size, 4x together (Make-A-Video 3.1's SR_l^t and SR_h).

The first layer sees neighbours in time, fused in the first convolution (Caballero et al. 2017, "early fusion"); the
second sees one frame, folded to a quarter of its pixels, so that both do their work at the size of the film that came
in. Residual blocks without norms (EDSR, Lim et al. 2017), pixel shuffle (ESPCN, Shi et al. 2016) and a plane with the
strength of the damage to repair (FFDNet's noise level map, Zhang et al. 2018). The last convolution starts at zero: an
untrained layer is bicubic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


@dataclass(frozen=True)
class DoublerConfig:
    """`radius` neighbours on each side in time; `fold`: pixels folded into channels before the first convolution."""

    width: int = 64
    blocks: int = 8
    radius: int = 2
    fold: int = 1


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a skip: `(b, c, h, w)` to the same."""

    def __init__(self, width: int, factory: dict[str, Any]) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1, **factory)
        self.second = nn.Conv2d(width, width, 3, padding=1, **factory)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(x)))


class Doubler(nn.Module):
    """A window of frames to its middle frame at twice the size: bicubic plus what the network adds."""

    def __init__(self, config: DoublerConfig, **factory: Any) -> None:
        super().__init__()
        self.config = config
        window, fold, width = 2 * config.radius + 1, config.fold, config.width
        self.enter = nn.Conv2d(3 * window * fold**2 + 1, width, 3, padding=1, **factory)
        self.blocks = nn.ModuleList(ResidualBlock(width, factory) for _ in range(config.blocks))
        self.join = nn.Conv2d(width, width, 3, padding=1, **factory)
        self.grow = nn.Conv2d(width, width * fold**2 // (2 if fold > 1 else 1), 3, padding=1, **factory)
        self.leave = nn.Conv2d(width // (2 if fold > 1 else 1), 12, 3, padding=1, **factory)
        for parameter in self.leave.parameters():
            nn.init.zeros_(parameter)

    def forward(self, frames: Tensor, strength: Tensor) -> Tensor:
        """frames `(b, t, 3, h, w)`, strength `(b,)` in [0, 1] -> `(b, 3, 2h, 2w)`, not clamped."""
        fold = self.config.fold
        h, w = frames.shape[-2:]
        x = rearrange(frames, "b t c h w -> b (t c) h w") - 0.5
        if h % fold or w % fold:
            x = F.pad(x, (0, -w % fold, 0, -h % fold), mode="replicate")
        x = F.pixel_unshuffle(x, fold) if fold > 1 else x
        plane = strength.to(x)[:, None, None, None].expand(-1, 1, *x.shape[-2:])
        x = torch.cat([x, plane], 1).to(self.enter.weight.dtype).contiguous(memory_format=torch.channels_last)
        first = x = self.enter(x)
        for block in self.blocks:
            x = block(x)
        x = F.leaky_relu(self.grow(first + self.join(x)), 0.1)  # of a plain ReLU all channels once died in training
        x = F.pixel_shuffle(x, fold) if fold > 1 else x
        x = F.pixel_shuffle(self.leave(x), 2)[..., : 2 * h, : 2 * w]
        return twice(frames[:, self.config.radius]) + x.to(frames.dtype)


def twice(frames: Tensor) -> Tensor:
    """`(b, 3, h, w)` at twice the size, bicubic as `frames.upscale` does it."""
    size = (2 * frames.shape[-2], 2 * frames.shape[-1])
    return F.interpolate(frames, size, mode="bicubic", antialias=True, align_corners=False)
