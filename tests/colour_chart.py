"""A colour chart made in code, and CIEDE2000 to judge what became of it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffilm_core.frames.colour import to_linear, yuv_to_rgb

PATCHES = [
    (0.45, 0.32, 0.27), (0.76, 0.59, 0.51), (0.38, 0.48, 0.61), (0.35, 0.42, 0.27), (0.52, 0.50, 0.69),
    (0.40, 0.74, 0.67), (0.84, 0.49, 0.17), (0.31, 0.36, 0.65), (0.76, 0.35, 0.39), (0.37, 0.24, 0.42),
    (0.62, 0.74, 0.25), (0.88, 0.64, 0.18), (0.22, 0.24, 0.59), (0.27, 0.58, 0.29), (0.69, 0.21, 0.24),
    (0.91, 0.78, 0.12), (0.73, 0.34, 0.58), (0.03, 0.52, 0.63), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0),
    (0.0, 0.0, 1.0), (0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0),
]  # fmt: skip


def chart(frames: int = 1, width: int = 384, height: int = 256) -> Tensor:
    """`(t, h, w, 3)`: patches (skin, foliage, primaries), sixteen greys, gradients of grey, of the primaries and around
    the hues, and saturated colours edge to edge; every frame moved on by 16 pixels."""
    rows = 8
    line = height // rows
    across = torch.linspace(0, 1, width)
    zero = torch.zeros(width)
    patches = torch.tensor(PATCHES).reshape(3, 8, 3).repeat_interleave(width // 8, 1)
    greys = torch.linspace(0, 1, 16).repeat_interleave(width // 16)
    hue = torch.stack(
        [torch.full((width,), 0.5), 0.3 * torch.cos(across * math.tau), 0.3 * torch.sin(across * math.tau)], -1
    )
    thirds = width // 3
    ramp = torch.linspace(0, 1, thirds)
    primaries = torch.zeros(width, 3)
    for channel in range(3):
        primaries[channel * thirds : (channel + 1) * thirds, channel] = ramp
    edges = torch.tensor([(1.0, 0, 0), (0, 1.0, 1.0), (0, 0, 1.0), (1.0, 1.0, 0)]).repeat_interleave(width // 4, 0)
    lines = [
        *patches,
        greys[:, None].expand(-1, 3),
        torch.stack([across, across, across], -1),
        yuv_to_rgb(hue).clamp(0, 1),
        primaries,
        edges,
    ]
    assert len(lines) == rows and zero.numel() == width
    picture = torch.stack(lines).repeat_interleave(line, 0)
    return torch.stack([picture.roll(16 * number, 1) for number in range(frames)])


def to_lab(rgb: Tensor) -> Tensor:
    """sRGB in [0, 1] to CIE L*a*b* under D65 (float64)."""
    matrix = torch.tensor(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]],
        dtype=torch.float64,
    )
    xyz = to_linear(rgb.double()) @ matrix.T / matrix.sum(1)
    f = torch.where(xyz > (6 / 29) ** 3, xyz.clamp(min=1e-12) ** (1 / 3), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return torch.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1)


def delta_e2000(first: Tensor, second: Tensor) -> Tensor:
    """CIEDE2000 of two L*a*b* tensors `(..., 3)` (Sharma, Wu, Dalal 2005, equations 2 to 22)."""
    (l1, a1, b1), (l2, a2, b2) = first.double().unbind(-1), second.double().unbind(-1)
    mean_c = (torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2
    g = 0.5 * (1 - torch.sqrt(mean_c**7 / (mean_c**7 + 25.0**7)))
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = torch.hypot(a1, b1), torch.hypot(a2, b2)
    h1, h2 = (torch.rad2deg(torch.atan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    grey = c1 * c2 == 0
    dh = (h2 - h1 + 180) % 360 - 180
    dh = torch.where(grey, torch.zeros_like(dh), torch.where((h2 - h1 == 180), torch.full_like(dh, 180), dh))
    big_dh = 2 * torch.sqrt(c1 * c2) * torch.sin(torch.deg2rad(dh / 2))
    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    far = (h1 - h2).abs() > 180
    mean_h = torch.where(far, torch.where(h1 + h2 < 360, (h1 + h2 + 360) / 2, (h1 + h2 - 360) / 2), (h1 + h2) / 2)
    mean_h = torch.where(grey, h1 + h2, mean_h)
    cos = [torch.cos(torch.deg2rad(k * mean_h + shift)) for k, shift in ((1, -30), (2, 0), (3, 6), (4, -63))]
    t = 1 - 0.17 * cos[0] + 0.24 * cos[1] + 0.32 * cos[2] - 0.20 * cos[3]
    s_l = 1 + 0.015 * (mean_l - 50) ** 2 / torch.sqrt(20 + (mean_l - 50) ** 2)
    s_c, s_h = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    turn = 30 * torch.exp(-(((mean_h - 275) / 25) ** 2))
    r_t = -torch.sin(torch.deg2rad(2 * turn)) * 2 * torch.sqrt(mean_c**7 / (mean_c**7 + 25.0**7))
    dl, dc, dh = (l2 - l1) / s_l, (c2 - c1) / s_c, big_dh / s_h
    return torch.sqrt((dl**2 + dc**2 + dh**2 + r_t * dc * dh).clamp(min=0))


def difference(first: Tensor, second: Tensor) -> Tensor:
    """CIEDE2000 of each pixel of two pictures in sRGB."""
    return delta_e2000(to_lab(first), to_lab(second))
