"""What a movie takes on disk, and whether there is room for it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from ..errors import DiffilmError
from ..frames.formats import Encoding
from .production import Production

BYTES_PER_PIXEL = {"h264": 0.1, "hevc": 0.07, "av1": 0.05, "vp9": 0.07, "webp": 0.15, "gif": 0.6, "prores": 0.6,
                   "prores4444": 0.9}  # fmt: skip
"""Of coded frames at the usual quality, on the high side (H.264: films take 0.01 to 0.05, noise 0.1); six more crf
halve it. What is not here is lossless: as many as its bits."""
RAW = 12
"""Bytes of a pixel in float32."""


@dataclass(frozen=True)
class Room:
    """Bytes that are still to be written: sampled latents and the state of one clip, the files of shots, frames kept
    for transitions until they are made, and the movie itself."""

    latents: int
    segments: int
    temporary: int
    movie: int

    @property
    def folder(self) -> int:
        """In the movie's folder."""
        return self.latents + self.segments + self.temporary


def file_size(pixels: float, output: Encoding) -> int:
    """Bytes of so many coded pixels, estimated."""
    raw = 3 * output.bits / 8
    usual = BYTES_PER_PIXEL.get(output.codec.name, raw)
    if output.crf is not None and output.codec.quality is not None:
        usual *= 2 ** ((output.codec.quality[2] - output.crf) / 6)
    return round(pixels * min(raw, usual))


def room_needed(production: Production, out: Path) -> Room:
    """What is missing in the store, and the movie, which replaces one of its name only when it is whole."""
    store, settings = production.store, production.settings
    joined = production.joined
    clips = [4 * _numbers(production.latents_shape(shot)) for shot in production.board.shots]
    missing = [
        size
        for size, shot in zip(clips, production.board.shots, strict=True)
        if not store.latents_path(production.latents_key(shot)).is_file()
    ]
    latents = sum(missing) + 2 * max(missing, default=0)
    picture = production.streams[0].width * production.streams[0].height
    total = movie = temporary = 0
    for piece in production.pieces:
        path = store.segment_path(piece.key, settings.output.segment_suffix() if joined else ".none")
        there = path.is_file()
        size = path.stat().st_size if there else file_size(piece.frames * picture, settings.output)
        movie += size
        total += 0 if there else size
        if piece.transition and not there:
            temporary = max(temporary, 4 * piece.frames * picture * RAW)
    return Room(latents, total if joined else 0, temporary, movie)


def _numbers(shape: tuple[int, ...]) -> int:
    c, t, h, w = shape
    return c * t * h * w


def check_room(production: Production, out: Path) -> Room:
    """Raises DiffilmError where the movie's folder, or the place of the movie, has too little room."""
    room = room_needed(production, out)
    folder, place = production.store.folder, out.absolute().parent
    wanted = {folder: room.folder, place: room.movie}
    if os.stat(folder).st_dev == os.stat(place).st_dev:
        wanted = {folder: room.folder + room.movie}
    for where, size in wanted.items():
        free = shutil.disk_usage(where).free
        if size > free:
            raise DiffilmError(
                f"the movie takes about {in_words(size)} in {where}, where {in_words(free)} are free: expected room "
                "for its latents, shots and the file; free some, choose another place, a smaller size or fewer shots"
            )
    return room


def in_words(size: float) -> str:
    """Bytes for people: 1.5 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
