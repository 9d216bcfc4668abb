"""What a story's lines are: paragraphs (hard-wrapped or not), list items, verses, headings, scene breaks."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import Literal

from .clean import clean_sentence, has_words

Kind = Literal["text", "heading", "break"]
CLOSERS = "\"'”’»)]】」』*_"
ENDS = ".!?…。！？｡؟۔।"

MARKED_HEADING = re.compile(r"#{1,6}\s+\S")
NUMBER = r"(?:\d+|[ivxlc]+|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)"
NAMED_HEADING = re.compile(
    rf"(?:(?:chapter|part|act|scene|book)\s+{NUMBER}\s*(?:[.:–—-]\s*.{{0,80}})?|prologue|epilogue)$", re.IGNORECASE
)
ITEM = re.compile(r"(?:[-*+•‣–—]|\d{1,3}[.)])\s+\S")
VERSE_WIDTH = 45  # lines of a paragraph that is only narrow by its author's wish
SHORT_LINE = 0.7  # of the widest: what a line without a mark at its end has where its author broke it


@dataclass(frozen=True)
class Block:
    """Characters [start, end) of the story that one sentence never leaves."""

    start: int
    end: int
    kind: Kind = "text"


@dataclass(frozen=True)
class Line:
    start: int
    end: int
    text: str  # stripped


def blocks(story: str) -> list[Block]:
    """Blocks in order; together they hold every character that is not white space, each once."""
    groups = _paragraphs(story)
    closed = [_closed(group[-1].text) for group in groups]
    out: list[Block] = []
    for place, group in enumerate(groups):
        first = group[0]
        if not has_words(first.text):
            out.append(Block(first.start, first.end, "break"))
        elif len(group) == 1 and _is_heading(first.text, place, closed, story):
            out.append(Block(first.start, first.end, "heading"))
        else:
            out.extend(_unwrap(group))
    return out


def _lines(story: str) -> list[Line | None]:
    """Lines without the white space around them; None where one is blank."""
    out: list[Line | None] = []
    at = 0
    for raw in story.splitlines(keepends=True):
        text = raw.strip()
        start = at + len(raw) - len(raw.lstrip())
        out.append(Line(start, start + len(text), text) if text else None)
        at += len(raw)
    return out


def _paragraphs(story: str) -> list[list[Line]]:
    """Lines grouped at blank lines, list items, marked headings and lines without a word."""
    groups: list[list[Line]] = []
    alone = True  # the next line starts a group
    for line in _lines(story):
        if line is None:
            alone = True
            continue
        single = not has_words(line.text) or _is_marked(line.text)
        if alone or single or ITEM.match(line.text):
            groups.append([line])
        else:
            groups[-1].append(line)
        alone = single
    return groups


def _is_marked(line: str) -> bool:
    return bool(MARKED_HEADING.match(line)) or (bool(NAMED_HEADING.match(line)) and len(line.split()) <= 10)


def _is_heading(line: str, place: int, closed: list[bool], story: str) -> bool:
    """Marked as one; or capitals; or a short open line before sentences, first in the story or in title case."""
    if _is_marked(line):
        return True
    words = line.split()
    if len(words) > 8 or closed[place] or line[-1] in ",;:" or ITEM.match(line) or not any(closed[place + 1 :]):
        return False
    if line.isupper() and not story.isupper():
        return True
    if place == 0:
        return True
    long_words = [word for word in words if len(word) > 3]
    return all(word[:1].isupper() for word in long_words) and bool(long_words) and closed[place - 1]


def _closed(line: str) -> bool:
    """Whether the line ends as a sentence does."""
    return line.rstrip(CLOSERS)[-1:] in tuple(ENDS)


def _unwrap(group: list[Line]) -> list[Block]:
    """Lines of one paragraph into blocks: a line break that a wrap explains, or a verse whose sentence goes on, is
    only a space."""
    width = max(len(line.text) for line in group)
    pointed = sum(line.text.rstrip(CLOSERS)[-1:] in (*ENDS, *",;:-–—") for line in group) * 2 >= len(group)
    out = [Block(group[0].start, group[0].end)]
    for line, following in itertools.pairwise(group):
        if _is_broken(line.text, following.text, width, pointed):
            out.append(Block(following.start, following.end))
        else:
            out[-1] = Block(out[-1].start, following.end)
    return out


def _is_broken(line: str, following: str, width: int, pointed: bool) -> bool:
    """The author broke the line: the next word starts anew though it would have fitted. pointed: most lines of the
    paragraph end in a mark, so that one without goes on."""
    start = clean_sentence(following)[:1].lstrip("\"'")
    if start.islower() or line[-1] in ",;:-–—":
        return False
    if width < VERSE_WIDTH:
        return not pointed or _closed(line)
    room = len(line) + 1 + len(following.split()[0]) <= width
    return room and (_closed(line) or len(line) < SHORT_LINE * width)
