"""Music under a movie."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from ..errors import DiffilmError
from ..frames.audio import AudioStream, open_audio
from ..frames.formats import FORMATS, suffix_of
from ..frames.mix import Track, mix


class Soundtrack:
    """A sound file as a movie's sound: looped to its length, faded in and out. Read lazily.

    Raises DiffilmError for a file without sound, a fade out of range, and an output that is silent.
    """

    def __init__(self, music: str | Path, fade: float, out: Path) -> None:
        if not FORMATS[suffix_of(out)].audio:
            raise DiffilmError(f"output {out}: a {out.suffix} has no sound, expected .mp4; rename it, or no music")
        self.track = Track(open_audio(music), loop=True, fade_in=fade, fade_out=fade)

    def of(self, duration: Fraction) -> AudioStream:
        return mix([self.track], duration)
