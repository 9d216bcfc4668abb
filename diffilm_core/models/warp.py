"""Backward warping and local correlation: how networks that know a movement use it."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def warp(image: Tensor, flow: Tensor) -> Tensor:
    """image (b, c, h, w) looked up at x + flow (b, 2, h, w: x then y, in pixels); the border continues outside.

    In float32 whatever the surrounding precision: a bfloat16 grid would only name every eighth pixel of a wide frame.
    """
    height, width = image.shape[-2:]
    with torch.autocast(image.device.type, enabled=False):
        flow = flow.float()
        x = torch.arange(width, device=flow.device, dtype=torch.float32) + 0.5
        y = torch.arange(height, device=flow.device, dtype=torch.float32)[:, None] + 0.5
        grid = torch.stack([(x + flow[:, 0]) * (2 / width) - 1, (y + flow[:, 1]) * (2 / height) - 1], -1)
        out = F.grid_sample(image.float(), grid, padding_mode="border", align_corners=False)
    return out.to(image.dtype)


def warp_corners(image: Tensor, flow: Tensor) -> Tensor:
    """The same as the RIFE family computes it: corner pixels at -1 and 1."""
    height, width = image.shape[-2:]
    with torch.autocast(image.device.type, enabled=False):
        flow = flow.float()
        x = torch.linspace(-1, 1, width, device=flow.device)
        y = torch.linspace(-1, 1, height, device=flow.device)[:, None]
        grid = torch.stack([x + flow[:, 0] / ((width - 1) / 2), y + flow[:, 1] / ((height - 1) / 2)], -1)
        out = F.grid_sample(image.float(), grid, padding_mode="border", align_corners=True)
    return out.to(image.dtype)


class _Correlation(torch.autograd.Function):
    """Keeps its two inputs alone for the backward pass, where autograd would keep one product for every shift."""

    @staticmethod
    def forward(ctx: Any, first: Tensor, padded: Tensor, radius: int) -> Tensor:
        height, width = first.shape[-2:]
        ctx.save_for_backward(first, padded)
        ctx.radius = radius
        steps = range(2 * radius + 1)
        out = [(first * padded[..., y : y + height, x : x + width]).sum(1) for y in steps for x in steps]
        return torch.stack(out, 1) / first.shape[1]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        first, padded = ctx.saved_tensors
        height, width = first.shape[-2:]
        grad = grads[0] / first.shape[1]
        to_first, to_padded = torch.zeros_like(first), torch.zeros_like(padded)
        steps = 2 * ctx.radius + 1
        for index in range(steps**2):
            y, x = divmod(index, steps)
            here, part = grad[:, index, None], (..., slice(y, y + height), slice(x, x + width))
            to_first.addcmul_(here, padded[part])
            to_padded[part].addcmul_(here, first)
        return to_first, to_padded, None


def correlation(first: Tensor, second: Tensor, radius: int) -> Tensor:
    """Mean product of first (b, c, h, w) with second shifted by up to `radius` cells, (b, (2 radius + 1)^2, h, w).

    Source: FlowNet (Dosovitskiy et al. 2015), eq. 1, with a neighbourhood of one cell.
    """
    with torch.autocast(first.device.type, enabled=False):
        padded = F.pad(second.float(), (radius,) * 4).contiguous()
        return _Correlation.apply(first.float().contiguous(), padded, radius)
