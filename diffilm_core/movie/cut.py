"""A finished movie cut back into its pieces by copying packets: what `frames.join` put together, taken apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..atomic import written_whole
from ..errors import DiffilmError
from ..frames.join import _delay
from ..frames.read import _opened
from ..frames.write import movie_options
from .pieces import Piece


def check_pieces(movie: Path, pieces: Sequence[Piece]) -> None:
    """Raises DiffilmError unless the file has the pieces' frames and each begins with a key frame."""
    with _opened(movie) as (source, stream):
        step = _step(stream)
        keys, frames = set(), 0
        for packet in source.demux(stream):
            if packet.size:
                frames += 1
                if packet.is_keyframe:
                    keys.add(packet.pts // step)
    wanted = sum(piece.frames for piece in pieces)
    starts = [sum(piece.frames for piece in pieces[:at]) for at in range(len(pieces))]
    if frames != wanted or not keys.issuperset(starts):
        raise DiffilmError(
            f"{movie} has {frames} frames and key frames at {len(keys)} of them, expected {wanted} frames in "
            f"{len(pieces)} pieces as its own record says: it was cut or encoded again; give the file "
            "that Diffilm wrote"
        )


def cut_pieces(
    movie: Path, pieces: Sequence[Piece], wanted: Callable[[Piece], bool], put: Callable[[Piece, Callable], Any]
) -> None:
    """Each piece that is `wanted` as a file of its own: `put(piece, write)` is given a `write(path)` for it.

    Packets are copied, so a piece has the frames, bit for bit, that the movie shows there. Raises DiffilmError as
    `check_pieces` does.
    """
    check_pieces(movie, pieces)
    delay = _delay(movie)
    start = 0
    for piece in pieces:
        if wanted(piece):
            put(piece, _copier(movie, start, piece.frames, delay))
        start += piece.frames


def _copier(movie: Path, start: int, frames: int, delay: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        import av

        with written_whole(path) as temporary, _opened(movie) as (source, stream):
            step = _step(stream)
            options = movie_options({}, stream.average_rate)
            with av.open(str(temporary), "w", format="mp4", options=options) as container:
                video = container.add_stream_from_template(stream)
                video.time_base = stream.time_base
                source.seek((start * step), stream=stream)
                count = 0
                for packet in source.demux(stream):
                    if not packet.size or not start * step <= packet.pts < (start + frames) * step:
                        continue
                    packet.pts -= start * step
                    packet.dts = (count - delay) * step
                    packet.duration = step
                    packet.stream = video
                    packet.time_base = stream.time_base
                    try:
                        container.mux(packet)
                    except av.error.FFmpegError as error:
                        raise OSError(error.errno, error.strerror) from error
                    count += 1
                    if count == frames:
                        break

    return write


def _step(stream: Any) -> int:
    """A frame's duration in the stream's time base."""
    return round(1 / stream.average_rate / stream.time_base)
