"""RIFE 4.0 to 4.26 in all published widths: any time between two frames, one network described by `Rife4Config`.

Names are those of the published files. What changed over the versions: PReLU and one skip around eight layers (4.0,
4.1), leaky ReLU (4.2), a scaled skip around every layer (4.5), features of the frames beside them (4.7), by a deeper
head (4.10, 4.13), features handed from block to block (4.21), a fifth block (4.25).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..warp import warp_corners as warp
from .rife3 import conv_prelu, resized


@dataclass(frozen=True)
class Rife4Config:
    """widths of the blocks; `prelu` (and one skip around the body), `residual` (a scaled skip around each layer, in
    `groups`), else plain leaky layers; `outputs` of a block (4 flow, 1 mask, the rest features or unused), `shuffled`
    to full size; `head` "", "pair", "sequence" or "layers", of `head_width` channels giving `features`; `hands_on`:
    features go from block to block; `scales` of the blocks."""

    widths: tuple[int, ...]
    prelu: bool = False
    residual: bool = True
    groups: int = 1
    outputs: int = 6
    shuffled: bool = True
    head: str = ""
    head_width: int = 0
    features: int = 0
    hands_on: bool = False
    scales: tuple[int, ...] = (8, 4, 2, 1)

    @property
    def extra(self) -> int:
        return self.outputs - 5 if self.hands_on else 0


def conv_leaky(inner: int, outer: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inner, outer, 3, stride, 1), nn.LeakyReLU(0.2))


class ResidualConv(nn.Module):
    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, 1, 1, groups=groups)
        self.beta = nn.Parameter(torch.ones(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.conv(x) * self.beta + x, 0.2)


class Head(nn.Module):
    """Features of a frame at its size, 4.13 and later."""

    def __init__(self, width: int, features: int) -> None:
        super().__init__()
        self.cnn0 = nn.Conv2d(3, width, 3, 2, 1)
        self.cnn1, self.cnn2 = nn.Conv2d(width, width, 3, 1, 1), nn.Conv2d(width, width, 3, 1, 1)
        self.cnn3 = nn.ConvTranspose2d(width, features, 4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.cnn0, self.cnn1, self.cnn2):
            x = F.leaky_relu(layer(x), 0.2)
        return self.cnn3(x)


def build_head(config: Rife4Config) -> nn.Module | None:
    width, last = config.head_width, nn.ConvTranspose2d(max(config.head_width, 1), max(config.features, 1), 4, 2, 1)
    if config.head == "pair":
        return nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), last)
    if config.head == "sequence":
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 2, 1), nn.LeakyReLU(0.2)]
        for _ in range(2):
            layers += [nn.Conv2d(width, width, 3, 1, 1), nn.LeakyReLU(0.2)]
        return nn.Sequential(*layers, last)
    return Head(width, config.features) if config.head == "layers" else None


class Block(nn.Module):
    def __init__(self, inner: int, width: int, config: Rife4Config) -> None:
        super().__init__()
        self.config = config
        conv = conv_prelu if config.prelu else conv_leaky
        self.conv0 = nn.Sequential(conv(inner, width // 2, 2), conv(width // 2, width, 2))
        body = [ResidualConv(width, config.groups) if config.residual else conv(width, width) for _ in range(8)]
        self.convblock = nn.Sequential(*body)
        if config.shuffled:
            last = nn.ConvTranspose2d(width, 4 * config.outputs, 4, 2, 1)
            self.lastconv: nn.Module = nn.Sequential(last, nn.PixelShuffle(2))
        else:
            self.lastconv = nn.ConvTranspose2d(width, config.outputs, 4, 2, 1)

    def forward(self, x: Tensor, flow: Tensor | None, scale: float) -> tuple[Tensor, Tensor, Tensor]:
        """Flow, mask and features at the size of x, computed at 1 / scale."""
        x = resized(x, 1 / scale)
        if flow is not None:
            x = torch.cat([x, resized(flow, 1 / scale) / scale], 1)
        x = self.conv0(x)
        x = self.convblock(x) + x if self.config.prelu else self.convblock(x)
        back = scale if self.config.shuffled else scale * 2
        out = resized(self.lastconv(x), back)
        return out[:, :4] * back, out[:, 4:5], out[:, 5:]


class Rife4(nn.Module):
    """Two frames and t (b,) to the frame between; 4.0 and 4.1 (`prelu`) look at one pair at a time, because the motion
    that they see may double their scales."""

    any_time = True

    def __init__(self, config: Rife4Config) -> None:
        super().__init__()
        self.config = config
        self.batch = 1 if config.prelu else 2
        self.multiple = 4 * max(config.scales) * (2 if config.prelu else 1)
        inner = 7 + 2 * config.features
        later = inner + 1 + 4 + config.extra
        for index, width in enumerate(config.widths):
            self.add_module(f"block{index}", Block(inner if index == 0 else later, width, config))
        encode = build_head(config)
        if encode is not None:
            self.encode = encode

    def forward(self, first: Tensor, second: Tensor, t: Tensor) -> Tensor:
        plane = t.to(first.dtype)[:, None, None, None].expand(-1, 1, *first.shape[2:])
        of_a = of_b = first[:, :0]
        if self.config.head:
            of_a, of_b = self.encode(first), self.encode(second)
        found = self._pass(first, second, of_a, of_b, plane, 1)
        if found is None:
            found = self._pass(first, second, of_a, of_b, plane, 2)
        assert found is not None
        return found

    def _pass(
        self, first: Tensor, second: Tensor, of_a: Tensor, of_b: Tensor, plane: Tensor, grow: int
    ) -> Tensor | None:
        """None where 4.0 has to start again with its scales doubled."""
        config = self.config
        blocks: list[Block] = [self.get_submodule(f"block{i}") for i in range(len(config.widths))]  # type: ignore[misc]
        start = torch.cat([first, second, of_a, of_b, plane], 1)
        flow, mask, more = blocks[0](start, None, config.scales[0] * grow)
        for index, (block, scale) in enumerate(zip(blocks[1:], config.scales[1:], strict=True)):
            a, b, at_a, at_b = _pulled(first, second, of_a, of_b, flow)
            x = torch.cat([a, b, at_a, at_b, plane, mask, *([more] if config.hands_on else [])], 1)
            change, new, more = block(x, flow, scale * grow)
            large = change.abs().amax((0, 2, 3))
            if config.prelu and grow == 1 and index == 0 and bool(large[:2].max() > 32 and large[2:].max() > 32):
                return None
            flow, mask = flow + change, new if config.head else mask + new
        a, b = warp(first, flow[:, :2]), warp(second, flow[:, 2:])
        mask = torch.sigmoid(mask)
        return a * mask + b * (1 - mask)


def _pulled(
    first: Tensor, second: Tensor, of_a: Tensor, of_b: Tensor, flow: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    a, b = warp(torch.cat([first, of_a], 1), flow[:, :2]), warp(torch.cat([second, of_b], 1), flow[:, 2:])
    return a[:, :3], b[:, :3], a[:, 3:], b[:, 3:]
