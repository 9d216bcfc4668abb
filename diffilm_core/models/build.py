"""What the layers of a UNet are made with."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import nn

from .attention import AttentionFunction, sdpa_attention

if TYPE_CHECKING:
    from .dialect import TemporalDialect


@dataclass(frozen=True)
class Build:
    """What every layer is made with: what stands between the spatial layers, where layers come from, how attention is
    done, dtype and device."""

    dialect: TemporalDialect
    operations: Any = nn
    attention: AttentionFunction = sdpa_attention
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
