"""Where each shot of a finished movie lies: what subtitles, chapters and the timelines of editors are made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

from ..frames.chapters import Chapter
from ..story import Shot, Storyboard

TITLE = 60  # letters of a shot's name


class Part(Protocol):
    """A piece of the movie, in order: frames of a shot, or the transition into it (`movie.Piece`)."""

    @property
    def shot(self) -> int: ...
    @property
    def frames(self) -> int: ...
    @property
    def transition(self) -> str: ...


@dataclass(frozen=True)
class Event:
    """A shot from cut to cut: frames of the movie from `start` on.

    A transition into it of `mixed` frames is already in the picture; it begins at frame `mixed_from` of the movie, and
    the cut is in its middle. made: what the shot was made with (model, sampler, seed ...).
    """

    shot: Shot
    start: int
    frames: int
    transition: str = ""
    mixed_from: int = 0
    mixed: int = 0
    made: dict[str, Any] | None = None

    @property
    def end(self) -> int:
        return self.start + self.frames

    @property
    def name(self) -> str:
        """`Shot 3: the first words of its text`."""
        words = " ".join((self.shot.text or self.shot.prompt).split())
        words = words if len(words) <= TITLE else words[:TITLE].rpartition(" ")[0] + " ..."
        return f"Shot {self.shot.index + 1}: {words}"


@dataclass(frozen=True)
class Timeline:
    """A movie's shots in order. media: the movie's file, whose frame n is frame n here."""

    title: str
    fps: Fraction
    width: int
    height: int
    events: tuple[Event, ...]
    media: Path
    sound: bool = False

    @property
    def frames(self) -> int:
        return self.events[-1].end

    def seconds(self, frame: int) -> Fraction:
        return frame / self.fps


def events(board: Storyboard, pieces: Iterable[Part], made: Sequence[dict[str, Any]] = ()) -> tuple[Event, ...]:
    """The shots of a storyboard whose movie is made of `pieces`."""
    at, into, starts = 0, 0, {}
    mixed: dict[int, tuple[str, int, int]] = {}
    for piece in pieces:
        if piece.transition:
            mixed[piece.shot] = (piece.transition, at, piece.frames)
            into = (piece.frames + 1) // 2
        else:
            begun = mixed.get(piece.shot)
            starts[piece.shot] = at if begun is None else begun[1] + into
        at += piece.frames
    order = sorted(starts)
    ends = [*(starts[shot] for shot in order[1:]), at]
    return tuple(
        Event(
            board.shots[shot], starts[shot], end - starts[shot], *mixed.get(shot, ("", 0, 0)),
            made=made[shot] if made else None,
        )
        for shot, end in zip(order, ends, strict=True)
    )  # fmt: skip


def timeline(
    board: Storyboard,
    pieces: Iterable[Part],
    fps: Fraction,
    size: tuple[int, int],
    media: Path,
    *,
    made: Sequence[dict[str, Any]] = (),
    sound: bool = False,
) -> Timeline:
    """The timeline of a movie in the file `media`."""
    found = events(board, pieces, made)
    return Timeline(board.title or media.stem, fps, *size, found, media.absolute(), sound)


def chapters(found: Sequence[Event], fps: Fraction) -> list[Chapter]:
    """A chapter for each shot."""
    return [Chapter(event.start / fps, event.end / fps, event.name) for event in found]
