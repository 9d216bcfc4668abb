"""One frame between a tensor and FFmpeg's pixel formats, both ways by this pack's own arithmetic."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .colour import BT709, WEIGHTS, from_linear, from_planes, to_linear, to_planes

PLANAR = re.compile(r"(yuvj?a?|gbra?)(410|411|420|422|440|444)?p(f?)(\d*)(le|be)?$")
SAME = {
    "nv12": "yuv420p", "nv21": "yuv420p", "nv16": "yuv422p", "nv24": "yuv444p", "yuyv422": "yuv422p",
    "uyvy422": "yuv422p", "p010le": "yuv420p10le", "p016le": "yuv420p16le", "p210le": "yuv422p10le",
    "p410le": "yuv444p10le", "yuv410p": "yuv444p", "yuv411p": "yuv444p", "yuv440p": "yuv444p", "vyu444": "yuv444p",
}  # fmt: skip
"""Formats that are read through one with the same values in planes."""
DEEP = re.compile(r"(rgb|bgr|rgba|bgra|x2rgb|x2bgr|gray|ya)f?(10|12|14|16|32|48|64)")
"""Packed and grey formats of more than 8 bits a value."""


@dataclass(frozen=True)
class Pixels:
    """What a planar or packed format that frames are written in or read from looks like."""

    name: str
    kind: str  # yuv, gbr, rgb (packed)
    bits: int = 8
    across: int = 1
    down: int = 1
    floats: bool = False

    @property
    def dtype(self) -> np.dtype:
        if self.floats:
            return np.dtype("<f4" if self.bits == 32 else "<f2")
        return np.dtype("u1" if self.bits == 8 else "<u2")


@lru_cache(maxsize=64)
def pixels(name: str) -> Pixels | None:
    """A planar Y'CbCr or RGB format by its name, None for another."""
    found = PLANAR.match(name)
    if not found or found[5] == "be" or found[2] in ("410", "411", "440"):
        return None
    bits = int(found[4] or 8)
    if found[1].startswith("gbr"):
        return Pixels(name, "gbr", bits, floats=bool(found[3]))
    return Pixels(name, "yuv", bits, 2 if found[2] in ("420", "422") else 1, 2 if found[2] == "420" else 1)


def to_frame(rgb: Tensor, name: str, *, linear: bool = False, half: bool = False) -> Any:
    """`(h, w, 3)` in [0, 1] as an AVFrame, tagged: Y'CbCr as BT.709 limited range, RGB as full range.

    Where chroma is coarser, odd sides get their last line or column twice. `linear`: as linear light. `half`: floats
    rounded to what 16 bits hold, since FFmpeg cuts them off.
    """
    form = pixels(name)
    if form is None:
        return _packed(rgb, name)
    if form.kind == "yuv":
        rgb = padded(rgb, form.across, form.down)
        planes = [plane.numpy() for plane in to_planes(rgb, bits=form.bits, across=form.across, down=form.down)]
    else:
        values = to_linear(rgb.float().clamp(0, 1)) if linear else rgb.float().clamp(0, 1)
        if half:
            values = values.half().float()
        if not form.floats:
            values = values.mul((1 << form.bits) - 1).round().to(torch.int32)
        planes = [values[..., channel].numpy() for channel in (1, 2, 0)]
    frame = filled(planes, rgb.shape[1], rgb.shape[0], name, form.dtype)
    frame.colorspace, frame.color_range = (BT709, 1) if form.kind == "yuv" else (0, 2)
    return frame


def filled(planes: Sequence[np.ndarray], width: int, height: int, name: str, dtype: np.dtype) -> Any:
    """An AVFrame of a planar format that holds these values."""
    import av

    frame: Any = av.VideoFrame(width, height, name)
    for plane, data in zip(frame.planes, planes, strict=True):
        row = np.zeros((data.shape[0], plane.line_size // dtype.itemsize), dtype)
        row[:, : data.shape[1]] = data
        plane.update(row.tobytes())
    return frame


def _packed(rgb: Tensor, name: str) -> Any:
    import av

    peak, dtype = (65535, np.dtype(">u2")) if name == "rgb48be" else (255, np.dtype("u1"))
    values = rgb.float().clamp(0, 1).mul(peak).round().to(torch.int32).numpy().astype(dtype)
    if name in ("bgra", "bgr0"):
        values = np.concatenate([values[..., ::-1], np.full((*values.shape[:2], 1), 255, np.uint8)], -1)
    frame: Any = av.VideoFrame(rgb.shape[1], rgb.shape[0], name)
    plane = frame.planes[0]
    row = np.zeros((values.shape[0], plane.line_size), np.uint8)
    packed = np.ascontiguousarray(values).reshape(values.shape[0], -1).view(np.uint8)
    row[:, : packed.shape[1]] = packed
    plane.update(row.tobytes())
    frame.colorspace, frame.color_range = 0, 2
    return frame


def padded(frame: Tensor, across: int, down: int) -> Tensor:
    """`(h, w, 3)` with the last line and column repeated where a side does not divide by `down` or `across`."""
    if frame.shape[0] % down:
        frame = torch.cat([frame, frame[-1:]])
    if frame.shape[1] % across:
        frame = torch.cat([frame, frame[:, -1:]], 1)
    return frame


def to_rgb(frame: Any, *, linear: bool = False) -> Tensor:
    """An AVFrame to `(h, w, 3)` float32 in [0, 1], by the matrix and range that it is tagged with.

    Transparency is left out. `linear`: its values are linear light.
    """
    name = frame.format.name
    form = pixels(name)
    if form is None and name in SAME:
        tagged = int(frame.colorspace), int(frame.color_range)
        frame = frame.reformat(format=SAME[name])
        frame.colorspace, frame.color_range = tagged
        form = pixels(SAME[name])
    if form is None:
        deep = "rgb48le" if DEEP.match(name) else "rgb24"
        values = frame.to_ndarray(format=deep).astype(np.float32)
        return torch.from_numpy(values).div(65535 if deep == "rgb48le" else 255)
    planes = [_plane(plane, form) for plane in frame.planes[:3]]
    if form.kind == "gbr":
        rgb = torch.stack([planes[2], planes[0], planes[1]], -1).float()
        rgb = rgb if form.floats else rgb / ((1 << form.bits) - 1)
        return (from_linear(rgb) if linear else rgb).clamp(0, 1)
    matrix = int(frame.colorspace)
    if matrix not in WEIGHTS:
        matrix = BT709 if frame.height >= 720 else 6
    full = int(frame.color_range) == 2 or name.startswith("yuvj")
    return from_planes(planes[0], planes[1], planes[2], matrix=matrix, full=full, bits=form.bits)


def reduced(frame: Any, width: int, height: int) -> Any:
    """An AVFrame of that size by FFmpeg's area filter, in its own format, tagged so that `to_rgb` sees it as before."""
    if (frame.width, frame.height) == (width, height):
        return frame
    from av.video.reformatter import Interpolation

    matrix, reach = int(frame.colorspace), int(frame.color_range)
    if matrix not in WEIGHTS:
        matrix = BT709 if frame.height >= 720 else 6
    small = frame.reformat(width, height, interpolation=Interpolation.AREA)
    small.colorspace, small.color_range = matrix, reach
    return small


def _plane(plane: Any, form: Pixels) -> Tensor:
    rows = np.frombuffer(plane, form.dtype).reshape(-1, plane.line_size // form.dtype.itemsize)
    return torch.from_numpy(rows[: plane.height, : plane.width].astype(np.float32 if form.floats else np.int32))
