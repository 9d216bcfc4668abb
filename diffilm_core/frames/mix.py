"""Sound for a film: tracks looped or cut to its length, faded, ducked under one another, and mixed into one."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, repeat

import torch
from torch import Tensor

from ..errors import DiffilmError
from .audio import AudioStream, Sound, as_stream
from .stream import FrameStream, regroup

STEP = Fraction(1, 100)
"""Seconds between two looks at how loud the tracks are, and the shortest attack and release."""
HEARD = 10 ** (-45 / 20)
"""RMS from which on a track counts as heard: -45 dB of full scale, above a recording's noise."""
HOLD = Fraction(3, 10)
"""Seconds that a duck stays down after the last word, so that it does not pump between words."""


@dataclass(frozen=True)
class Track:
    """One sound of the mix.

    volume: dB. start: seconds into the film. loop: from its beginning again until the film ends. fade_in, fade_out:
    seconds, raised cosine; the fade out ends with the film. duck: dB by which it goes down while a track without a
    duck is heard, in `attack` seconds, and up again in `release` seconds.
    """

    sound: Sound
    volume: float = 0.0
    start: float = 0.0
    loop: bool = False
    fade_in: float = 0.0
    fade_out: float = 0.0
    duck: float = 0.0
    attack: float = 0.2
    release: float = 0.6

    def __post_init__(self) -> None:
        if not -96 <= self.volume <= 24:
            raise DiffilmError(f"volume {self.volume:g} dB: expected -96 to 24; 0 leaves the sound as it is")
        if not 0 <= self.duck <= 96:
            raise DiffilmError(f"duck by {self.duck:g} dB: expected 0 to 96; 12 is usual under speech")
        for name in ("start", "fade_in", "fade_out", "attack", "release"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise DiffilmError(f"{name.replace('_', ' ')} of {value!r} s: expected seconds from 0 on")


def mix(tracks: Sequence[Track], duration: Fraction) -> AudioStream:
    """All tracks together, exactly `duration` seconds long, at the highest rate and with the most channels of them.

    Sums are not limited here: the writer clips them at full scale. Raises DiffilmError for no tracks, or (when pulled)
    for a loop without a sample.
    """
    if not tracks:
        raise DiffilmError("no sound to mix: expected at least one track; give one")
    sounds = [as_stream(track.sound) for track in tracks]
    rate, channels = max(sound.rate for sound in sounds), max(sound.channels for sound in sounds)
    total, size = round(duration * rate), max(1, round(STEP * rate))

    def placed(track: Track, sound: AudioStream) -> Iterator[Tensor]:
        """`(channels, size)` blocks without end: the track at its place, silence around it."""
        lead = round(track.start * rate)
        sound = sound.converted(rate, channels)
        blocks = chain(
            (torch.zeros(channels, min(size, lead - at)) for at in range(0, lead, size)),
            _looped(sound) if track.loop else iter(sound),
            repeat(torch.zeros(channels, size)),
        )
        for at, block in enumerate(regroup((block.T for block in blocks), size)):
            gain = 10 ** (track.volume / 20) * _fades(track, at * size, size, lead, total, rate)
            yield block.T * gain

    def make() -> Iterator[Tensor]:
        runs = [placed(track, sound) for track, sound in zip(tracks, sounds, strict=True)]
        ducks = [_Duck(track) if track.duck else None for track in tracks]
        for at in range(0, total, size):
            blocks = [next(run) for run in runs]
            over = [block for block, duck in zip(blocks, ducks, strict=True) if duck is None]
            heard = bool(over) and float(sum(over, torch.zeros(())).square().mean().sqrt()) > HEARD
            for index, duck in enumerate(ducks):
                if duck is not None:
                    blocks[index] = blocks[index] * duck.gains(heard, size)
            yield sum(blocks[1:], blocks[0])[:, : total - at]

    return AudioStream(make, rate=rate, channels=channels)


def _looped(sound: AudioStream) -> Iterator[Tensor]:
    while True:
        empty = True
        for block in sound:
            empty = False
            yield block
        if empty:
            raise DiffilmError("sound to loop: it has no samples, expected some; give another file")


def _fades(track: Track, at: int, size: int, lead: int, total: int, rate: int) -> Tensor:
    """`(size,)` gains of samples `at` on: up from where the track starts, down to the film's end."""
    place = torch.arange(at, at + size, dtype=torch.float64) + 0.5
    gain = torch.ones(size, dtype=torch.float64)
    for length, distance in ((track.fade_in, place - lead), (track.fade_out, total - place)):
        if length > 0:
            gain = gain * (1 - torch.cos((distance / (length * rate)).clamp(0, 1) * math.pi)) / 2
    return gain.float()


class _Duck:
    """The gain of a ducked track: in dB it goes straight down and up at the rates that attack and release ask for."""

    def __init__(self, track: Track) -> None:
        self.depth = track.duck
        self.down = track.duck / max(track.attack, float(STEP)) * float(STEP)
        self.up = track.duck / max(track.release, float(STEP)) * float(STEP)
        self.level, self.hold = 0.0, 0

    def gains(self, heard: bool, size: int) -> Tensor:
        """`(size,)` gains of the next step."""
        self.hold = round(HOLD / STEP) if heard else self.hold - 1
        before = self.level
        self.level = max(-self.depth, before - self.down) if self.hold > 0 else min(0.0, before + self.up)
        return 10 ** (torch.linspace(before, self.level, size + 1)[1:] / 20)


def joined_audio(streams: Sequence[FrameStream]) -> AudioStream | None:
    """The sound of clips one after the other, each as long as its pictures, silence where a clip has none; None where
    none has any."""
    sounds = [stream.audio for stream in streams]
    there = [sound for sound in sounds if sound is not None]
    if not there:
        return None
    rate, channels = max(sound.rate for sound in there), max(sound.channels for sound in there)

    def make() -> Iterator[Tensor]:
        seconds, at = Fraction(0), 0
        for stream, sound in zip(streams, sounds, strict=True):
            seconds += stream.duration
            end = round(seconds * rate)
            for block in () if sound is None else sound.converted(rate, channels):
                block = block[:, : end - at]
                at += block.shape[1]
                if block.shape[1]:
                    yield block
                if at == end:
                    break
            while at < end:
                count = min(rate, end - at)
                at += count
                yield torch.zeros(channels, count)

    return AudioStream(make, rate=rate, channels=channels)
