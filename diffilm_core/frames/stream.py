"""`FrameStream`: a lazy clip. Stages take a stream and return a stream; a writer or a loop pulls the frames."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..errors import DiffilmError

if TYPE_CHECKING:
    from .audio import AudioStream

CHUNK = 8
"""Frames that a stage yields at a time when nobody says otherwise."""
CHUNK_BYTES = 64 * 2**20
"""What such a chunk holds at most, if more than one frame."""


def as_fps(value: int | float | str | Fraction) -> Fraction:
    """Frames a second as an exact fraction. Raises DiffilmError unless it is a positive, finite number."""
    try:
        fps = Fraction(value).limit_denominator(100_000)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        fps = Fraction(0)
    if fps <= 0:
        raise DiffilmError(f"frame rate {value!r}: expected a number above 0; give frames a second, such as 8")
    return fps


class FrameStream:
    """A clip of known size, rate and length whose frames are computed when they are pulled.

    `make` returns a fresh iterator of float32 tensors `(t, h, w, 3)` in [0, 1]; every call must give the same
    frames (the chunks may differ). `cuts` are the indices of first frames of a new shot, ascending, without 0.
    `audio` is the sound that belongs to the frames, lazy as they are; stages that keep the duration keep it.
    Iterating raises RuntimeError when `make` breaks these promises.
    """

    def __init__(
        self,
        make: Callable[[], Iterator[Tensor]],
        *,
        width: int,
        height: int,
        fps: int | float | str | Fraction,
        frames: int,
        cuts: Iterable[int] = (),
        audio: AudioStream | None = None,
    ) -> None:
        if width < 1 or height < 1:
            raise DiffilmError(f"frame size {width}x{height}: expected at least 1x1; give a larger width and height")
        if frames < 1:
            raise DiffilmError(f"clip of {frames} frames: expected at least 1; ask for more frames")
        self.width, self.height, self.frames = int(width), int(height), int(frames)
        self.fps = as_fps(fps)
        self.cuts = tuple(sorted({int(cut) for cut in cuts}))
        if self.cuts and not 0 < self.cuts[0] <= self.cuts[-1] < frames:
            raise ValueError(f"cuts {self.cuts} outside 1..{frames - 1}")
        self.audio = audio
        self._make = make

    @property
    def duration(self) -> Fraction:
        """Seconds."""
        return self.frames / self.fps

    @property
    def shots(self) -> list[tuple[int, int]]:
        """First frame and end of each shot, `[start, end)`."""
        edges = (0, *self.cuts, self.frames)
        return list(pairwise(edges))

    def __len__(self) -> int:
        return self.frames

    def __iter__(self) -> Iterator[Tensor]:
        done = 0
        for chunk in self._make():
            if chunk.ndim != 4 or tuple(chunk.shape[1:]) != (self.height, self.width, 3):
                raise RuntimeError(
                    f"stream of {self.width}x{self.height} frames made a chunk of shape {tuple(chunk.shape)}"
                )
            done += chunk.shape[0]
            if done > self.frames:
                raise RuntimeError(f"stream of {self.frames} frames made {done}")
            if chunk.shape[0]:
                yield chunk
        if done != self.frames:
            raise RuntimeError(f"stream of {self.frames} frames made {done}")

    def __repr__(self) -> str:
        return f"FrameStream({self.width}x{self.height}, {self.frames} frames at {self.fps} fps, {len(self.cuts)} cuts)"

    def with_frames(self, make: Callable[[], Iterator[Tensor]], **changes: object) -> FrameStream:
        """A stream of other frames that keeps this one's size, rate, length, cuts and sound except for `changes`."""
        fields: dict = {
            "width": self.width,
            "height": self.height,
            "fps": self.fps,
            "frames": self.frames,
            "cuts": self.cuts,
            "audio": self.audio,
        }
        return FrameStream(make, **{**fields, **changes})

    def map(self, change: Callable[[Tensor], Tensor], *, width: int = 0, height: int = 0) -> FrameStream:
        """`change` applied to one frame `(h, w, 3)` at a time, so that the result knows nothing of the chunks."""

        def make() -> Iterator[Tensor]:
            for chunk in self:
                yield torch.stack([change(frame) for frame in chunk])

        return self.with_frames(make, width=width or self.width, height=height or self.height)

    def rechunk(self, chunk: int) -> FrameStream:
        """The same frames, `chunk` of them at a time (fewer in the last). Raises DiffilmError if chunk < 1."""
        if chunk < 1:
            raise DiffilmError(f"chunk of {chunk} frames: expected at least 1; give a larger chunk")
        return self.with_frames(lambda: regroup(iter(self), chunk))

    def collect(self) -> Tensor:
        """All frames at once, `(t, h, w, 3)`: for tests, stills and short clips."""
        return torch.cat(list(self))


def regroup(chunks: Iterable[Tensor], size: int) -> Iterator[Tensor]:
    """Chunks `(t, ...)` cut and joined along t to `size` frames each; the last may be shorter."""
    held: list[Tensor] = []
    count = 0
    for chunk in chunks:
        while count + chunk.shape[0] >= size:
            take = size - count
            held.append(chunk[:take])
            yield _joined(held)
            chunk, count = chunk[take:], 0
        if chunk.shape[0]:
            held.append(chunk)
            count += chunk.shape[0]
    if held:
        yield _joined(held)


def _joined(held: list[Tensor]) -> Tensor:
    """The parts as one, and the list empty, so that they are gone while the chunk is worked on."""
    whole = torch.cat(held) if len(held) > 1 else held[0]
    held.clear()
    return whole


def stacked(frames: Iterable[Tensor], width: int, height: int) -> Iterator[Tensor]:
    """Frames `(h, w, 3)` of that size in chunks `(t, h, w, 3)` of at most `CHUNK` frames and `CHUNK_BYTES`."""
    size = max(1, min(CHUNK, CHUNK_BYTES // (12 * width * height)))
    return regroup((frame[None] for frame in frames), size)


def from_tensor(frames: Tensor, fps: int | float | str | Fraction, *, cuts: Iterable[int] = ()) -> FrameStream:
    """A stream over frames `(t, h, w, 3)` (or more channels: the first three) in [0, 1] that are in memory."""
    if frames.ndim != 4 or frames.shape[-1] < 3:
        raise DiffilmError(f"frames of shape {tuple(frames.shape)}: expected (t, h, w, 3); pass RGB frames in [0, 1]")

    def make() -> Iterator[Tensor]:
        for start in range(0, frames.shape[0], CHUNK):
            yield frames[start : start + CHUNK, ..., :3].detach().to("cpu", torch.float32).clamp(0, 1)

    return FrameStream(make, width=frames.shape[2], height=frames.shape[1], fps=fps, frames=frames.shape[0], cuts=cuts)


def concat(streams: Sequence[FrameStream]) -> FrameStream:
    """Streams of one size and rate one after the other, their sound too, with a cut at every joint.

    Raises DiffilmError when there is none, or when sizes or rates differ.
    """
    from .mix import joined_audio

    if not streams:
        raise DiffilmError("no clips to join: expected at least one; make a shot first")
    first = streams[0]
    cuts: list[int] = []
    start = 0
    for index, stream in enumerate(streams):
        if (stream.width, stream.height, stream.fps) != (first.width, first.height, first.fps):
            raise DiffilmError(
                f"clip {index} is {stream.width}x{stream.height} at {stream.fps} fps: expected {first.width}x"
                f"{first.height} at {first.fps} fps like clip 0; scale and interpolate the clips alike before joining"
            )
        cuts += [start + cut for cut in (0, *stream.cuts)]
        start += stream.frames

    def make() -> Iterator[Tensor]:
        for stream in streams:
            yield from stream

    return first.with_frames(make, frames=start, cuts=cuts[1:], audio=joined_audio(streams))


def to_uint8(frames: Tensor) -> Tensor:
    """Float frames in [0, 1] to the nearest 8-bit values."""
    return frames.clamp(0, 1).mul(255).round().to(torch.uint8)


def frame_hashes(stream: FrameStream) -> list[str]:
    """The sha256 (hex) of each frame's 8-bit RGB bytes: what "the same frames" means in the tests."""
    return [
        hashlib.sha256(frame.contiguous().cpu().numpy().tobytes()).hexdigest()
        for chunk in stream
        for frame in to_uint8(chunk)
    ]
