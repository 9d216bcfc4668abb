"""A movie that is done, from its file or its folder, in another form."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import Any

from ..atomic import written_whole
from ..errors import DiffilmError
from ..frames import AudioStream, FrameStream, check_output, concat_files, open_audio, read, read_metadata, write
from ..frames.chapters import Chapter, read_chapters
from ..frames.formats import FORMATS, encoding, suffix_of
from ..frames.output import SUFFIXES
from ..frames.progress import Progress
from ..frames.write import check_sound
from ..movie.pieces import Piece
from ..movie.record import MovieRecord, read_record
from .edl import edl
from .fcpxml import fcpxml
from .otio import otio
from .subtitles import srt, vtt
from .timeline import Timeline, chapters, timeline

TEXTS: dict[str, Callable[[Timeline], str]] = {
    ".srt": srt, ".vtt": vtt, ".otio": otio, ".edl": edl, ".fcpxml": fcpxml,
}  # fmt: skip
COPY = "copy"
"""The codec of who wants the packets as they are."""

SoundOf = Callable[[Fraction, AudioStream | None], AudioStream | None]
"""The film's length and own sound to what is to be heard."""


@dataclass(frozen=True)
class Finished:
    """A finished movie. record: what it says of its shots, None for a clip that Diffilm did not make."""

    stream: FrameStream
    file: Path
    metadata: Mapping[str, Any]
    record: MovieRecord | None = None

    def timeline(self) -> Timeline:
        """Raises DiffilmError for a clip without a record."""
        if self.record is None:
            raise DiffilmError(
                f"{self.file} carries no record of its shots, expected a movie that `diffilm movie` made; subtitles "
                "and timelines are made from its storyboard"
            )
        record, stream = self.record, self.stream
        return timeline(
            record.board, record.pieces, stream.fps, (stream.width, stream.height), self.file,
            made=record.shots, sound=stream.audio is not None,
        )  # fmt: skip

    def chapters(self) -> list[Chapter]:
        if self.record is not None:
            found = self.timeline()
            return chapters(found.events, found.fps)
        return list(read_chapters(self.file)) if self.file.suffix.lower() in JOINED else []


JOINED = tuple(suffix for suffix, form in FORMATS.items() if form.kind == "video")


def open_movie(path: str | PathLike[str]) -> Finished:
    """A movie file, a folder of frames, or the folder in which `diffilm movie` keeps its parts (NAME.diffilm).

    Raises DiffilmError for what is none, and for a folder in which parts are missing.
    """
    path = Path(path)
    if not (path / "manifest.json").is_file():
        stream, metadata = read(path), read_metadata(path)
        try:
            return Finished(stream, path, metadata, read_record(path))
        except DiffilmError:
            return Finished(stream, path, metadata)
    record, file = _record_in(path)
    about = {"title": record.board.title or file.stem, "comment": _comment(path, record)}
    sound = open_audio(file) if file.is_file() and file.suffix.lower() in JOINED and read(file).audio else None
    stream = _assembled(path, record, file)
    return Finished(stream.with_frames(stream.__iter__, audio=sound), file, about, record)


def _record_in(folder: Path) -> tuple[MovieRecord, Path]:
    try:
        found = json.loads((folder / "manifest.json").read_bytes())
        board = {name: found[name] for name in ("version", "title", "style", "cast", "shots")}
        record = MovieRecord.from_dict({**found, "shots": found["made"], "storyboard": board})
        return record, folder.absolute().parent / str(found["out"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DiffilmError(
            f"{folder}: its manifest.json cannot be read ({error}), expected one that `diffilm movie` wrote; run the "
            "movie again"
        ) from error


def _comment(folder: Path, record: MovieRecord) -> dict[str, Any]:
    found = json.loads((folder / "manifest.json").read_bytes())
    kept = {name: found[name] for name in ("diffilm", "fps", "pieces", "stages", "output", "transition")}
    return {**kept, "shots": list(record.shots), "storyboard": record.board.to_dict()}


def _assembled(folder: Path, record: MovieRecord, file: Path) -> FrameStream:
    """The parts one after the other, from the folder."""
    from ..frames import concat
    from ..movie.store import ShotStore

    codec = str(record.output["codec"])
    suffix = next((s for s in (".mp4", ".mov", ".mkv") if codec in FORMATS[s].codecs), None)
    if suffix is None:  # a GIF and its like are written in one go
        return read(file)
    store = ShotStore(folder)
    missing = [piece for piece in record.pieces if store.segment(piece.key, suffix) is None]
    if missing:
        raise DiffilmError(
            f"{folder}: {len(missing)} of the movie's {len(record.pieces)} parts are missing, the first of shot "
            f"{missing[0].shot + 1}; run `diffilm movie` again, which makes them"
        )
    parts = [read(store.segment_path(piece.key, suffix)) for piece in record.pieces]
    joined = concat(parts)
    return joined.with_frames(joined.__iter__, cuts=_cuts(record.pieces))


def _cuts(pieces: tuple[Piece, ...]) -> list[int]:
    at, cuts = 0, []
    for before, piece in zip([None, *pieces], pieces, strict=False):
        if before is not None and not piece.transition and not before.transition:
            cuts.append(at)
        at += piece.frames
    return cuts


def check_export(out: str | PathLike[str], codec: str = "", bits: int = 0, crf: int | None = None) -> Path:
    """`out` as a Path when a movie can be exported there in that way; to be called before the slow part."""
    text = Path(out).suffix.lower() in TEXTS
    if not text and codec == COPY and Path(out).suffix.lower() not in JOINED:
        raise DiffilmError(f"output {out}: packets are copied to {', '.join(JOINED)} alone; rename it, or name a codec")
    target = check_output(out, (*SUFFIXES, *TEXTS))
    if not text and codec != COPY:
        encoding(target, codec, bits, crf)
    return target


def export(
    movie: str | PathLike[str],
    out: str | PathLike[str],
    *,
    codec: str = "",
    bits: int = 0,
    crf: int | None = None,
    sound: SoundOf | None = None,
    progress: Progress | None = None,
) -> Path:
    """`movie` (what `open_movie` takes) as `out`: subtitles and timelines by `TEXTS`, or pictures in any format.

    codec "copy" keeps the packets of a movie file; else its frames are coded anew. Its metadata and chapters go along;
    `sound` may change what is heard. Raises DiffilmError, before anything slow, for all that cannot be.
    """
    target = check_export(out, codec, bits, crf)
    if target.exists() and Path(movie).exists() and target.samefile(movie):
        raise DiffilmError(f"output {target} is the movie itself: expected another name; nothing was changed")
    if sound is not None:
        check_sound(target)
    found = open_movie(movie)
    if target.suffix.lower() in TEXTS:
        text = TEXTS[target.suffix.lower()](found.timeline())
        with written_whole(target) as temporary:
            temporary.write_text(text, encoding="utf-8")
        return target
    audio = found.stream.audio
    if sound is not None:
        audio = sound(found.stream.duration, audio)
    more: dict[str, Any] = {"metadata": found.metadata, "chapters": found.chapters(), "progress": progress}
    if codec == COPY:
        return concat_files([found.file], target, audio=audio, **more)
    silent = found.stream.with_frames(found.stream.__iter__, audio=None)
    audio = audio if FORMATS[suffix_of(target)].audio else None
    return write(silent, target, codec=codec, bits=bits, crf=crf, audio=audio, **more)
