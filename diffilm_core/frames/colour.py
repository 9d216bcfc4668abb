"""RGB and Y'CbCr, done here and not left to a scaler's defaults, so that tags and pixels agree.

Matrices: ITU-R BT.601-7, BT.709-6, BT.2020-2 (non-constant luminance), SMPTE 240M; quantisation of BT.709-6, 3.4.
4:2:0 chroma sits at the left of its pixel pair and midway between two lines (H.264 annex E, chroma_loc_type 0).
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


def to_planes(rgb: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One frame `(h, w, 3)`, h and w even, to 8-bit limited-range BT.709 planes Y, Cb, Cr in 4:2:0."""
    luma, cb, cr = rgb_to_yuv(rgb.float().clamp(0, 1)).unbind(-1)
    chroma = _halve(torch.stack([cb, cr]))
    chroma = chroma.mul(224).add(128).round().clamp(16, 240).to(torch.uint8)
    return luma.mul(219).add(16).round().clamp(16, 235).to(torch.uint8), chroma[0], chroma[1]


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


def _halve(plane: Tensor) -> Tensor:
    """`(n, h, w)` to `(n, h/2, w/2)`: 1-2-1 over the columns around each even one, the mean over line pairs."""
    left = torch.cat([plane[..., :1], plane[..., 1:-1:2]], -1)
    across = (left + 2 * plane[..., 0::2] + plane[..., 1::2]) / 4
    return (across[:, 0::2] + across[:, 1::2]) / 2


def _double_width(plane: Tensor) -> Tensor:
    after = torch.cat([plane[..., 1:], plane[..., -1:]], -1)
    return torch.stack([plane, (plane + after) / 2], -1).flatten(-2)


def _double_height(plane: Tensor) -> Tensor:
    above = torch.cat([plane[:, :1], plane[:, :-1]], 1)
    below = torch.cat([plane[:, 1:], plane[:, -1:]], 1)
    return torch.stack([(3 * plane + above) / 4, (3 * plane + below) / 4], 2).flatten(1, 2)
