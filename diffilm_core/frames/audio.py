"""Sound: read from any file that FFmpeg knows, and muxed beside a movie's frames."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import DiffilmError

LAYOUTS = {1: "mono", 2: "stereo"}
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
BLOCK = 1024  # samples that AAC encodes at a time


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
        import av

        if rate == self.rate:
            return self
        layout = LAYOUTS[self.samples.shape[0]]
        frame: Any = av.AudioFrame.from_ndarray(self.samples.float().contiguous().numpy(), "fltp", layout)
        frame.sample_rate, frame.pts = self.rate, 0
        resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
        parts = [*resampler.resample(frame), *resampler.resample(None)]
        return Audio(torch.cat([torch.from_numpy(part.to_ndarray()) for part in parts], dim=1), rate)

    def mono(self) -> Tensor:
        """`(n,)`: the mean of its channels."""
        return self.samples.mean(dim=0)


def read_audio(path: str | PathLike[str], rate: int | None = None) -> Audio:
    """The first sound track of a file, whole, resampled to `rate` where it is given (by FFmpeg's own resampler).

    Raises DiffilmError for a file that is missing, none, or has no sound.
    """
    import av

    path = Path(path)
    if not path.is_file():
        raise DiffilmError(f"audio file {path}: there is no such file; give a .wav, .mp3, .flac, .m4a ... or a video")
    parts = []
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise DiffilmError(f"{path} has no sound: give a file with an audio track")
            stream = container.streams.audio[0]
            wanted = rate or stream.rate
            layout = LAYOUTS[min(2, stream.codec_context.layout.nb_channels)]
            resampler = av.AudioResampler(format="fltp", layout=layout, rate=wanted)
            for frame in container.decode(stream):
                parts += [torch.from_numpy(each.to_ndarray()) for each in resampler.resample(frame)]
            parts += [torch.from_numpy(each.to_ndarray()) for each in resampler.resample(None)]
    except (av.error.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, DiffilmError):
            raise
        raise DiffilmError(f"{path} cannot be read as audio ({error}): give a .wav, .mp3, .flac, .m4a ...") from error
    if not parts:
        raise DiffilmError(f"{path} has no sound: its audio track is empty")
    return Audio(torch.cat(parts, dim=1), int(wanted))


class AudioTrack:
    """An AAC track of a container that is being written; `until` and `finish` keep it beside the frames."""

    def __init__(self, container: Any, audio: Audio, duration: Fraction | float) -> None:
        self.container = container
        self.audio = audio.cut(0, duration)
        self.layout = LAYOUTS[audio.samples.shape[0]]
        rate = min(AAC_RATES, key=lambda each: (each < audio.rate, abs(each - audio.rate)))
        self.stream = container.add_stream("aac", rate=rate, layout=self.layout)
        self.stream.bit_rate = 192_000 if self.layout == "stereo" else 96_000
        self.done = 0

    def until(self, seconds: Fraction | float) -> None:
        """Encodes whole blocks up to that time."""
        end = min(int(seconds * self.audio.rate), self.audio.samples.shape[1])
        while end - self.done >= BLOCK:
            self._encode(BLOCK)

    def finish(self) -> None:
        while left := self.audio.samples.shape[1] - self.done:
            self._encode(min(BLOCK, left))
        self.container.mux(self.stream.encode(None))

    def _encode(self, count: int) -> None:
        import av

        block = self.audio.samples[:, self.done : self.done + count].clamp(-1, 1).float().contiguous().numpy()
        frame: Any = av.AudioFrame.from_ndarray(block, format="fltp", layout=self.layout)
        frame.sample_rate, frame.pts, frame.time_base = self.audio.rate, self.done, Fraction(1, self.audio.rate)
        self.done += count
        self.container.mux(self.stream.encode(frame))
