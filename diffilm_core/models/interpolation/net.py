"""Diffilm's own interpolation network: a recurrent pyramid of motion, then synthesis at half size.

One set of weights serves every level of the image pyramid, so the reach grows with the number of levels, which the
frame's size decides. In idea after SPyNet (Ranjan & Black 2017: residual flow over a pyramid), PWC-Net (Sun et al.
2018: warped features and a local correlation) and UPR-Net (Jin et al. 2023: one recurrent level, motion to the frame
between). An untrained network follows the motion that matching finds, and blends; of equal frames it returns the frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..warp import correlation, warp

MAX_LEVELS = 6


@dataclass(frozen=True)
class InterpolationConfig:
    """Channels: `half` and `quarter` of the features at those sizes, `width` of the motion layers, `hidden` handed from
    level to level, `synthesis` of the last stage; how many of the quarter's channels are matched, `match`, and how far,
    `radius`, in cells of a quarter."""

    half: int = 24
    quarter: int = 48
    width: int = 96
    hidden: int = 48
    synthesis: int = 48
    match: int = 32
    radius: int = 3


@dataclass
class Motion:
    """What one level knows: flow (b, 4, h, w) from the frame between to the first and to the second frame, in pixels of
    its size and per whole interval (scaled by t and 1 - t before use); hidden (b, c, h, w)."""

    flow: Tensor
    hidden: Tensor


@dataclass
class Between:
    """The frame between (b, 3, h, w), and what was merged before the last stage, for the loss: at full size, and
    `levels`, coarsest first: flows at a quarter of each level's image."""

    frame: Tensor
    merged: Tensor
    levels: list[Tensor]


def _conv(inner: int, outer: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inner, outer, 3, stride, 1), nn.LeakyReLU(0.1, inplace=True))


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def _joined(first: Tensor, *others: Tensor) -> Tensor:
    """Channels side by side in the first one's precision."""
    return torch.cat([first, *(each.to(first.dtype) for each in others)], 1)


def larger(x: Tensor, factor: int = 2) -> Tensor:
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)


def levels_for(height: int, width: int) -> int:
    """How many levels a frame of this size gets: the coarsest features keep about 10 cells across the short side."""
    return min(MAX_LEVELS, max(1, round(math.log2(max(min(height, width), 1) / 40)) + 1))


class Encoder(nn.Module):
    """An image (b, 3, h, w) to features at a half and a quarter of its size."""

    def __init__(self, config: InterpolationConfig) -> None:
        super().__init__()
        self.at_half = nn.Sequential(_conv(3, config.half, 2), _conv(config.half, config.half))
        self.at_quarter = nn.Sequential(
            _conv(config.half, config.quarter, 2),
            _conv(config.quarter, config.quarter),
            nn.Conv2d(config.quarter, config.quarter, 3, 1, 1),
        )

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        half = self.at_half(image - 0.5)
        return half, self.at_quarter(half)


class Matching(nn.Module):
    """Where each cell of one frame's features is found in the other's: the mean of the shifts within reach, each
    weighted by how like the features are there (soft argmax of the correlation; GMFlow, Xu et al. 2022, made local).

    It needs no training to point the right way, which is what lets the rest learn quickly.
    """

    shifts: Tensor

    def __init__(self, config: InterpolationConfig) -> None:
        super().__init__()
        self.channels, self.radius = config.match, config.radius
        self.sharpness = nn.Parameter(torch.tensor(math.log(40.0)))
        line = torch.arange(-config.radius, config.radius + 1, dtype=torch.float32)
        shifts = torch.stack(torch.meshgrid(line, line, indexing="ij")[::-1]).flatten(1)
        self.register_buffer("shifts", shifts, persistent=False)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Features (b, c, h, w) twice -> shift (b, 2, h, w) in cells, and the likeness of every shift, (b, n, h, w)."""
        a, b = (self._detail(x[:, : self.channels].float()) for x in (a, b))
        alike = self._centred(correlation(a, b, self.radius) * self.channels)
        alike = F.avg_pool2d(alike, 3, 1, 1, count_include_pad=False)
        weight = torch.softmax(alike * self.sharpness.exp(), 1)
        return torch.einsum("bnhw,dn->bdhw", weight, self.shifts), alike

    def _centred(self, alike: Tensor) -> Tensor:
        """The likeness from a to b and from b to a, in one: what stands still then shifts by nothing, exactly."""
        height, width, reach = *alike.shape[-2:], self.radius
        side = 2 * reach + 1
        planes = F.pad(alike, (reach,) * 4, mode="replicate").unbind(1)
        back = [
            plane[:, 2 * reach - y : 2 * reach - y + height, 2 * reach - x : 2 * reach - x + width]
            for plane, (y, x) in zip(planes, (divmod(index, side) for index in range(side**2)), strict=True)
        ]
        return (alike + torch.stack(back, 1)) / 2

    @staticmethod
    def _detail(x: Tensor) -> Tensor:
        """Each cell's difference from its surroundings, of length 1."""
        x = x - F.avg_pool2d(x, 9, 1, 4, count_include_pad=False)
        return x * torch.rsqrt(x.square().sum(1, keepdim=True) + 1e-5)


class MotionLevel(nn.Module):
    """One level: both frames' features at a quarter, looked up where the flow so far points, to a better flow."""

    def __init__(self, config: InterpolationConfig) -> None:
        super().__init__()
        self.matching = Matching(config)
        inner = 2 * config.quarter + (2 * config.radius + 1) ** 2 + 2 + 4 + 1 + config.hidden
        width = config.width
        self.enter = _conv(inner, width)
        self.body = nn.ModuleList([_conv(width, width) for _ in range(3)])
        self.hidden = _conv(width, config.hidden)
        self.flow = _zero(nn.Conv2d(config.hidden, 5, 3, 1, 1))

    def forward(self, a: Tensor, b: Tensor, motion: Motion, t: Tensor) -> Motion:
        flow = motion.flow
        a = warp(a, flow[:, :2] * t)
        b = warp(b, flow[:, 2:] * (1 - t))
        shift, alike = self.matching(a, b)
        plane = t.expand(-1, 1, *flow.shape[-2:])
        x = self.enter(_joined(a, b, alike, shift, flow / 8, plane, motion.hidden))
        for layer in self.body:
            x = x + layer(x)
        hidden = self.hidden(x)
        out = self.flow(hidden).float()
        matched = torch.cat([-shift, shift], 1) * torch.sigmoid(out[:, 4:] * 4 + 2)
        return Motion(flow + matched + out[:, :4] * 4, hidden)


class Refinement(nn.Module):
    """The flow at a quarter to flow and blending weight at full size, from the features at a half."""

    def __init__(self, config: InterpolationConfig) -> None:
        super().__init__()
        width = config.synthesis
        self.enter = _conv(2 * config.half + config.hidden + 5, width)
        self.body = nn.ModuleList([_conv(width, width) for _ in range(2)])
        self.leave = _zero(nn.Conv2d(width, 5 * 4, 3, 1, 1))

    def forward(self, a: Tensor, b: Tensor, motion: Motion, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns flow (b, 4, h, w) and weight logits (b, 1, h, w) at full size, and the hidden state at a half."""
        flow = larger(motion.flow) * 2
        a, b = warp(a, flow[:, :2] * t), warp(b, flow[:, 2:] * (1 - t))
        plane = t.expand(-1, 1, *flow.shape[-2:])
        x = self.enter(_joined(a, b, larger(motion.hidden), flow / 16, plane))
        for layer in self.body:
            x = x + layer(x)
        out = F.pixel_shuffle(self.leave(x).float(), 2)
        return larger(flow) * 2 + out[:, :4] * 2, out[:, 4:], x


class Synthesis(nn.Module):
    """What warping cannot know: a residual and a change of the blending weight, by a U-net from a half down to 1/8."""

    def __init__(self, config: InterpolationConfig) -> None:
        super().__init__()
        width = config.synthesis
        self.enter = _conv(9 * 4 + 2 * config.half + width, width)
        self.down = _conv(width, 3 * width // 2, 2)
        self.middle = _conv(3 * width // 2 + 2 * config.quarter, 3 * width // 2)
        self.deeper = nn.Sequential(_conv(3 * width // 2, 2 * width, 2), _conv(2 * width, 2 * width))
        self.back = _conv(2 * width + 3 * width // 2, 3 * width // 2)
        self.join = _conv(3 * width // 2 + width, width)
        self.last = _conv(width, width)
        self.leave = _zero(nn.Conv2d(width, 4 * 4, 3, 1, 1))

    def forward(self, images: Tensor, halves: Tensor, quarters: Tensor, hidden: Tensor) -> Tensor:
        """images (b, 9, h, w), features at a half and a quarter -> residual (3) and weight (1), (b, 4, h, w)."""
        fine = self.enter(_joined(hidden, F.pixel_unshuffle(images.to(hidden.dtype), 2), halves))
        middle = self.middle(_joined(self.down(fine), quarters))
        coarse = self.deeper(middle)
        middle = self.back(_joined(middle, larger(coarse)))
        x = self.join(_joined(fine, larger(middle)))
        return F.pixel_shuffle(self.leave(x + self.last(x)).float(), 2)


class InterpolationNet(nn.Module):
    """Two frames (b, 3, h, w) in [0, 1] and t (b,) in (0, 1) to the frame between."""

    def __init__(self, config: InterpolationConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or InterpolationConfig()
        self.encoder = Encoder(config)
        self.level = MotionLevel(config)
        self.refinement = Refinement(config)
        self.synthesis = Synthesis(config)

    def forward(self, first: Tensor, second: Tensor, t: Tensor, levels: int | None = None) -> Between:
        """Any size; `levels` of the pyramid, by default what `levels_for` says."""
        height, width = first.shape[-2:]
        levels = levels or levels_for(height, width)
        step = 8 * 2 ** (levels - 1)
        pad = (0, -width % step, 0, -height % step)
        both = F.pad(torch.cat([first, second]), pad, mode="replicate") if any(pad) else torch.cat([first, second])
        t = t.to(both.dtype)[:, None, None, None]
        found = self._between(both, t, levels)
        return Between(found.frame[..., :height, :width], found.merged[..., :height, :width], found.levels)

    def _between(self, both: Tensor, t: Tensor, levels: int) -> Between:
        motion: Motion | None = None
        flows: list[Tensor] = []
        for k in reversed(range(levels)):
            image = F.avg_pool2d(both, 2**k) if k else both
            half, quarter = self.encoder(image)
            a, b = quarter.chunk(2)
            if motion is None:
                zeros = both.new_zeros(len(a), 4, *a.shape[-2:], dtype=torch.float32)
                motion = Motion(zeros, a.new_zeros(len(a), self.config.hidden, *a.shape[-2:]))
            else:
                motion = Motion(larger(motion.flow) * 2, larger(motion.hidden))
            motion = self.level(a, b, motion, t)
            flows.append(motion.flow)
        assert motion is not None
        first, second = both.chunk(2)
        flow, logit, hidden = self.refinement(*half.chunk(2), motion, t)
        a, b = warp(first, flow[:, :2] * t), warp(second, flow[:, 2:] * (1 - t))
        logit = logit + torch.log(t.float() / (1 - t.float()))
        weight = torch.sigmoid(logit)
        merged = (1 - weight) * a + weight * b
        small, smaller = F.avg_pool2d(flow, 2) / 2, F.avg_pool2d(flow, 4) / 4
        out = self.synthesis(
            torch.cat([a, b, merged], 1) - 0.5,
            self._pulled(half, small, t),
            self._pulled(quarter, smaller, t),
            hidden,
        )
        weight = torch.sigmoid(logit + out[:, 3:])
        moved = (1 - weight) * a + weight * b + out[:, :3]
        still = (1 - t) * first + t * second
        return Between(torch.lerp(still, moved, _trust(first, second, a, b)), merged, flows)

    @staticmethod
    def _pulled(features: Tensor, flow: Tensor, t: Tensor) -> Tensor:
        a, b = features.chunk(2)
        return torch.cat([warp(a, flow[:, :2] * t), warp(b, flow[:, 2:] * (1 - t))], 1)


def _trust(first: Tensor, second: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """How far the motion is to be believed, (b, 1, h, w) in [0, 1]: the share that standing still leaves unexplained.

    As in a Wiener filter: e^2 / (e^2 + m^2) of the mean differences around a pixel between the two frames as they are,
    e, and after they were brought together, m. Where the frames agree, the frame between is theirs.
    """

    def around(x: Tensor, y: Tensor) -> Tensor:
        return F.avg_pool2d((x - y).abs().mean(1, keepdim=True), 9, 1, 4, count_include_pad=False) ** 2

    still = around(first, second)
    return still / (still + around(a, b) + 1e-6)


def pulled_images(first: Tensor, second: Tensor, flow: Tensor, t: Tensor) -> Tensor:
    """The blend of both frames brought to time t (b, 1, 1, 1) by a level's flow, at the flow's size."""
    factor = first.shape[-1] // flow.shape[-1]
    a, b = F.avg_pool2d(torch.cat([first, second]), factor).chunk(2)
    return (1 - t) * warp(a, flow[:, :2] * t) + t * warp(b, flow[:, 2:] * (1 - t))
