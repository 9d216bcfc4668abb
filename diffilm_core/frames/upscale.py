"""Larger frames. `bicubic`, the baseline of super-resolution."""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from ..errors import DiffilmError
from .stream import FrameStream


def upscale_bicubic(
    stream: FrameStream, scale: float | None = None, size: tuple[int, int] | None = None
) -> FrameStream:
    """Frames resampled by antialiased bicubic interpolation and clamped to [0, 1].

    Give either `scale` (a factor; sizes are rounded) or `size` (width, height). Raises DiffilmError when both or
    neither are given or the result has no pixels.
    """
    if (scale is None) == (size is None):
        raise DiffilmError(f"upscale by {scale} to {size}: expected one of scale and size; give either")
    if size is not None:
        width, height = size
    else:
        assert scale is not None
        width, height = round(stream.width * scale), round(stream.height * scale)
    if width < 1 or height < 1:
        raise DiffilmError(
            f"upscale of {stream.width}x{stream.height} to {width}x{height}: expected at least 1x1; give a larger scale"
        )
    if (width, height) == (stream.width, stream.height):
        return stream

    def resize(frame: Tensor) -> Tensor:
        pixels = rearrange(frame, "h w c -> 1 c h w").contiguous()
        pixels = F.interpolate(pixels, (height, width), mode="bicubic", antialias=True, align_corners=False)
        return rearrange(pixels.clamp(0, 1), "1 c h w -> h w c").contiguous()

    return stream.map(resize, width=width, height=height)
