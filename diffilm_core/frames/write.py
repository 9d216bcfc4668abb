"""A stream to a file or a folder of frames, as `formats` says for its name."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fractions import Fraction
from math import ceil
from os import PathLike
from pathlib import Path
from typing import Any

from ..atomic import folder_written_whole, written_whole
from ..errors import DiffilmError
from .audio import Sound
from .chapters import Chapter, set_chapters
from .formats import CODECS, FORMATS, THREADS, Encoding, encoding
from .mux import AudioTrack
from .output import check_output
from .pixels import pixels, to_frame
from .progress import Progress, watched
from .stream import FrameStream

H264: dict[str, Any] = {**CODECS["h264"].options, "threads": THREADS}
"""What besides crf decides the bytes of an MP4."""
USUAL = {"title", "comment", "artist", "album", "date", "genre", "description", "copyright"}
"""Metadata that players know; an MP4 keeps others in a box of its own."""


def write(
    stream: FrameStream,
    path: str | PathLike[str],
    *,
    progress: Progress | None = None,
    codec: str = "",
    bits: int = 0,
    crf: int | None = None,
    metadata: Mapping[str, Any] | None = None,
    audio: Sound | None = None,
    chapters: Sequence[Chapter] = (),
) -> Path:
    """Writes every frame of `stream` to `path` and returns it: any suffix of `formats.FORMATS`, or a folder of frames.

    codec, bits, crf: as `formats.encoding` has them; "", 0 and None are the format's usual ones. Y'CbCr is BT.709 in
    limited range, tagged so; odd sizes get their last column or line twice where chroma needs even ones. A GIF above
    50 fps is blended down to 50, the fastest that viewers play. An MP4 has its index first; all GOPs are closed.
    audio: sound, cut at the last frame; None: the stream's own, where the format has sound.
    metadata: `title` and `comment`, and others, into the file (each of the frames); values that are not text as JSON.
    chapters: into .mp4, .mov, .mkv and .webm; the others have none.
    The file or folder appears under its name when it is whole; after an error or a cancel nothing is left.
    `progress("write", frames done, frames, file name)` is called for every chunk. Raises DiffilmError before the first
    frame is pulled for all that `check_output` and `encoding` refuse, or sound for a silent kind, and later when the
    disk fills.
    """
    target = check_output(path)
    how = encoding(target, codec, bits, crf)
    how.check_size(stream.width, stream.height)
    if audio is not None:
        check_sound(target)
    texts = texts_of(metadata)
    if how.form.kind == "frames":
        from .images import write_frames

        with folder_written_whole(target.absolute().parent) as folder:
            write_frames(watched(stream, progress, target.name), folder / target.name, how, texts)
        return target
    with written_whole(target) as temporary:
        if how.form.kind == "video":
            sound = audio or stream.audio
            _write_video(watched(stream, progress, target.name), temporary, how, texts, sound, chapters)
        else:
            from .animation import write_animation

            write_animation(stream, temporary, how, texts, progress, target.name)
    return target


def check_sound(path: Path) -> None:
    """Raises DiffilmError for an output of a kind that has no sound."""
    form = FORMATS.get(path.suffix.lower())
    if form is None or not form.audio:
        kinds = ", ".join(suffix for suffix, each in FORMATS.items() if each.audio)
        what = "a folder of frames" if form is not None and form.kind == "frames" else f"a {path.suffix}"
        raise DiffilmError(f"output {path}: {what} has no sound, expected one of {kinds}; rename it, or no audio")


def texts_of(metadata: Mapping[str, Any] | None) -> dict[str, str]:
    """Metadata as texts, without what is None."""
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
        for key, value in (metadata or {}).items()
        if value is not None
    }


def movie_options(metadata: Mapping[str, str], fps: Fraction, container: str = "mp4") -> dict[str, str]:
    """Muxer options. MP4: the index first; a time scale in which whole frames are exact, so that no edit list cuts the
    last one short; free metadata keys only where there are such. Matroska: no random numbers."""
    if container in ("mp4", "mov"):
        free = metadata.keys() - USUAL
        scale = fps.numerator * ceil(1000 / fps.numerator)
        flags = "+faststart+write_colr" + ("+use_metadata_tags" if free else "")
        return {"movflags": flags, "movie_timescale": str(scale)}
    return {"fflags": "+bitexact"} if container in ("matroska", "webm") else {}


def video_stream(container: Any, stream: FrameStream, how: Encoding) -> Any:
    """The video track of an open container, its encoder set up and tagged."""
    form = pixels(how.pixels)
    across, down = (form.across, form.down) if form else (1, 1)
    video = container.add_stream(how.codec.encoder, rate=stream.fps)
    video.width, video.height = ceil(stream.width / across) * across, ceil(stream.height / down) * down
    video.pix_fmt = how.pixels
    video.time_base = 1 / stream.fps
    context = video.codec_context
    context.time_base = 1 / stream.fps
    context.thread_count = THREADS
    context.options = how.options()
    if how.codec.tag and how.form.container in ("mp4", "mov"):
        context.codec_tag = how.codec.tag
    tag(context, how.pixels)
    return video


def tag(target: Any, name: str) -> None:
    """Writes what the values of a pixel format mean onto an encoder or a frame: BT.709, or sRGB where it is RGB."""
    form = pixels(name)
    yuv = form is not None and form.kind == "yuv"
    target.colorspace, target.color_range = (1, 1) if yuv else (0, 2)
    if hasattr(target, "color_primaries"):
        target.color_primaries, target.color_trc = 1, 1 if yuv else 13


def pictures(stream: FrameStream, name: str) -> Iterator[Any]:
    """The frames as AVFrames of a pixel format, tagged, at their times."""
    count = 0
    for chunk in stream:
        for frame in chunk:
            picture = to_frame(frame, name)
            tag(picture, name)
            picture.pts, picture.time_base = count, 1 / stream.fps
            count += 1
            yield picture


def _write_video(
    stream: FrameStream,
    path: Path,
    how: Encoding,
    metadata: Mapping[str, str],
    audio: Sound | None,
    chapters: Sequence[Chapter],
) -> None:
    import av

    options = movie_options(metadata, stream.fps, how.form.container)
    with av.open(str(path), "w", format=how.form.container, options=options) as container:
        container.metadata.update(metadata)
        video = video_stream(container, stream, how)
        set_chapters(container, chapters)
        sound = None if audio is None else AudioTrack(container, audio, stream.duration, how.form.audio)
        muxer = _Muxer(container, stream.fps, how.codec.delay)
        for count, picture in enumerate(pictures(stream, how.pixels), 1):
            with same_schedule():
                packets = video.encode(picture)
            muxer.mux(packets)
            if sound is not None:
                sound.until(count / stream.fps)
        muxer.mux(video.encode(None))
        if sound is not None:
            sound.finish()


@contextmanager
def same_schedule() -> Iterator[None]:
    """The thread keeps its scheduling. SVT-AV1, run by root, makes the thread that opens it a real-time one of the
    highest priority: it would sample the next shots so, and every program that it starts would inherit it."""
    if not hasattr(os, "sched_getscheduler"):  # Windows, macOS
        yield
        return
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, priority)


class _Muxer:
    """Gives every packet a frame's duration, and its decoding time where the encoder gives none to trust."""

    def __init__(self, container: Any, fps: Fraction, delay: int | None) -> None:
        self.container, self.fps, self.delay, self.count = container, fps, delay, 0

    def mux(self, packets: Iterable[Any]) -> None:
        for packet in packets:
            step = round(1 / self.fps / packet.time_base)
            packet.duration = packet.duration or step
            if self.delay is not None:
                packet.dts = (self.count - self.delay) * step
            self.count += 1
            self.container.mux(packet)
