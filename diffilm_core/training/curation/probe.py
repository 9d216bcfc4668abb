"""Whether a file is a whole video, before it is measured."""

from __future__ import annotations

from pathlib import Path

from ...errors import DiffilmError

NOT_VIDEO, DAMAGED, FAILED = "not video", "truncated or damaged", "not measured"
STARTS = (b"\x1aE\xdf\xa3", b"GIF8", b"FLV", b"OggS", b"0&\xb2u\x8ef\xcf\x11", b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3")
BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
MISSING = 2.5
"""Frames that may be missing at the end, by the file's own length, before it counts as cut off."""


class Unusable(DiffilmError):
    """A file that cannot be measured; `kind` is one of `NOT_VIDEO`, `DAMAGED`, `FAILED`."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind

    def __reduce__(self) -> tuple[type[Unusable], tuple[str, str]]:
        return Unusable, (self.kind, str(self))


def check(path: Path) -> None:
    """Raises Unusable for what is no video, a single picture, a sound with a cover, or ends before its index says."""
    import av

    if path.stat().st_size == 0:
        raise Unusable(NOT_VIDEO, "it is empty")
    if path.suffix.lower() in (".gif", ".webp"):
        _check_animation(path)
        return
    try:
        with av.open(str(path)) as container:
            streams = [each for each in container.streams.video if not _is_cover(each)]
            if not streams:
                raise Unusable(NOT_VIDEO, "it holds no pictures that move")
            video = streams[0]
            said, rate = video.frames, float(video.average_rate or 25)
            lasts = float(container.duration / av.time_base) if container.duration else 0.0
            start = float(container.start_time / av.time_base) if container.start_time else 0.0
            count, end = 0, 0.0
            for packet in container.demux():
                if packet.size and packet.pts is not None and packet.time_base:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                if packet.stream.index == video.index and packet.size and not packet.is_discard:
                    count += 1
    except av.error.FFmpegError as error:
        kind = DAMAGED if _begins_as_video(path) else NOT_VIDEO
        raise Unusable(kind, f"it cannot be opened ({error.strerror or error})") from error
    if said and count < said:
        raise Unusable(DAMAGED, f"it ends after {count} of {said} frames")
    if lasts and end - start < lasts - max(0.1, MISSING / rate):
        raise Unusable(DAMAGED, f"it ends after {end - start:.1f} of {lasts:.1f} s")
    if count <= 1:
        raise Unusable(NOT_VIDEO, "it is a single picture")


def _check_animation(path: Path) -> None:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            count = getattr(image, "n_frames", 1)
    except UnidentifiedImageError as error:
        kind = DAMAGED if _begins_as_video(path) else NOT_VIDEO
        raise Unusable(kind, "it cannot be opened") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise Unusable(DAMAGED, f"it cannot be opened ({error})") from error
    if count <= 1:
        raise Unusable(NOT_VIDEO, "it is a single picture")


def _is_cover(stream: object) -> bool:
    """Whether a stream is the picture on a sound file's sleeve."""
    import av

    flags = getattr(stream, "disposition", None)
    return bool(flags is not None and flags & av.stream.Disposition.attached_pic)


def _begins_as_video(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(16)
    return (
        head.startswith(STARTS)
        or head[4:8] in BOXES
        or (head[:4] == b"RIFF" and head[8:12] in (b"AVI ", b"WEBP"))
        or (len(head) > 4 and head[0] == 0x47)
    )
