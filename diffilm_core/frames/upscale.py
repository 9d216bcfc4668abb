"""Larger frames, by a network or by bicubic interpolation."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Protocol

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from ..errors import DiffilmError
from .ahead import overlapped
from .fit import Fit
from .network import END, Job, Network
from .stream import FrameStream, stacked


class Upscaler(Protocol):
    """What `upscale` needs of a network.

    `fingerprint` says what decides its output; `scale` times wider and higher; `radius` neighbours in time on each side
    (0: frame by frame); `batch`: frames it always makes at once.
    """

    fingerprint: str
    name: str
    scale: int
    radius: int
    batch: int

    def upscale(self, frames: Tensor) -> Tensor:
        """`(b, 2 radius + 1, 3, h, w)` in [0, 1] to their middle frames `(b, 3, scale h, scale w)`."""
        ...


def upscale(
    stream: FrameStream,
    scale: float | None = None,
    size: tuple[int, int] | None = None,
    *,
    model: Upscaler | None = None,
    fit: Fit | None = None,
) -> FrameStream:
    """Frames `scale` times as large (sizes are rounded), or of `size` (width, height).

    `model` is applied as often as the size asks for; what is left, or all without one, is antialiased bicubic
    interpolation, clamped to [0, 1]. A network that sees neighbours in time sees those of the shot alone: past a cut or
    an end the nearest frame of the shot stands in. `fit`: the network's batch and tiles, default its own batch and
    whole frames. Raises DiffilmError unless one of `scale` and `size` is given and the result has pixels; while
    iterating OutOfMemory, DiffilmError.
    """
    width, height = target_size(stream, scale, size)
    if model is not None:
        fit = fit if fit is not None else Fit()
        while stream.width < width or stream.height < height:
            stream = _by_network(stream, model, fit)
    return _bicubic(stream, width, height)


def target_size(stream: FrameStream, scale: float | None, size: tuple[int, int] | None) -> tuple[int, int]:
    """Width and height of `upscale`'s result. Raises DiffilmError as it does."""
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
    return width, height


def _bicubic(stream: FrameStream, width: int, height: int) -> FrameStream:
    if (width, height) == (stream.width, stream.height):
        return stream

    def resize(frame: Tensor) -> Tensor:
        pixels = rearrange(frame, "h w c -> 1 c h w").contiguous()
        pixels = F.interpolate(pixels, (height, width), mode="bicubic", antialias=True, align_corners=False)
        return rearrange(pixels.clamp(0, 1), "1 c h w -> h w c").contiguous()

    def make() -> Iterator[Tensor]:
        return stacked((resize(frame) for chunk in stream for frame in chunk), width, height)

    return stream.with_frames(make, width=width, height=height)


def _by_network(stream: FrameStream, model: Upscaler, fit: Fit) -> FrameStream:
    """One pass of `model`."""
    width, height = stream.width * model.scale, stream.height * model.scale

    def call(*window: Tensor) -> Tensor:
        return model.upscale(torch.stack(window, 1))

    network = Network(f"upscale with {model.name}", stream, call, batch=model.batch, fit=fit, scale=model.scale)
    made = stream.with_frames(
        lambda: stacked(network.frames(_windows(stream, model.radius)), width, height), width=width, height=height
    )
    return overlapped(made, model)


def _windows(stream: FrameStream, radius: int) -> Iterator[Job | None]:
    """For each frame the `2 radius + 1` around it, of its own shot; END where a shot ends."""
    source = (frame for chunk in stream for frame in chunk)
    for start, end in stream.shots:
        window: deque[Tensor] = deque(maxlen=2 * radius + 1)
        for at in range(start, end + radius):
            frame = next(source) if at < end else window[-1]
            window.extend([frame] * (radius + 1 if at == start else 1))
            if at >= start + radius:
                yield tuple(window)
        yield END
