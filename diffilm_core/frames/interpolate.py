"""Frame-rate changes: from any rate to any rate, by a network or by blending, never across a cut."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from fractions import Fraction
from math import ceil
from typing import Protocol

import torch
from torch import Tensor

from .ahead import overlapped
from .fit import Fit
from .network import END, Job, Network
from .stream import FrameStream, as_fps, stacked


class Interpolator(Protocol):
    """What `interpolate` needs of a network. `fingerprint` says what decides its output; `batch`: pairs it always sees
    at once."""

    fingerprint: str
    name: str
    batch: int

    def between(self, first: Tensor, second: Tensor, t: Tensor) -> Tensor:
        """Frames `(b, 3, h, w)` of any size in [0, 1] and times `(b,)` in (0, 1) to the frames between them."""
        ...


def interpolate(
    stream: FrameStream,
    fps: int | float | str | Fraction,
    *,
    model: Interpolator | None = None,
    fit: Fit | None = None,
) -> FrameStream:
    """`stream` at `fps` frames a second, its length in seconds kept to less than a frame.

    New frame k shows the time k / fps. A source frame at just that time passes unchanged; between two frames of one
    shot it is what `model` makes of them, or (None) their weighted mean; past the last frame of a shot that frame is
    held, so nothing is mixed across a cut. Cuts move to the first new frame of their shot. `fit`: the network's batch
    and tiles, default its own batch and whole frames. While iterating raises OutOfMemory, DiffilmError.
    """
    fps = as_fps(fps)
    if fps == stream.fps:
        return stream
    ratio = fps / stream.fps
    frames = ceil(stream.frames * ratio)
    cuts = {ceil(cut * ratio) for cut in stream.cuts}
    network = None
    if model is not None:
        network = Network(f"interpolate with {model.name}", stream, model.between, batch=model.batch, fit=fit)

    def make() -> Iterator[Tensor]:
        jobs = _jobs(stream, ratio, frames)
        return stacked(_blended(jobs) if network is None else network.frames(jobs), stream.width, stream.height)

    made = stream.with_frames(make, fps=fps, frames=frames, cuts=[c for c in cuts if 0 < c < frames])
    return overlapped(made, model)


def _jobs(stream: FrameStream, ratio: Fraction, frames: int) -> Iterator[Tensor | Job | None]:
    """For each new frame a source frame, or the two around it and the time between them; END where a shot ends."""
    source = (frame for chunk in stream for frame in chunk)
    held: dict[int, Tensor] = {}
    pulled = shot = 0
    for k in range(frames):
        position = k / ratio
        index = int(position)
        weight = float(position - index)
        here = bisect_right(stream.cuts, index)
        if here != shot:
            shot = here
            yield END
        end = (*stream.cuts, stream.frames)[shot]
        after = min(index + 1, end - 1) if weight else index
        while pulled <= after:
            held[pulled] = next(source)
            pulled += 1
        for old in [i for i in held if i < index]:
            del held[old]
        yield held[index] if after == index else (held[index], held[after], torch.tensor(weight))


def _blended(jobs: Iterator[Tensor | Job | None]) -> Iterator[Tensor]:
    for job in jobs:
        if isinstance(job, tuple):
            first, second, weight = job
            yield torch.lerp(first, second, weight)
        elif job is not END:
            yield job
