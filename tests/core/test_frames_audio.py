"""Proves that sound is read whole, muxed beside the frames in step with them, and cut where they end."""

from __future__ import annotations

import math
import wave
from pathlib import Path

import pytest
import torch

from diffilm_core import frames
from diffilm_core.errors import DiffilmError
from diffilm_core.frames import Audio, read_audio


def tone(seconds: float, rate: int = 44100, channels: int = 2) -> Audio:
    """Silence with a beep in the second half."""
    at = torch.arange(round(seconds * rate)) / rate
    samples = 0.5 * torch.sin(2 * math.pi * 440 * at) * (at >= seconds / 2)
    return Audio(samples.expand(channels, -1).contiguous(), rate)


def write_wav(path: Path, audio: Audio) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(audio.samples.shape[0])
        file.setsampwidth(2)
        file.setframerate(audio.rate)
        file.writeframes((audio.samples.T * 32767).round().to(torch.int16).contiguous().numpy().tobytes())
    return path


def clip(count: int) -> frames.FrameStream:
    return frames.from_tensor(torch.rand(count, 16, 16, 3, generator=torch.Generator().manual_seed(0)), 8)


def onset(audio: Audio) -> float:
    """Seconds before it is loud."""
    return int((audio.mono().abs() > 0.1).nonzero()[0]) / audio.rate


def tracks(path: Path) -> dict[str, float]:
    import av

    with av.open(str(path)) as container:
        return {stream.type: float(stream.duration * stream.time_base) for stream in container.streams}


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    audio = tone(0.5)
    found = read_audio(write_wav(tmp_path / "a.wav", audio))
    assert found.rate == 44100 and found.samples.shape == audio.samples.shape
    assert float((found.samples - audio.samples).abs().max()) < 1e-4
    half = read_audio(tmp_path / "a.wav", 22050)
    assert half.rate == 22050 and abs(half.samples.shape[1] - 11025) <= 32
    again = audio.resampled(22050)
    assert again.rate == 22050 and float((again.samples[:, :11000] - half.samples[:, :11000]).abs().max()) < 1e-3
    assert audio.resampled(44100) is audio
    assert float(half.duration) == pytest.approx(0.5, abs=0.002) and half.mono().ndim == 1


@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (22050, 1), (16001, 1)])
def test_sound_is_muxed_in_step_and_cut_at_the_last_frame(tmp_path: Path, rate: int, channels: int) -> None:
    path = frames.write(clip(16), tmp_path / "out.mp4", audio=tone(4.0, rate, channels))
    assert tracks(path) == {"video": pytest.approx(2), "audio": pytest.approx(2, abs=0.1)}
    late = frames.write(clip(24), tmp_path / "late.mp4", audio=tone(2.0, rate, channels))
    assert onset(read_audio(late)) == pytest.approx(1.0, abs=0.05)
    assert [frames.read(late).frames, tracks(late)["video"]] == [24, pytest.approx(3)]


def test_joined_files_get_one_sound(tmp_path: Path) -> None:
    parts = [frames.write(clip(count), tmp_path / f"{count}.mp4") for count in (8, 9, 7)]
    path = frames.concat_files(parts, tmp_path / "out.mp4", audio=tone(5.0))
    assert tracks(path) == {"video": pytest.approx(3), "audio": pytest.approx(3, abs=0.1)}
    assert frames.read(path).frames == 24 and onset(read_audio(path)) == pytest.approx(2.5, abs=0.05)
    plain = frames.concat_files(parts, tmp_path / "plain.mp4")
    assert frames.frame_hashes(frames.read(path)) == frames.frame_hashes(frames.read(plain))


@pytest.mark.parametrize("name", ["out.gif", "out.webp"])
def test_silent_kinds_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DiffilmError, match="has no sound"):
        frames.write(clip(4), tmp_path / name, audio=tone(1.0))
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_sound_is_told(tmp_path: Path) -> None:
    with pytest.raises(DiffilmError, match="no such file"):
        read_audio(tmp_path / "no.wav")
    (tmp_path / "text.wav").write_text("hello " * 100)
    with pytest.raises(DiffilmError, match="cannot be read as audio"):
        read_audio(tmp_path / "text.wav")
    silent = frames.write(clip(4), tmp_path / "silent.mp4")
    with pytest.raises(DiffilmError, match="no sound"):
        read_audio(silent)
    with pytest.raises(DiffilmError, match="1 or 2 channels"):
        Audio(torch.zeros(6, 100), 8000)
    with pytest.raises(DiffilmError, match="start earlier"):
        tone(1.0).cut(2, 1)
