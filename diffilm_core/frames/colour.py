"""RGB and Y'CbCr, done here and not left to a scaler's defaults, so that tags and pixels agree.

Matrices: ITU-R BT.601-7, BT.709-6, BT.2020-2 (non-constant luminance), SMPTE 240M; quantisation of BT.709-6, 3.4.
4:2:0 chroma sits at the left of its pixel pair and midway between two lines (H.264 annex E, chroma_loc_type 0), 4:2:2
chroma at the left of its pair. Readers interpolate chroma linearly (`from_planes` and most players). Writing undoes
just that, with the shortest filters that do, so that writing and reading again is a fixed point, where averages of
neighbours fade colours from copy to copy, and an edge rings no farther than two pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

# Kr and Kb by the code points of ITU-T H.273 (matrix_coefficients).
WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
BT709 = 1


def rgb_to_yuv(rgb: Tensor, matrix: int = BT709) -> Tensor:
    """`(..., 3)` in [0, 1] to Y' in [0, 1] and Cb, Cr in [-0.5, 0.5]."""
    kr, kb = WEIGHTS[matrix]
    red, green, blue = rgb.unbind(-1)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    return torch.stack([luma, (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))], -1)


def yuv_to_rgb(yuv: Tensor, matrix: int = BT709) -> Tensor:
    """The inverse of `rgb_to_yuv`, not clamped."""
    kr, kb = WEIGHTS[matrix]
    luma, cb, cr = yuv.unbind(-1)
    red, blue = luma + 2 * (1 - kr) * cr, luma + 2 * (1 - kb) * cb
    return torch.stack([red, (luma - kr * red - kb * blue) / (1 - kr - kb), blue], -1)


def to_planes(rgb: Tensor, *, bits: int = 8, across: int = 2, down: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """One frame `(h, w, 3)` to limited-range BT.709 planes Y, Cb, Cr (int32) of `bits` a value.

    Chroma is at 1/across of the width and 1/down of the height (1 or 2), which the sides must divide by.
    """
    unit = 1 << (bits - 8)
    planes = rgb.float().movedim(-1, 0).contiguous().clamp_(0, 1)
    luma, cb, cr = rgb_to_yuv(planes.movedim(0, -1)).unbind(-1)
    chroma = torch.stack([cb, cr])
    if down == 2:
        chroma = _halve_height(chroma)
    if across == 2:
        chroma = _halve_width(chroma)
    chroma = chroma.mul(224 * unit).add(128 * unit).round().clamp(unit, 255 * unit - 1).to(torch.int32)
    return luma.mul(219 * unit).add(16 * unit).round().to(torch.int32), chroma[0], chroma[1]


def centred_planes(rgb: Tensor, matrix: int = 6) -> tuple[Tensor, Tensor, Tensor]:
    """One frame `(h, w, 3)`, even sides, to 8-bit limited-range 4:2:0 planes with chroma in the middle of four pixels,
    as JPEG and WebP have it."""
    luma, cb, cr = rgb_to_yuv(rgb.float().clamp(0, 1), matrix).unbind(-1)
    chroma = _halve_height(_halve_height(torch.stack([cb, cr])).transpose(1, 2)).transpose(1, 2)
    chroma = chroma.mul(224).add(128).round().clamp(1, 254).to(torch.int32)
    return luma.mul(219).add(16).round().to(torch.int32), chroma[0], chroma[1]


def from_planes(
    luma: Tensor, cb: Tensor, cr: Tensor, *, matrix: int = BT709, full: bool = False, bits: int = 8
) -> Tensor:
    """Planes of one frame, chroma at full, half-width or quarter size, to RGB `(h, w, 3)` float32 in [0, 1]."""
    unit = float(1 << (bits - 8))
    peak = (1 << bits) - 1
    height, width = luma.shape
    chroma = torch.stack([cb, cr]).float()
    y = luma.float() / peak if full else (luma.float() - 16 * unit) / (219 * unit)
    chroma = (chroma - 128 * unit) / (peak if full else 224 * unit)
    if chroma.shape[2] < width:
        chroma = _double_width(chroma)[..., :width]
    if chroma.shape[1] < height:
        chroma = _double_height(chroma)[:, :height]
    return yuv_to_rgb(torch.stack([y, chroma[0], chroma[1]], -1), matrix).clamp(0, 1)


def to_linear(rgb: Tensor) -> Tensor:
    """Display values in [0, 1] to linear light (IEC 61966-2-1)."""
    return torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055).clamp(min=0) ** 2.4)


def from_linear(light: Tensor) -> Tensor:
    """The inverse of `to_linear`; above 1 it goes on in the same way."""
    light = light.clamp(min=0)
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def _halve_width(plane: Tensor) -> Tensor:
    """`(n, h, w)` to `(n, h, w/2)`, undoing `_double_width` with five taps, of those that do the least noisy."""
    over = torch.cat([plane[..., 2:3], plane[..., 1:2], plane, plane[..., -2:-1]], -1) if plane.shape[-1] > 2 else plane
    if over is plane:
        return plane[..., :1]
    near, far = over[..., 1:-2:2] + over[..., 3::2], over[..., 0:-3:2] + over[..., 4::2]
    return (5 * over[..., 2:-1:2] + 2 * near - far) / 7


def _halve_height(plane: Tensor) -> Tensor:
    """`(n, h, w)` to `(n, h/2, w)`, undoing `_double_height` with four taps."""
    over = torch.cat([plane[:, :1], plane, plane[:, -1:]], 1)
    return 0.75 * (over[:, 1:-1:2] + over[:, 2:-1:2]) - 0.25 * (over[:, 0:-2:2] + over[:, 3::2])


def _double_width(plane: Tensor) -> Tensor:
    after = torch.cat([plane[..., 1:], plane[..., -1:]], -1)
    return torch.stack([plane, (plane + after) / 2], -1).flatten(-2)


def _double_height(plane: Tensor) -> Tensor:
    above = torch.cat([plane[:, :1], plane[:, :-1]], 1)
    below = torch.cat([plane[:, 1:], plane[:, -1:]], 1)
    return torch.stack([(3 * plane + above) / 4, (3 * plane + below) / 4], 2).flatten(1, 2)
