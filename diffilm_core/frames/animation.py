"""Animated GIF and PNG, written through PyAV frame by frame; their metadata blocks are put in afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor

from .formats import Encoding
from .interpolate import interpolate
from .patch import insert
from .pixels import to_frame
from .png import add_chunks
from .progress import Progress, watched
from .spool import spool
from .stream import FrameStream, to_uint8
from .webp import write_webp

GIF_FPS = Fraction(50)


def write_animation(
    stream: FrameStream,
    path: Path,
    how: Encoding,
    metadata: Mapping[str, str],
    progress: Progress | None = None,
    name: str = "",
) -> None:
    """A picture that moves and loops; `progress`: as in `write`, with `name` as its message."""
    if how.codec.name == "gif":
        _write_gif(stream, path, metadata, progress, name)
        return
    stream = watched(stream, progress, name)
    if how.codec.name != "apng":
        write_webp(stream, path, how, metadata)
        return
    _write_apng(stream, path, how)
    add_chunks(path, metadata)


def _write_gif(
    stream: FrameStream, path: Path, metadata: Mapping[str, str], progress: Progress | None, name: str
) -> None:
    """Two passes, each half of the progress: a palette of the whole clip (`palettegen` of libavfilter), then the
    dithered frames."""
    import av

    total = stream.frames
    stream = watched(stream, progress, name, part=0, parts=2)
    if stream.fps > GIF_FPS:
        stream = interpolate(stream, GIF_FPS)
    stream = spool(stream.map(lambda frame: to_uint8(frame).float().div(255)))
    palette = _palette(stream)
    graph = av.filter.Graph()
    pictures = _buffer(graph, stream.width, stream.height, stream.fps)
    colours = _buffer(graph, 16, 16, stream.fps)
    mapped = graph.add("paletteuse", "dither=sierra2_4a:diff_mode=rectangle")
    sink = graph.add("buffersink")
    pictures.link_to(mapped, 0, 0)
    colours.link_to(mapped, 0, 1)
    mapped.link_to(sink)
    graph.configure()
    palette.pts, palette.time_base = 0, 1 / stream.fps
    colours.push(palette)
    colours.push(None)
    with av.open(str(path), "w", format="gif", options={"loop": "0"}) as container:
        video: Any = container.add_stream("gif", rate=stream.fps)
        video.width, video.height, video.pix_fmt = stream.width, stream.height, "pal8"
        video.codec_context.time_base = video.time_base = 1 / stream.fps
        count = 0
        for chunk in watched(stream, progress, name, part=1, parts=2, total=total):
            for frame in chunk:
                pictures.push(_picture(frame, count, stream.fps))
                count += 1
                _drain(sink, container, video)
        pictures.push(None)
        _drain(sink, container, video)
        for packet in video.encode(None):
            container.mux(packet)
    if metadata:
        _add_gif_comment(path, metadata)


def _write_apng(stream: FrameStream, path: Path, how: Encoding) -> None:
    import av

    with av.open(str(path), "w", format=how.form.container, options={"plays": "0"}) as container:
        video: Any = container.add_stream(how.codec.encoder, rate=stream.fps)
        video.width, video.height, video.pix_fmt = stream.width, stream.height, how.pixels
        video.codec_context.time_base = video.time_base = 1 / stream.fps
        video.codec_context.options = how.options()
        count = 0
        for chunk in stream:
            for frame in chunk:
                picture = to_frame(frame, how.pixels)
                picture.pts, picture.time_base = count, 1 / stream.fps
                count += 1
                for packet in video.encode(picture):
                    container.mux(packet)
        for packet in video.encode(None):
            container.mux(packet)


def _picture(frame: Tensor, pts: int, fps: Fraction) -> Any:
    picture = to_frame(frame, "bgra")
    picture.pts, picture.time_base = pts, 1 / fps
    return picture


def _buffer(graph: Any, width: int, height: int, fps: Fraction) -> Any:
    return graph.add_buffer(width=width, height=height, format="bgra", time_base=1 / fps)


def _palette(stream: FrameStream) -> Any:
    """The 16x16 picture of the clip's 256 colours."""
    import av

    graph = av.filter.Graph()
    source = _buffer(graph, stream.width, stream.height, stream.fps)
    made = graph.add("palettegen", "max_colors=256:reserve_transparent=0:stats_mode=full")
    sink = graph.add("buffersink")
    source.link_to(made)
    made.link_to(sink)
    graph.configure()
    count = 0
    for chunk in stream:
        for frame in chunk:
            source.push(_picture(frame, count, stream.fps))
            count += 1
    source.push(None)
    return sink.pull()


def _drain(sink: Any, container: Any, video: Any) -> None:
    import av

    while True:
        try:
            picture = sink.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        for packet in video.encode(picture):
            container.mux(packet)


def _add_gif_comment(path: Path, metadata: Mapping[str, str]) -> None:
    """A comment extension (GIF89a, 24) with the metadata as JSON, before the first picture."""
    text = json.dumps(dict(metadata), ensure_ascii=False).encode()
    comment = b"\x21\xfe" + b"".join(bytes([len(part)]) + part for part in _parts(text, 255)) + b"\x00"
    with path.open("rb") as file:
        data = file.read(4096)
    start = 13 + (3 << (data[10] % 8 + 1) if data[10] & 0x80 else 0)
    if data[start : start + 3] == b"\x21\xff\x0b":
        start = data.index(b"\x00", start + 18) + 1
    insert(path, start, comment)


def _parts(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]
