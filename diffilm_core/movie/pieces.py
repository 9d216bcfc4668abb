"""How a movie is cut into files: the body of each shot, and between two bodies the transition, a file of its own.

A transition of n frames takes the place of the last n frames of the shot before and the first n of the shot that it
leads into, so the movie is n frames shorter than its shots together, bodies keep their bytes when a neighbour changes,
and joining stays a matter of copying packets.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import IO

import numpy as np
import torch
from torch import Tensor

from ..errors import DiffilmError
from ..frames import FrameStream
from ..frames.stream import CHUNK
from ..frames.transitions import CUT
from .store import digest_key


@dataclass(frozen=True)
class Piece:
    """One file of the movie under its key: `frames` of a shot from its frame `first` on, or the transition into it."""

    key: str
    shot: int
    first: int
    frames: int
    transition: str = ""


def overlaps(lengths: Sequence[int], transitions: Sequence[str], frames: int) -> list[int]:
    """How many frames the transition into each shot lasts: `frames`, or fewer where a shot is so short that its two
    transitions would meet (each takes less than half of it); 0 for a cut and for the first shot."""
    limits = [(length - 1) // 2 for length in lengths]
    return [
        0 if not shot or how in CUT else max(0, min(frames, limits[shot - 1], limits[shot]))
        for shot, how in enumerate(transitions)
    ]


def plan_pieces(keys: Sequence[str], lengths: Sequence[int], transitions: Sequence[str], frames: int) -> list[Piece]:
    """The movie's files in order. keys, lengths, transitions: of each shot, whole; a transition leads into its shot."""
    into = [*overlaps(lengths, transitions, frames), 0]
    pieces = []
    for shot, (key, length, how) in enumerate(zip(keys, lengths, transitions, strict=True)):
        head, tail = into[shot], into[shot + 1]
        if head:
            mixed = {"kind": "transition", "version": 1, "how": how, "frames": head, "from": keys[shot - 1], "to": key}
            pieces.append(Piece(digest_key(mixed), shot, 0, head, how))
        count = length - head - tail
        body = {"kind": "body", "version": 1, "shot": key, "first": head, "frames": count}
        pieces.append(Piece(key if count == length else digest_key(body), shot, head, count))
    return pieces


class Ends:
    """The shots' streams with the frames beside each body kept, in a temporary file, for the transitions.

    So a shot is computed once when its body and its transitions are written one after the other, and what is not kept
    (a killed run wrote the body) is computed again.
    """

    def __init__(self, streams: Sequence[FrameStream], directory: str | PathLike[str] | None = None) -> None:
        self.streams, self.directory = streams, directory
        self._kept: dict[tuple[int, str], FrameStream] = {}

    def body(self, piece: Piece, *, head: bool, tail: bool) -> FrameStream:
        """A body's frames; pulling them keeps the shot's other frames that are asked for."""
        stream = self.streams[piece.shot]
        end = piece.first + piece.frames
        parts = {"head": (0, piece.first if head else 0), "tail": (end, stream.frames if tail else end)}

        def make() -> Iterator[Tensor]:
            held = {name: _Held(stream, self.directory) for name, (low, high) in parts.items() if low < high}
            at = 0
            for chunk in stream:
                for name, keep in held.items():
                    keep.add(_slice(chunk, at, *parts[name]))
                yield _slice(chunk, at, piece.first, end)
                at += chunk.shape[0]
                if at >= max(end, parts["tail"][1]):
                    break
            for name, keep in held.items():
                self._kept[piece.shot, name] = keep.stream()

        return stream.with_frames(make, frames=piece.frames, cuts=(), audio=None)

    def of(self, piece: Piece) -> tuple[FrameStream, FrameStream]:
        """The frames that a transition leads from and to, of one length; those kept are given away."""
        before = self.streams[piece.shot - 1]
        first, count = before.frames - piece.frames, piece.frames
        tail = self._kept.pop((piece.shot - 1, "tail"), None) or span(before, first, count)
        head = self._kept.pop((piece.shot, "head"), None) or span(self.streams[piece.shot], 0, count)
        return tail, head


def span(stream: FrameStream, first: int, count: int) -> FrameStream:
    """`count` frames of one shot from `first` on; what is before them is computed too, what is after them is not."""

    def make() -> Iterator[Tensor]:
        at = 0
        for chunk in stream:
            yield _slice(chunk, at, first, first + count)
            at += chunk.shape[0]
            if at >= first + count:
                return

    return stream.with_frames(make, frames=count, cuts=(), audio=None)


def _slice(chunk: Tensor, at: int, low: int, high: int) -> Tensor:
    """What of a chunk that starts at frame `at` lies in [low, high)."""
    return chunk[max(0, low - at) : max(0, high - at)]


class _Held:
    """Frames in a temporary file without a name, bit for bit."""

    def __init__(self, like: FrameStream, directory: str | PathLike[str] | None) -> None:
        self.like, self.directory, self.frames = like, directory, 0
        self.file: IO[bytes] | None = None

    def add(self, chunk: Tensor) -> None:
        try:
            if self.file is None:
                self.file = tempfile.TemporaryFile(dir=self.directory)  # noqa: SIM115
            self.file.write(chunk.contiguous().numpy().tobytes())
            self.file.flush()
        except OSError as error:
            raise DiffilmError(
                f"cannot keep frames in {self.directory} ({error.strerror or error}): expected room there; free some"
            ) from error
        self.frames += chunk.shape[0]

    def stream(self) -> FrameStream:
        shape = (self.like.height, self.like.width, 3)
        size = int(np.prod(shape)) * 4

        def make() -> Iterator[Tensor]:
            assert self.file is not None
            for start in range(0, self.frames, CHUNK):
                self.file.seek(start * size)
                data = self.file.read(min(CHUNK, self.frames - start) * size)
                yield torch.from_numpy(np.frombuffer(data, np.float32).reshape(-1, *shape).copy())

        return self.like.with_frames(make, frames=self.frames, cuts=(), audio=None)
