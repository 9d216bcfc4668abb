"""Rain and falling snow as particles that move with time, from a hash of the cell they are in."""

from __future__ import annotations

import torch
from torch import Tensor


def _hash(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """A number in [0, 1) for every cell (a, b) and seed c."""
    return torch.frac(torch.frac(torch.sin(a * 12.9898 + b * 78.233 + c * 37.719) * 437.585).abs() * 91.71)


def _coordinates(image: Tensor, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """x (size,), y and seconds for the rows of images stacked over time: y (f * size, 1), seconds (n, f * size, 1)."""
    size = image.shape[-1]
    line = (torch.arange(size, device=image.device) + 0.5) / size
    return line, line.repeat(t.shape[1])[:, None], t.repeat_interleave(size, 1)[..., None]


def draw_rain(image: Tensor, rows: Tensor, t: Tensor, grain: Tensor) -> None:
    """Slanted streaks onto image (n, 3, f * size, size), in place, for the batch rows given."""
    if not len(rows):
        return
    x, y, seconds = _coordinates(image, t[rows])
    grain = grain[rows][:, None, None]
    total = torch.zeros((), device=image.device)
    for layer, (columns, speed, length, strength) in enumerate(((26, 2.1, 0.10, 0.40), (17, 2.6, 0.16, 0.55))):
        slant = (x + 0.14 * y + 0.01 * grain) * columns
        column = slant.floor()
        start = _hash(column, torch.full_like(column, 1.0 + layer), grain)
        fall = torch.frac((y - speed * seconds) * 0.7 + start + 8.0)
        across = (slant - column - 0.5).abs()
        streak = (1 - across * 4.5).clamp(0, 1) * (fall < length) * (fall / length)
        total = total + strength * streak
    image[rows] += (image.new_tensor([0.92, 0.96, 1.0])[:, None, None] - image[rows]) * total.clamp(0, 0.8)[:, None]


def draw_snow(image: Tensor, rows: Tensor, t: Tensor, grain: Tensor) -> None:
    """Soft flakes of three sizes onto image (n, 3, f * size, size), in place, for the batch rows given."""
    if not len(rows):
        return
    x, y, seconds = _coordinates(image, t[rows])
    grain = grain[rows][:, None, None]
    total = torch.zeros((), device=image.device)
    for layer, (cells, speed, radius) in enumerate(((17, 0.13, 0.10), (12, 0.18, 0.11), (8, 0.24, 0.11))):
        sway = 0.25 * torch.sin(1.7 * seconds + 3.0 * layer + 5.0 * y + 6.3 * grain)
        gx, gy = x * cells + sway, (y - speed * seconds) * cells + 64
        cx, cy = gx.floor(), gy.floor()
        seed = grain + layer
        px, py = 0.22 + 0.56 * _hash(cx, cy, seed), 0.22 + 0.56 * _hash(cy, cx, seed + 0.5)
        there = _hash(cx + 3, cy + 5, seed) < 0.50
        distance = ((gx - cx - px) ** 2 + (gy - cy - py) ** 2).sqrt()
        total = total + (1.5 - distance / radius).clamp(0, 1) * there
    image[rows] += (1.0 - image[rows]) * 0.90 * total.clamp(0, 1)[:, None]
