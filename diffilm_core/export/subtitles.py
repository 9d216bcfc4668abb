"""Subtitles from the shots' text: SubRip and WebVTT, wrapped, in portions that can be read in their time."""

from __future__ import annotations

import html
import logging
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from .timeline import Event, Timeline

log = logging.getLogger(__name__)

WIDTH, LINES = 42, 2
"""Letters of a line and lines of a portion, as broadcasters have them."""
SPEED = 20
"""Letters a second that a viewer reads at most."""
GAP = Fraction(1, 25)
"""Seconds between two portions, so that the eye sees the change."""


@dataclass(frozen=True)
class Cue:
    """A portion of text, from `start` to `end` seconds."""

    start: Fraction
    end: Fraction
    lines: tuple[str, ...]


def cues(found: Timeline) -> list[Cue]:
    """The text of every shot over its time; where it is too long to be read then, also over shots without text that
    follow. Portions of one shot share its time by their lengths."""
    texts = [" ".join(event.shot.text.split()) for event in found.events]
    result: list[Cue] = []
    for index, (event, text) in enumerate(zip(found.events, texts, strict=True)):
        if not text:
            continue
        start, end = found.seconds(event.start), found.seconds(_reach(found.events, texts, index, found.fps))
        parts = _portions(text)
        if len(text) > SPEED * (end - start):
            log.warning("shot %d: %d letters in %.1f s are hard to read", event.shot.index + 1, len(text), end - start)
        length = sum(map(len, text.split())) or 1
        for part in parts:
            share = sum(len("".join(line.split())) for line in part)
            until = start + (end - found.seconds(event.start)) * share / length
            result.append(Cue(start, max(start + GAP, until - GAP), part))
            start = until
    return result


def _reach(events: Sequence[Event], texts: Sequence[str], index: int, fps: Fraction) -> int:
    """The frame until which a shot's text is shown: its end, or later where it needs longer and nobody else speaks."""
    end, wanted = events[index].end, events[index].start + len(texts[index]) / SPEED * float(fps)
    for later, text in zip(events[index + 1 :], texts[index + 1 :], strict=True):
        if text or end >= wanted:
            break
        end = min(later.end, max(end, round(wanted)))
    return end


def _portions(text: str) -> list[tuple[str, ...]]:
    lines = textwrap.wrap(text, WIDTH, break_on_hyphens=False) or [text]
    portions = [lines[at : at + LINES] for at in range(0, len(lines), LINES)]
    return [tuple(_balanced(" ".join(part))) for part in portions]


def _balanced(text: str) -> list[str]:
    """One line where it fits, else the narrowest lines that are as few."""
    count = len(textwrap.wrap(text, WIDTH, break_on_hyphens=False))
    for width in range(max(1, len(text) // max(1, count)), WIDTH + 1):
        lines = textwrap.wrap(text, width, break_on_hyphens=False)
        if len(lines) <= count:
            return lines
    return textwrap.wrap(text, WIDTH, break_on_hyphens=False)


def srt(found: Timeline) -> str:
    """SubRip."""
    blocks = (
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n" + "\n".join(cue.lines) + "\n"
        for number, cue in enumerate(cues(found), 1)
    )
    return "\n".join(blocks)


def vtt(found: Timeline) -> str:
    """WebVTT."""
    return "\n".join(["WEBVTT\n", *_vtt_blocks(found)])


def _vtt_blocks(found: Timeline) -> Iterator[str]:
    for cue in cues(found):
        lines = (html.escape(line, quote=False) for line in cue.lines)
        yield f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n" + "\n".join(lines) + "\n"


def _clock(seconds: Fraction, mark: str) -> str:
    total = round(seconds * 1000)
    return f"{total // 3600000:02}:{total // 60000 % 60:02}:{total // 1000 % 60:02}{mark}{total % 1000:03}"
