"""A `FrameStream` on a VIDEO wire, and any VIDEO as a `FrameStream`."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

from comfy_api.latest import Input, InputImpl, Types

from ..diffilm_core import frames
from ..diffilm_core.frames import Audio, FrameStream
from ..diffilm_core.frames.audio import AudioStream
from . import host

SPOOL_CRF = 10
"""Quality of the file that stands in for the frames where a node wants a file: hard to tell from them."""


class StreamVideo(Input.Video):
    """A VIDEO whose frames are computed when a node asks for them.

    `key` says what decides its pixels (a digest), or is None where nobody knows: a writer may keep what it wrote
    under the key. It may be given as a function, where stages may yet go down to a smaller setting for want of memory.
    """

    def __init__(self, stream: FrameStream, key: str | Callable[[], str | None] | None = None) -> None:
        self.stream = stream
        self._key = key
        self._file: str | None = None

    @property
    def key(self) -> str | None:
        return self._key() if callable(self._key) else self._key

    def get_components(self) -> Any:
        """All frames, and the sound for as long as they last, in memory."""
        stream = self.stream
        sound = None if stream.audio is None else host_audio(stream.audio.cut(0, stream.duration))
        return Types.VideoComponents(images=_with_progress(stream).collect(), audio=sound, frame_rate=stream.fps)

    def save_to(
        self, path: Any, format: Any = "auto", codec: Any = "auto", metadata: dict | None = None, **options: Any
    ) -> None:
        """To a file or buffer. H.264 in MP4 is written frame by frame; the rest goes through the host."""
        wanted = {name: value for name, value in options.items() if value is not None and name != "crf"}
        wanted = {name: value for name, value in wanted.items() if (name, value) not in PLAIN}
        if _text(format) in ("auto", "mp4") and _text(codec) in ("auto", "h264") and not wanted:
            crf = 18 if options.get("crf") is None else round(options["crf"])
            if isinstance(path, (str, os.PathLike)) and str(path).endswith(".mp4"):
                self._write(Path(path), crf, metadata)
                return
            with tempfile.TemporaryDirectory(dir=host.temp_directory()) as folder:
                file = Path(folder, "clip.mp4")
                self._write(file, crf, metadata)
                with file.open("rb") as source:
                    if isinstance(path, (str, os.PathLike)):
                        shutil.copyfile(file, path)
                    else:
                        shutil.copyfileobj(source, path)
            return
        video = InputImpl.VideoFromFile(self.get_stream_source())
        video.save_to(path, format=format, codec=codec, metadata=metadata, **options)

    def _write(self, path: Path, crf: int, metadata: dict | None) -> None:
        frames.write(self.stream, path, progress=host.Progress(self.stream.frames), crf=crf, metadata=metadata)

    def get_stream_source(self) -> str | BytesIO:
        """A temporary MP4 of the frames, made once and gone with this object."""
        if self._file is None:
            handle, name = tempfile.mkstemp(prefix="diffilm-", suffix=".mp4", dir=host.temp_directory())
            os.close(handle)
            weakref.finalize(self, _remove, name)
            self._write(Path(name), SPOOL_CRF, None)
            self._file = name
        return self._file

    def get_dimensions(self) -> tuple[int, int]:
        return self.stream.width, self.stream.height

    def get_duration(self) -> float:
        return float(self.stream.duration)

    def get_frame_count(self) -> int:
        return self.stream.frames

    def get_frame_rate(self) -> Fraction:
        return self.stream.fps

    def get_container_format(self) -> str:
        return "mp4"

    def get_color_space(self) -> str:
        return "sRGB"

    def as_trimmed(
        self, start_time: float | None = None, duration: float | None = None, strict_duration: bool = False
    ) -> StreamVideo | None:
        """From `start_time` seconds (before 0: from the end) for `duration` (0 or None: to the end), still lazy."""
        start = float(start_time or 0.0)
        start = max(0.0, start + self.get_duration()) if start < 0 else start
        first = min(round(start * self.stream.fps), self.stream.frames)
        wanted = round(duration * self.stream.fps) if duration else self.stream.frames - first
        count = min(wanted, self.stream.frames - first)
        if count < 1 or (strict_duration and count < wanted):
            return None
        return StreamVideo(trimmed(self.stream, first, count), lambda: derived_key(self.key, "trim", first, count))


PLAIN = {("bit_depth", 8), ("color_space", "sRGB"), ("color_space", "auto")}
"""What the host may ask for that our own writer does anyway."""


def _remove(name: str) -> None:
    with suppress(OSError):
        os.unlink(name)


def _text(value: Any) -> str:
    return str(getattr(value, "value", value))


def _with_progress(stream: FrameStream) -> FrameStream:
    progress = host.Progress(stream.frames)

    def make() -> Any:
        done = 0
        for chunk in stream:
            yield chunk
            done += chunk.shape[0]
            progress("frames", done, stream.frames)

    return stream.with_frames(make)


def trimmed(stream: FrameStream, first: int, count: int) -> FrameStream:
    """`count` frames from `first` on, with the cuts between them."""

    def make() -> Any:
        at = 0
        for chunk in stream:
            low, high = max(first - at, 0), min(first + count - at, chunk.shape[0])
            at += chunk.shape[0]
            if low < high:
                yield chunk[low:high]
            if at >= first + count:
                return

    cuts = [cut - first for cut in stream.cuts if first < cut < first + count]
    audio = None if stream.audio is None else stream.audio.cut(first / stream.fps, count / stream.fps)
    return stream.with_frames(make, frames=count, cuts=cuts, audio=audio)


def stream_of(video: Any) -> FrameStream:
    """Any VIDEO as a stream: ours as it is, a file read in chunks, others from memory."""
    if isinstance(video, StreamVideo):
        return video.stream
    whole = getattr(video, "get_active_trim_window", lambda: (0.0, 0.0))() == (0.0, 0.0)
    if whole and isinstance(video, InputImpl.VideoFromFile):
        source = video.get_stream_source()
        if isinstance(source, (str, os.PathLike)):
            return frames.read(source)
    components = video.get_components()
    stream = frames.from_tensor(components.images, components.frame_rate)
    sound = audio_of(components.audio)
    return stream if sound is None else stream.with_frames(stream.__iter__, audio=sound.stream())


def key_of(video: Any) -> str | None:
    """What decides a VIDEO's pixels, where that is known."""
    return video.key if isinstance(video, StreamVideo) else None


def derived_key(key: str | None, *settings: Any) -> str | None:
    """The key of a stage's result from its source's key and its settings."""
    if key is None:
        return None
    return hashlib.sha256("\n".join([key, *map(repr, settings)]).encode()).hexdigest()


def host_audio(sound: AudioStream) -> dict | None:
    """A track as the host's AUDIO; None where it has no sample."""
    if next(iter(sound), None) is None:
        return None
    audio = sound.collect()
    return {"waveform": audio.samples[None], "sample_rate": audio.rate}


def audio_of(value: dict | None) -> Audio | None:
    """The host's AUDIO (the first of its batch, two channels at most), or None where nothing is connected."""
    return None if value is None else Audio(value["waveform"][0, :2].float().cpu(), int(value["sample_rate"]))
