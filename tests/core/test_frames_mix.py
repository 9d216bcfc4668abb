"""Proves that tracks are looped or cut to the film, faded, ducked by the stated dB, mixed, and read lazily."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffilm_core.errors import DiffilmError
from diffilm_core.frames import Audio, AudioStream, Track, concat, from_tensor, mix, open_audio, read, read_audio, write

RATE = 8000


def sine(seconds: float, rate: int = RATE, channels: int = 1, level: float = 0.5) -> Audio:
    at = torch.arange(round(seconds * rate)) / rate
    return Audio((level * torch.sin(2 * math.pi * 440 * at)).expand(channels, -1).contiguous(), rate)


def silence(seconds: float, rate: int = RATE) -> Audio:
    return Audio(torch.zeros(1, round(seconds * rate)), rate)


def after(*parts: Audio) -> Audio:
    return Audio(torch.cat([part.samples for part in parts], 1), parts[0].rate)


def rms(audio: Audio, start: float, end: float) -> float:
    return float(audio.samples[:, round(start * audio.rate) : round(end * audio.rate)].square().mean().sqrt())


@settings(max_examples=20, deadline=None)
@given(seconds=st.floats(0.01, 0.9), loop=st.booleans(), start=st.floats(0, 1.5))
def test_a_mix_is_as_long_as_the_film(seconds: float, loop: bool, start: float) -> None:
    """The sound at its place, from its beginning again where it loops, nothing else."""
    sound = sine(seconds)
    got = mix([Track(sound, start=start, loop=loop)], Fraction(3, 2)).collect().samples
    lead = round(start * RATE)
    once = sound.samples.repeat(1, 200) if loop else sound.samples
    wanted = torch.cat([torch.zeros(1, lead), once, torch.zeros(1, 20000)], 1)[:, :12000]
    assert got.shape == (1, 12000) and torch.allclose(got, wanted, atol=1e-6)


def test_volume_is_in_decibels_and_tracks_add_up() -> None:
    both = mix([Track(sine(1), volume=-6), Track(sine(1, channels=2), volume=-20)], Fraction(1)).collect()
    assert both.samples.shape[0] == 2
    assert torch.allclose(both.samples, sine(1, channels=2).samples * (10**-0.3 + 0.1), atol=1e-6)


def test_rates_meet_at_the_highest() -> None:
    both = mix([Track(sine(1, 8000)), Track(silence(1, 32000))], Fraction(1)).collect()
    assert both.rate == 32000 and both.samples.shape == (1, 32000)
    assert rms(both, 0.1, 0.9) == pytest.approx(0.5 / math.sqrt(2), rel=1e-2)


def test_fades_rise_from_the_start_and_fall_to_the_end() -> None:
    steady = Audio(torch.ones(1, 4 * RATE) * 0.5, RATE)
    got = mix([Track(steady, start=1, fade_in=1, fade_out=0.5)], Fraction(4)).collect().samples[0] / 0.5
    at = [float(got[round(t * RATE)]) for t in (0.5, 1.0, 1.5, 2.0, 3.4, 3.75)] + [float(got[-1])]
    assert at == pytest.approx([0, 0, 0.5, 1, 1, 0.5, 0], abs=1e-3)
    assert bool((got[RATE : 2 * RATE].diff() > -1e-6).all()) and bool((got[round(3.5 * RATE) :].diff() < 1e-6).all())


def test_music_goes_down_under_speech_by_what_was_said() -> None:
    """-12 dB while the narration sounds, reached within the attack, given back within the release after the hold."""
    music = sine(6, level=0.2)
    speech = after(silence(2), sine(1, level=0.4), silence(3))
    track = Track(music, duck=12, attack=0.2, release=0.5)
    got = mix([track, Track(speech)], Fraction(6)).collect().samples - speech.samples
    under = Audio(got, RATE)
    level = [20 * math.log10(rms(under, a, b) / rms(music, a, b)) for a, b in ((0.5, 1.9), (2.3, 3.2), (4.0, 5.9))]
    assert level == pytest.approx([0, -12, 0], abs=0.05)
    falling = [20 * math.log10(rms(under, a, a + 0.02) / rms(music, a, a + 0.02)) for a in (2.0, 2.05, 2.1, 2.15, 2.2)]
    assert falling == sorted(falling, reverse=True) and falling[2] == pytest.approx(-6, abs=1.5)
    noise = Audio(0.001 * torch.randn(1, 6 * RATE, generator=torch.Generator().manual_seed(0)), RATE)
    still = mix([track, Track(noise)], Fraction(6)).collect().samples - noise.samples
    assert rms(Audio(still, RATE), 0.5, 5.5) == pytest.approx(rms(music, 0.5, 5.5), rel=1e-4)


def test_a_mix_is_read_lazily_and_again() -> None:
    pulled = 0

    def make():
        nonlocal pulled
        for _ in range(1000):
            pulled += 1
            yield torch.full((1, RATE), 0.1)

    mixed = mix([Track(AudioStream(make, rate=RATE, channels=1), fade_out=1)], Fraction(5))
    assert pulled == 0
    first, again = mixed.collect(), mixed.collect()
    assert pulled <= 14 and torch.equal(first.samples, again.samples)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [({"volume": 60}, "volume 60 dB"), ({"duck": -3}, "duck by -3 dB"), ({"fade_in": -1}, "fade in of -1")],
)
def test_wrong_numbers_are_named(wrong: dict, words: str) -> None:
    with pytest.raises(DiffilmError, match=words):
        Track(sine(1), **wrong)
    with pytest.raises(DiffilmError, match="no sound to mix"):
        mix([], Fraction(1))


def test_a_clips_sound_stays_with_it(tmp_path: Path) -> None:
    """Read, cut and joined, the sound is where its pictures are; a clip without any is silent for its time."""
    pictures = torch.rand(16, 16, 16, 3)
    path = write(from_tensor(pictures, 8), tmp_path / "a.mp4", audio=after(silence(1, 44100), sine(1, 44100)))
    clip = read(path)
    assert clip.audio is not None and clip.map(lambda frame: frame).audio is clip.audio
    assert open_audio(path).rate == 44100 and torch.equal(clip.audio.collect().samples, read_audio(path).samples)
    film = concat([clip, from_tensor(pictures[:8], 8), clip])
    assert film.audio is not None
    sound = film.audio.collect()
    assert sound.samples.shape[1] == 5 * 44100
    loud = [rms(sound, t + 0.2, t + 0.8) > 0.2 for t in range(5)]
    assert loud == [False, True, False, False, True]
    assert concat([from_tensor(pictures, 8)] * 2).audio is None
    assert rms(clip.audio.cut(1, 0.5).collect(), 0.1, 0.4) > 0.3
