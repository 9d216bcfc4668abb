"""RIFE 3.1, 3.5 and 3.8: the frame at the middle of two (Huang et al. 2022, and its authors' later models).

Names are those of the published files. 3.1 is three networks (flow, context, fusion), 3.5 and 3.8 are one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..warp import warp_corners as warp


def resized(x: Tensor, factor: float) -> Tensor:
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def conv_prelu(inner: int, outer: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inner, outer, 3, stride, 1), nn.PReLU(outer))


def deconv_prelu(inner: int, outer: int) -> nn.Sequential:
    return nn.Sequential(nn.ConvTranspose2d(inner, outer, 4, 2, 1), nn.PReLU(outer))


class Double(nn.Module):
    """Two convolutions, the first one halving."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = conv_prelu(inner, outer, 2), conv_prelu(outer, outer)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x))


def pairs(width: int, count: int) -> Iterator[nn.Sequential]:
    """Bodies of two convolutions, each with a skip around it."""
    return (nn.Sequential(conv_prelu(width, width), conv_prelu(width, width)) for _ in range(count))


class Block31(nn.Module):
    """Flow at half of the size of what it is given, computed at 1 / scale."""

    def __init__(self, inner: int, width: int) -> None:
        super().__init__()
        self.conv0 = nn.Sequential(conv_prelu(inner, width, 2), conv_prelu(width, 2 * width, 2))
        self.convblock0, self.convblock1, self.convblock2 = pairs(2 * width, 3)
        self.conv1 = nn.ConvTranspose2d(2 * width, 4, 4, 2, 1)

    def forward(self, x: Tensor, flow: Tensor | None, scale: float) -> Tensor:
        x = resized(x, 1 / scale)
        if flow is not None:
            x = torch.cat([x, resized(flow, 1 / scale) / scale], 1)
        x = self.conv0(x)
        for pair in (self.convblock0, self.convblock1, self.convblock2):
            x = pair(x) + x
        x = self.conv1(x)
        return resized(x, scale) * scale if scale != 1 else x


class Flow31(nn.Module):
    def __init__(self, width: int = 80) -> None:
        super().__init__()
        self.block0, self.block1, self.block2 = Block31(6, width), Block31(10, width), Block31(10, width)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        flow = self.block0(torch.cat([first, second], 1), None, 4)
        for block, scale in ((self.block1, 2), (self.block2, 1)):
            large = resized(flow, 2) * 2
            pulled = torch.cat([warp(first, large[:, :2]), warp(second, large[:, 2:])], 1)
            flow = flow + block(pulled, large, scale)
        return flow


class Context31(nn.Module):
    """Features at 1/4 to 1/32, each brought to the middle by the flow at its size."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.conv0, self.conv1, self.conv2 = Double(3, width), Double(width, width), Double(width, 2 * width)
        self.conv3, self.conv4 = Double(2 * width, 4 * width), Double(4 * width, 8 * width)

    def forward(self, x: Tensor, flow: Tensor) -> list[Tensor]:
        x, out = self.conv0(x), []
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = layer(x)
            flow = resized(flow, 0.5) * 0.5
            out.append(warp(x, flow))
        return out


class Fusion31(nn.Module):
    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.conv0 = Double(10, width)
        self.down0, self.down1 = Double(width, 2 * width), Double(4 * width, 4 * width)
        self.down2, self.down3 = Double(8 * width, 8 * width), Double(16 * width, 16 * width)
        self.up0, self.up1 = deconv_prelu(32 * width, 8 * width), deconv_prelu(16 * width, 4 * width)
        self.up2, self.up3 = deconv_prelu(8 * width, 2 * width), deconv_prelu(4 * width, width)
        self.conv = nn.ConvTranspose2d(width, 4, 4, 2, 1)

    def forward(self, a: Tensor, b: Tensor, flow: Tensor, of_a: Sequence[Tensor], of_b: Sequence[Tensor]) -> Tensor:
        s0 = self.down0(self.conv0(torch.cat([a, b, flow], 1)))
        s1 = self.down1(torch.cat([s0, of_a[0], of_b[0]], 1))
        s2 = self.down2(torch.cat([s1, of_a[1], of_b[1]], 1))
        s3 = self.down3(torch.cat([s2, of_a[2], of_b[2]], 1))
        x = self.up0(torch.cat([s3, of_a[3], of_b[3]], 1))
        x = self.up1(torch.cat([x, s2], 1))
        x = self.up2(torch.cat([x, s1], 1))
        return self.conv(self.up3(torch.cat([x, s0], 1)))


class Rife31(nn.Module):
    """RIFE 3.1 (also 2.x with the same layers). The flow is at half size and in its pixels."""

    multiple, batch, any_time = 32, 2, False

    def __init__(self, width: int = 80, context: int = 32) -> None:
        super().__init__()
        self.flownet, self.contextnet, self.fusionnet = Flow31(width), Context31(context), Fusion31(context)

    def forward(self, first: Tensor, second: Tensor, t: Tensor) -> Tensor:
        flow = self.flownet(first, second)
        of_a, of_b = self.contextnet(first, flow[:, :2]), self.contextnet(second, flow[:, 2:])
        flow = resized(flow, 2) * 2
        a, b = warp(first, flow[:, :2]), warp(second, flow[:, 2:])
        out = torch.sigmoid(self.fusionnet(a, b, flow, of_a, of_b))
        mask = out[:, 3:]
        return (a * mask + b * (1 - mask) + out[:, :3] * 2 - 1).clamp(0, 1)


class Block35(nn.Module):
    """Change of flow and mask. `deep`: 3.8's heads of two layers, which end at full size, 3.5's at half."""

    def __init__(self, width: int, deep: bool) -> None:
        super().__init__()
        self.deep = deep
        self.conv0 = nn.Sequential(conv_prelu(11, width // 2, 2), conv_prelu(width // 2, width, 2))
        self.convblock0, self.convblock1, self.convblock2, self.convblock3 = pairs(width, 4)
        if deep:
            self.conv1: nn.Module = self._head(width, 4)
            self.conv2: nn.Module = self._head(width, 1)
        else:
            self.conv1 = nn.Sequential(nn.ConvTranspose2d(width, 4, 4, 2, 1))
            self.conv2 = nn.ConvTranspose2d(width, 1, 4, 2, 1)

    @staticmethod
    def _head(width: int, outer: int) -> nn.Sequential:
        return nn.Sequential(*deconv_prelu(width, width // 2), nn.ConvTranspose2d(width // 2, outer, 4, 2, 1))

    def forward(self, x: Tensor, flow: Tensor, scale: float) -> tuple[Tensor, Tensor]:
        x = self.conv0(torch.cat([resized(x, 1 / scale), resized(flow, 1 / scale) / scale], 1))
        for pair in (self.convblock0, self.convblock1, self.convblock2, self.convblock3):
            x = pair(x) + x
        back = scale if self.deep else scale * 2
        return resized(self.conv1(x), back) * back, resized(self.conv2(x), back)


def swapped(flow: Tensor) -> Tensor:
    return torch.cat([flow[:, 2:], flow[:, :2]], 1)


class Rife35(nn.Module):
    """RIFE 3.5, which averages both orders of the frames, and 3.8 (`deep`), which doubles its scales for large motion.

    3.8 looks at one pair at a time: what it sees decides its scales, and must not decide a neighbour's.
    """

    multiple, any_time = 32, False

    def __init__(self, width: int = 90, deep: bool = False) -> None:
        super().__init__()
        self.deep, self.batch = deep, 1 if deep else 2
        self.block0, self.block1, self.block2 = (Block35(width, deep) for _ in range(3))

    def forward(self, first: Tensor, second: Tensor, t: Tensor) -> Tensor:
        a, b = first, second
        flow, mask = first.new_zeros(len(a), 4, *a.shape[2:]), first.new_zeros(len(a), 1, *a.shape[2:])
        grow = 1
        if self.deep:
            test, _ = self.block0(torch.cat([a, b, mask], 1), flow, 8)
            grow = 2 if bool(test.abs().max() > 64) else 1
        for block, scale in ((self.block0, 4 * grow), (self.block1, 2 * grow), (self.block2, grow)):
            change, more = block(torch.cat([a, b, mask], 1), flow, scale)
            if not self.deep:
                back, less = block(torch.cat([b, a, -mask], 1), swapped(flow), scale)
                change, more = (change + swapped(back)) / 2, (more - less) / 2
            flow, mask = flow + change, mask + more
            a, b = warp(first, flow[:, :2]), warp(second, flow[:, 2:])
        mask = torch.sigmoid(mask)
        return a * mask + b * (1 - mask)
