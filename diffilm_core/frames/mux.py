"""A sound track of a container that is being written."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from torch import Tensor

from .audio import LAYOUTS, Sound, as_stream

BLOCK = 1024
"""Samples that are encoded at a time."""
RATES = {
    "aac": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000),
    "libopus": (8000, 12000, 16000, 24000, 48000),
}
"""What an encoder takes; those that are not here take any rate."""
BITS = {("aac", 1): 96_000, ("aac", 2): 192_000, ("libopus", 1): 80_000, ("libopus", 2): 160_000}


class AudioTrack:
    """A track of at most `duration` seconds; `until` and `finish` keep it beside the frames."""

    def __init__(self, container: Any, sound: Sound, duration: Fraction, encoder: str = "aac") -> None:
        self.container = container
        audio = as_stream(sound)
        rates = RATES.get(encoder, (audio.rate,))
        rate = min(rates, key=lambda each: (each < audio.rate, abs(each - audio.rate)))
        self.audio = audio.converted(rate, audio.channels)
        self.blocks = self.audio.cut(0, duration).blocks(BLOCK)
        self.layout = LAYOUTS[audio.channels]
        self.stream = container.add_stream(encoder, rate=rate, layout=self.layout)
        if (encoder, audio.channels) in BITS:
            self.stream.bit_rate = BITS[encoder, audio.channels]
        self.done, self.ended = 0, False

    def until(self, seconds: Fraction) -> None:
        """Encodes whole blocks up to that time."""
        while not self.ended and self.done + BLOCK <= seconds * self.audio.rate:
            self._next()

    def finish(self) -> None:
        while not self.ended:
            self._next()
        self.container.mux(self.stream.encode(None))

    def _next(self) -> None:
        block = next(self.blocks, None)
        if block is None:
            self.ended = True
        else:
            self._encode(block)

    def _encode(self, block: Tensor) -> None:
        import av

        samples = block.clamp(-1, 1).float().contiguous().numpy()
        frame: Any = av.AudioFrame.from_ndarray(samples, format="fltp", layout=self.layout)
        frame.sample_rate, frame.pts, frame.time_base = self.audio.rate, self.done, Fraction(1, self.audio.rate)
        self.done += block.shape[1]
        self.container.mux(self.stream.encode(frame))
