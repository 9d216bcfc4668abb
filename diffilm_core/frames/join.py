"""Files of one encoder joined by copying their packets: no frame is decoded, none is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import Any

from ..atomic import written_whole
from ..errors import DiffilmError
from .audio import Sound
from .mux import AudioTrack
from .output import check_output
from .progress import Progress
from .read import _opened
from .write import movie_options, texts_of


def concat_files(
    paths: Sequence[str | PathLike[str]],
    out: str | PathLike[str],
    *,
    progress: Progress | None = None,
    metadata: Mapping[str, Any] | None = None,
    audio: Sound | None = None,
) -> Path:
    """The MP4 files that `write` made with one set of settings, one after the other, as the MP4 `out`.

    Written under a temporary name and renamed, with `audio` (AAC, cut at the last frame) where it is given.
    `progress("join", files done, files, file name)` is called for every file. Raises DiffilmError when there is no
    file, or one cannot be read or was encoded differently.
    """
    target = check_output(out, (".mp4",))
    if not paths:
        raise DiffilmError("no files to join: expected at least one; make a shot first")
    import av

    texts = texts_of(metadata)
    with _opened(Path(paths[0])) as (_, stream):
        options = movie_options(texts, stream.average_rate)
    with written_whole(target) as temporary:  # noqa: SIM117
        with av.open(str(temporary), "w", format="mp4", options=options) as container:
            container.metadata.update(texts)
            video: Any = None
            form: tuple = ()
            start, delay = 0, max(_delay(Path(path)) for path in paths)
            sound: AudioTrack | None = None
            for done, path in enumerate(map(Path, paths)):
                with _opened(path) as (source, stream):
                    if video is None:
                        form = _form(stream)
                        video = container.add_stream_from_template(stream)
                        video.time_base = stream.time_base
                        if audio is not None:
                            sound = AudioTrack(container, audio, _seconds(paths))
                    elif _form(stream) != form:
                        raise DiffilmError(
                            f"{path}: got another encoding than {paths[0]}, expected the same size, rate and encoder; "
                            "write all shots with the same settings"
                        )
                    start = _copy(source, stream, container, video, start, delay)
                    if sound is not None:
                        sound.until(start / stream.average_rate)
                if progress is not None:
                    progress("join", done + 1, len(paths), path.name)
            if sound is not None:
                sound.finish()
    return target


def _seconds(paths: Sequence[str | PathLike[str]]) -> Fraction:
    """How long the files' frames are shown, one file after the other."""
    total = Fraction(0)
    for path in paths:
        with _opened(Path(path)) as (_, stream):
            total += Fraction(stream.frames) / stream.average_rate
    return total


def _form(stream: Any) -> tuple:
    """What has to agree for packets of two files to stand in one track."""
    context = stream.codec_context
    return (
        context.name, context.width, context.height, context.pix_fmt, stream.average_rate,
        stream.time_base, bytes(context.extradata or b""),
    )  # fmt: skip


def _delay(path: Path) -> int:
    """Frames by which decoding runs ahead of showing in one file."""
    with _opened(path) as (source, stream):
        first = next((packet.dts for packet in source.demux(stream) if packet.size), 0)
        return max(0, -round(first * stream.time_base * stream.average_rate))


def _copy(source: Any, stream: Any, container: Any, video: Any, start: int, delay: int) -> int:
    """Packets of one file, shown from frame `start` on; returns the frame where the next file starts.

    Decoding times are counted anew over all files, `delay` frames ahead, so that they rise across the joints
    although x264 starts short clips with a smaller delay than long ones.
    """
    import av

    step = round(1 / stream.average_rate / stream.time_base)
    count = 0
    for packet in source.demux(stream):
        if not packet.size:
            continue
        packet.pts += start * step
        packet.dts = (start + count - delay) * step
        packet.duration = step
        packet.stream = video
        packet.time_base = stream.time_base
        try:
            container.mux(packet)
        except av.error.FFmpegError as error:
            raise OSError(error.errno, error.strerror) from error
        count += 1
    return start + count
