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
from .chapters import Chapter, set_chapters
from .formats import CODECS, FORMATS, Format, suffix_of
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
    chapters: Sequence[Chapter] = (),
) -> Path:
    """The files that `write` made with one set of settings, one after the other, as `out`: .mp4, .mov, .mkv or .webm.

    Written under a temporary name and renamed, with `audio` (cut at the last frame) and `chapters` where they are
    given. `progress("join", files done, files, file name)` is called for every file. Raises DiffilmError when there is
    no file, or one cannot be read, was encoded differently, or holds a codec that `out` does not.
    """
    target = check_output(out, VIDEO)
    form = FORMATS[suffix_of(target)]
    if not paths:
        raise DiffilmError("no files to join: expected at least one; make a shot first")
    files = [Path(path) for path in paths]
    with _opened(files[0]) as (_, stream):
        wanted, rate = _form(stream), stream.average_rate
        _check_codec(stream, target, form)
    texts, delay = texts_of(metadata), max(_delay(path) for path in files)
    with written_whole(target) as temporary:
        _join(files, temporary, form, wanted, rate, delay, texts, progress, audio, chapters)
    return target


VIDEO = tuple(suffix for suffix, form in FORMATS.items() if form.kind == "video")


def _check_codec(stream: Any, target: Path, form: Format) -> None:
    name = stream.codec_context.name
    known = {CODECS[codec].name for codec in form.codecs}
    if not {f"{each}".removesuffix("4444") for each in known} & set(DECODERS.get(name, (name,))):
        raise DiffilmError(
            f"output {target}: the parts are {name}, which a {form.suffix} does not hold; expected one of "
            f"{', '.join(form.codecs)}, or another suffix"
        )


DECODERS = {"libdav1d": ("av1",), "libaom-av1": ("av1",), "libvpx-vp9": ("vp9",)}
"""What a decoder's name says of the codec, where it is not the codec's."""


def _join(
    files: Sequence[Path],
    path: Path,
    form: Format,
    wanted: tuple,
    rate: Fraction,
    delay: int,
    metadata: Mapping[str, str],
    progress: Progress | None,
    audio: Sound | None,
    chapters: Sequence[Chapter],
) -> None:
    import av

    with av.open(str(path), "w", format=form.container, options=movie_options(metadata, rate, form.container)) as out:
        out.metadata.update(metadata)
        set_chapters(out, chapters)
        with _opened(files[0]) as (source, stream):
            video = out.add_stream_from_template(stream, opaque=True)
            if form.container in ("mp4", "mov") and "mov" in source.format.name:
                video.codec_context.codec_tag = stream.codec_context.codec_tag
        video.time_base = 1 / rate
        sound = None if audio is None else AudioTrack(out, audio, _seconds(files), form.audio)
        start = 0
        for done, file in enumerate(files, 1):
            with _opened(file) as (source, stream):
                if _form(stream) != wanted:
                    raise DiffilmError(
                        f"{file}: got another encoding than {files[0]}, expected the same size, rate and encoder; "
                        "write all shots with the same settings"
                    )
                start = _copy(source, stream, out, video, start, delay)
            if sound is not None:
                sound.until(start / rate)
            if progress is not None:
                progress("join", done, len(files), file.name)
        if sound is not None:
            sound.finish()


def _seconds(paths: Sequence[Path]) -> Fraction:
    """How long the files' frames are shown, one file after the other."""
    total = Fraction(0)
    for path in paths:
        with _opened(path) as (source, stream):
            frames = stream.frames or sum(1 for packet in source.demux(stream) if packet.size)
            total += frames / stream.average_rate
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
        first = next((packet.dts for packet in source.demux(stream) if packet.size), 0) or 0
        return max(0, -round(first * stream.time_base * stream.average_rate))


def _copy(source: Any, stream: Any, container: Any, video: Any, start: int, delay: int) -> int:
    """Packets of one file, shown from frame `start` on; returns the frame where the next file starts.

    Times are counted anew in frames: of showing from the packets', which some containers round, of decoding over all
    files, `delay` frames ahead, so that they rise across the joints although x264 starts short clips with a smaller
    delay than long ones.
    """
    import av

    frame = stream.time_base * stream.average_rate
    count = 0
    for packet in source.demux(stream):
        if not packet.size:
            continue
        packet.pts = start + round(packet.pts * frame)
        packet.dts = start + count - delay
        packet.duration = 1
        packet.stream = video
        packet.time_base = 1 / stream.average_rate
        try:
            container.mux(packet)
        except av.error.FFmpegError as error:
            raise OSError(error.errno, error.strerror) from error
        count += 1
    return start + count
