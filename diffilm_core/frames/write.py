"""A stream to a file: MP4 (H.264), GIF or animated WebP by the suffix of its name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from math import ceil
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..atomic import written_whole
from ..errors import DiffilmError
from .audio import Sound
from .colour import to_planes
from .mux import AudioTrack
from .output import check_output
from .progress import Progress, watched
from .stream import FrameStream

H264: dict[str, Any] = {"preset": "medium", "threads": 4, "mbtree": 0}
"""What besides crf decides the bytes of an MP4. The threads are fixed because x264's rate control sees them; the
macroblock tree is off because with it x264's AVX-512 code gives other bytes from run to run for the same frames."""


def write(
    stream: FrameStream,
    path: str | PathLike[str],
    *,
    progress: Progress | None = None,
    crf: int = 18,
    metadata: Mapping[str, Any] | None = None,
    audio: Sound | None = None,
) -> Path:
    """Writes every frame of `stream` to `path` and returns it.

    .mp4: H.264, yuv420p, BT.709 limited range, tagged so, moov box first, closed GOPs; `crf` 0 (best) to 51. Odd sizes
    get their last column or line twice, as 4:2:0 needs even ones. .gif: one palette made for the clip; above 50 fps
    it is blended down to 50, the fastest that viewers play. .webp: lossy at a quality that follows `crf`.
    `audio`: sound for an .mp4 (AAC), cut at the last frame; the other kinds are silent.
    `metadata`: `title` and `comment`, and others, into the file; values that are not text are written as JSON.
    The file appears under its name when it is whole; after an error or a cancel nothing is left.
    `progress("write", frames done, frames, file name)` is called for every chunk. Raises DiffilmError before the first
    frame is pulled for an unknown suffix, an unwritable folder, a crf out of range or sound for a silent kind, and
    later when the disk fills.
    """
    target = check_output(path)
    if not 0 <= crf <= 51:
        raise DiffilmError(f"crf {crf}: expected 0 (best) to 51 (smallest); 18 is hard to tell from the original")
    if audio is not None and target.suffix.lower() != ".mp4":
        raise DiffilmError(f"output {target}: a {target.suffix} has no sound, expected .mp4; rename it, or no audio")
    texts = {key: _text(value) for key, value in (metadata or {}).items() if value is not None}
    with written_whole(target) as temporary:
        if target.suffix.lower() == ".mp4":
            _write_mp4(watched(stream, progress, target.name), temporary, crf, texts, audio)
        else:
            from .animation import write_gif, write_webp

            if target.suffix.lower() == ".gif":
                write_gif(stream, temporary, texts, progress, target.name)
            else:
                write_webp(watched(stream, progress, target.name), temporary, texts, quality=max(1, 100 - crf))
    return target


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def movie_options(metadata: Mapping[str, str], fps: Fraction) -> dict[str, str]:
    """Muxer options: the index first; a time scale in which whole frames are exact, so that no edit list cuts the last
    one short; free metadata keys only where there are such (players know the usual ones)."""
    free = set(metadata) - {
        "title",
        "comment",
        "artist",
        "album",
        "date",
        "genre",
        "description",
        "copyright",
    }
    scale = fps.numerator * ceil(1000 / fps.numerator)
    return {
        "movflags": "+faststart" + ("+use_metadata_tags" if free else ""),
        "movie_timescale": str(scale),
    }


def even(frame: Tensor) -> Tensor:
    """`(h, w, 3)` with the last line and column repeated where a side is odd."""
    if frame.shape[0] % 2:
        frame = torch.cat([frame, frame[-1:]])
    if frame.shape[1] % 2:
        frame = torch.cat([frame, frame[:, -1:]], 1)
    return frame


def _write_mp4(
    stream: FrameStream, path: Path, crf: int, metadata: Mapping[str, str], audio: Sound | None = None
) -> None:
    import av

    with av.open(str(path), "w", format="mp4", options=movie_options(metadata, stream.fps)) as container:
        container.metadata.update(metadata)
        video: Any = container.add_stream("libx264", rate=stream.fps)
        video.width, video.height = stream.width + stream.width % 2, stream.height + stream.height % 2
        video.pix_fmt = "yuv420p"
        video.time_base = 1 / stream.fps
        context = video.codec_context
        context.time_base = 1 / stream.fps
        context.thread_count = H264["threads"]
        context.options = {"crf": str(crf), "preset": str(H264["preset"]), "mbtree": str(H264["mbtree"])}
        context.colorspace = context.color_primaries = context.color_trc = 1
        context.color_range = 1
        sound = None if audio is None else AudioTrack(container, audio, stream.duration)
        count = 0
        for chunk in stream:
            for frame in chunk:
                picture = _picture(frame)
                picture.pts, picture.time_base = count, 1 / stream.fps
                for packet in video.encode(picture):
                    _mux(container, packet, stream)
                count += 1
                if sound is not None:
                    sound.until(count / stream.fps)
        for packet in video.encode(None):
            _mux(container, packet, stream)
        if sound is not None:
            sound.finish()


def _mux(container: Any, packet: Any, stream: FrameStream) -> None:
    if not packet.duration:
        packet.duration = round(1 / stream.fps / packet.time_base)
    container.mux(packet)


def _picture(frame: Tensor) -> Any:
    """One RGB frame as a yuv420p AVFrame with BT.709 tags."""
    import av

    planes = to_planes(even(frame))
    picture: Any = av.VideoFrame(planes[0].shape[1], planes[0].shape[0], "yuv420p")
    for plane, values in zip(picture.planes, planes, strict=True):
        row = torch.zeros(values.shape[0], plane.line_size, dtype=torch.uint8)
        row[:, : values.shape[1]] = values
        plane.update(row.numpy().tobytes())
    picture.colorspace, picture.color_range = 1, 1
    return picture
