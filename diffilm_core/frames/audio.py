"""Sound: `AudioStream`, a lazy track; `Audio`, one in memory; read from any file that FFmpeg knows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import DiffilmError

LAYOUTS = {1: "mono", 2: "stereo"}
BLOCK = 4096
"""Samples that a track in memory yields at a time."""


class AudioStream:
    """A track of known rate and channels (1 or 2) whose samples are read when they are pulled.

    `make` returns a fresh iterator of float32 blocks `(channels, n)` in [-1, 1], n above 0; every call gives the same
    samples. How long it is shows when it ends.
    """

    def __init__(self, make: Callable[[], Iterator[Tensor]], *, rate: int, channels: int) -> None:
        if channels not in LAYOUTS or rate < 1:
            raise DiffilmError(f"audio of {channels} channels at {rate} Hz: expected 1 or 2 channels, at least 1 Hz")
        self.rate, self.channels = int(rate), int(channels)
        self._make = make

    def __iter__(self) -> Iterator[Tensor]:
        return self._make()

    def with_blocks(self, make: Callable[[], Iterator[Tensor]]) -> AudioStream:
        return AudioStream(make, rate=self.rate, channels=self.channels)

    def blocks(self, size: int) -> Iterator[Tensor]:
        """Its samples, `size` at a time; the last block may be shorter."""
        from .stream import regroup

        for block in regroup((block.T for block in self), size):
            yield block.T

    def cut(self, start: Fraction | float, duration: Fraction | float | None = None) -> AudioStream:
        """From `start` seconds for `duration` (None: to its end); shorter or empty where it ends before."""
        first = round(start * self.rate)
        end = None if duration is None else first + round(duration * self.rate)

        def make() -> Iterator[Tensor]:
            at = 0
            for block in self:
                low = max(first - at, 0)
                high = block.shape[1] if end is None else min(end - at, block.shape[1])
                at += block.shape[1]
                if low < high:
                    yield block[:, low:high]
                if end is not None and at >= end:
                    return

        return self.with_blocks(make)

    def converted(self, rate: int, channels: int) -> AudioStream:
        """The same sound at another rate (FFmpeg's resampler) and with 1 or 2 channels (mono: the mean)."""
        if (rate, channels) == (self.rate, self.channels):
            return self

        def make() -> Iterator[Tensor]:
            blocks: Iterable[Tensor] = self if rate == self.rate else _resample(self, self.rate, rate, self.channels)
            for block in blocks:
                if channels < block.shape[0]:
                    block = block.mean(0, keepdim=True)
                yield block.expand(channels, -1)

        return AudioStream(make, rate=rate, channels=channels)

    def collect(self) -> Audio:
        """The whole track in memory. Raises DiffilmError for one without a sample."""
        parts = list(self)
        return Audio(torch.cat(parts, dim=1) if parts else torch.zeros(self.channels, 0), self.rate)


@dataclass(frozen=True, eq=False)
class Audio:
    """Sound in memory: samples `(channels, n)` float32 in [-1, 1], 1 or 2 channels, `rate` of them a second."""

    samples: Tensor
    rate: int

    def __post_init__(self) -> None:
        if self.samples.ndim != 2 or self.samples.shape[0] not in LAYOUTS or self.samples.shape[1] < 1:
            raise DiffilmError(
                f"audio of shape {tuple(self.samples.shape)}: expected (channels, samples), 1 or 2 channels"
            )
        if self.rate < 1:
            raise DiffilmError(f"audio of {self.rate} samples a second: expected at least 1; give its sample rate")

    @property
    def duration(self) -> Fraction:
        """Seconds."""
        return Fraction(self.samples.shape[1], self.rate)

    def cut(self, start: Fraction | float, duration: Fraction | float) -> Audio:
        """From `start` seconds for `duration`, or to its end. Raises DiffilmError for a start past its end."""
        first, count = round(start * self.rate), max(1, round(duration * self.rate))
        if not 0 <= first < self.samples.shape[1]:
            raise DiffilmError(f"audio of {float(self.duration):.2f} s: nothing at {float(start):.2f} s; start earlier")
        return Audio(self.samples[:, first : first + count], self.rate)

    def resampled(self, rate: int) -> Audio:
        """The same sound at another rate, by FFmpeg's resampler."""
        return self if rate == self.rate else self.stream().converted(rate, self.samples.shape[0]).collect()

    def mono(self) -> Tensor:
        """`(n,)`: the mean of its channels."""
        return self.samples.mean(dim=0)

    def stream(self) -> AudioStream:
        def make() -> Iterator[Tensor]:
            yield from self.samples.float().split(BLOCK, dim=1)

        return AudioStream(make, rate=self.rate, channels=self.samples.shape[0])


Sound = Audio | AudioStream
"""What a writer takes."""


def as_stream(sound: Sound) -> AudioStream:
    return sound.stream() if isinstance(sound, Audio) else sound


def _resample(blocks: Iterable[Tensor], before: int, after: int, channels: int) -> Iterator[Tensor]:
    import av

    layout = LAYOUTS[channels]
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=after)
    at = 0
    for block in blocks:
        frame: Any = av.AudioFrame.from_ndarray(block.float().contiguous().numpy(), "fltp", layout)
        frame.sample_rate, frame.pts, frame.time_base = before, at, Fraction(1, before)
        at += block.shape[1]
        yield from (torch.from_numpy(part.to_ndarray()) for part in resampler.resample(frame) if part.samples)
    if at:
        yield from (torch.from_numpy(part.to_ndarray()) for part in resampler.resample(None) if part.samples)


def open_audio(path: str | PathLike[str]) -> AudioStream:
    """The first sound track of a file, lazily: nothing but its header is read before it is pulled.

    Raises DiffilmError for a file that is missing, none, or has no sound; while it is pulled, for one that is damaged.
    """
    import av

    path = Path(path)
    if not path.is_file():
        raise DiffilmError(f"audio file {path}: there is no such file; give a .wav, .mp3, .flac, .m4a ... or a video")
    try:
        with av.open(str(path)) as container:
            found = audio_stream(path, container)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if found is None:
        raise DiffilmError(f"{path} has no sound: give a file with an audio track")
    return found


def audio_stream(path: Path, container: Any) -> AudioStream | None:
    """The first sound track of the file, which is open as `container`; None where it has none."""
    if not container.streams.audio:
        return None
    context = container.streams.audio[0].codec_context
    if not context.rate or not context.layout.nb_channels:
        return None
    return _track(path, context.rate, min(2, context.layout.nb_channels))


def _track(path: Path, rate: int, channels: int) -> AudioStream:
    def make() -> Iterator[Tensor]:
        import av

        try:
            with av.open(str(path)) as container:
                resampler = av.AudioResampler(format="fltp", layout=LAYOUTS[channels], rate=rate)
                for frame in container.decode(audio=0):
                    for part in resampler.resample(frame):
                        yield torch.from_numpy(part.to_ndarray())
                for part in resampler.resample(None):
                    yield torch.from_numpy(part.to_ndarray())
        except (av.error.FFmpegError, OSError) as error:
            raise _unreadable(path, error) from error

    return AudioStream(make, rate=rate, channels=channels)


def _unreadable(path: Path, error: Exception) -> DiffilmError:
    return DiffilmError(f"{path} cannot be read as audio ({error}): give a .wav, .mp3, .flac, .m4a ...")


def read_audio(path: str | PathLike[str], rate: int | None = None) -> Audio:
    """The first sound track of a file, whole, resampled to `rate` where it is given (by FFmpeg's own resampler).

    Raises DiffilmError for a file that is missing, none, or has no sound.
    """
    track = open_audio(path)
    parts = list(track.converted(rate or track.rate, track.channels))
    if not parts:
        raise DiffilmError(f"{path} has no sound: its audio track is empty")
    return Audio(torch.cat(parts, dim=1), rate or track.rate)
