"""What the layers of a UNet are made with, and what a temporal dialect is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from .attention import AttentionFunction, sdpa_attention


class TemporalDialect:
    """What stands between the spatial layers; this one puts nothing there: the image model.

    A dialect is asked at fixed places for a layer, called `(x, frames)` with x `(b t) c h w`, or for None.
    """

    name = "none"
    conditions_on_fps = False

    def after_conv(self, build: Build, channels: int) -> nn.Module | None:
        """The layer after a 3x3, downsampling or upsampling convolution of `channels`."""
        return None

    def after_attention(self, build: Build, channels: int, heads: int) -> nn.Module | None:
        """The layer after a spatial transformer of `channels`."""
        return None


@dataclass(frozen=True)
class Build:
    """What every layer is made with: where layers come from, how attention is done, dtype and device."""

    operations: Any = nn
    attention: AttentionFunction = sdpa_attention
    dialect: TemporalDialect = field(default_factory=TemporalDialect)
    factory: dict[str, Any] = field(default_factory=dict)
    groups: int = 32

    def norm(self, channels: int, eps: float = 1e-5) -> nn.Module:
        """GroupNorm of 32 groups, or of the most that divide `channels`."""
        return self.operations.GroupNorm(math.gcd(self.groups, channels), channels, eps=eps, **self.factory)

    def conv(self, cin: int, cout: int, kernel: int = 3, stride: int = 1) -> nn.Module:
        return self.operations.Conv2d(cin, cout, kernel, stride=stride, padding=kernel // 2, **self.factory)

    def linear(self, cin: int, cout: int, bias: bool = True) -> nn.Module:
        return self.operations.Linear(cin, cout, bias=bias, **self.factory)

    def layer_norm(self, channels: int) -> nn.Module:
        return self.operations.LayerNorm(channels, **self.factory)
