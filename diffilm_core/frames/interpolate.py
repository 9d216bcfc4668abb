"""Frame-rate changes. `blend`, the baseline: each new frame is the weighted mean of its two neighbours in time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from fractions import Fraction
from math import ceil

import torch
from torch import Tensor

from .stream import CHUNK, FrameStream, as_fps


def interpolate_blend(stream: FrameStream, fps: int | float | str | Fraction) -> FrameStream:
    """`stream` at `fps` frames a second, its length in seconds kept to less than a frame.

    New frame k shows the time k / fps. Between two frames of one shot it is their weighted mean; past the last frame
    of a shot that frame is held, so nothing is mixed across a cut. Cuts move to the first new frame of their shot.
    """
    fps = as_fps(fps)
    if fps == stream.fps:
        return stream
    ratio = fps / stream.fps
    frames = ceil(stream.frames * ratio)
    cuts = {ceil(cut * ratio) for cut in stream.cuts}
    return stream.with_frames(
        lambda: _blend(stream, ratio, frames),
        fps=fps,
        frames=frames,
        cuts=[c for c in cuts if 0 < c < frames],
    )


def _blend(stream: FrameStream, ratio: Fraction, frames: int) -> Iterator[Tensor]:
    """New frames 0..frames - 1, one frame at a time inside so that the result does not depend on the chunks."""
    source = (frame for chunk in stream for frame in chunk)
    held: dict[int, Tensor] = {}
    ready: list[Tensor] = []
    pulled = 0
    for k in range(frames):
        position = k / ratio
        index = int(position)
        weight = float(position - index)
        end = (*stream.cuts, stream.frames)[bisect_right(stream.cuts, index)]
        after = min(index + 1, end - 1) if weight else index
        while pulled <= after:
            held[pulled] = next(source)
            pulled += 1
        for old in [i for i in held if i < index]:
            del held[old]
        frame = held[index]
        ready.append(torch.lerp(frame, held[after], weight) if after != index else frame)
        if len(ready) == CHUNK:
            yield torch.stack(ready)
            ready = []
    if ready:
        yield torch.stack(ready)
