"""Sentences of a story: where one ends, and where a very long one may be cut."""

from __future__ import annotations

import itertools
import re
import unicodedata
from dataclasses import dataclass

from .blocks import CLOSERS, ENDS, Kind, blocks
from .clean import has_words, word_count

MAX_WORDS = 40
MAX_CHARACTERS = 400
FAR_TOO_LONG = 500  # words: no sentence, but a text without full stops


def _words(line: str) -> frozenset[str]:
    return frozenset(line.split())


END = re.compile(
    rf"[{re.escape(ENDS)}]+[{re.escape(CLOSERS)}]*"
    rf"|(?:--|[—–])(?:['’]|[\"”])(?=\s+[A-Z])"  # speech that breaks off
)
FULL_WIDTH = "。！？｡"
OPENERS = "\"'“‘«([「『*_¿¡—–-"
BEFORE_NAME = _words(
    "mr mrs ms dr prof st mt capt lt col gen sgt rev hon fr messrs mme mlle gov sen rep pres e.g i.e cf vs viz"
)
BEFORE_NUMBER = _words("no nos fig figs vol ch pp p sec approx ca")
STARTERS = _words(
    "the a an he she it they we i you in on at but and when then this that there his her my our as so after"
)
INITIALS = re.compile(r"(?:[A-Z]\.)*[A-Z]$")
JOIN = "and|but|so|then|or|yet|for|while|when|until|because|although|though|as|where|who|which|before|after"
# The best place for a cut first; a cut lies behind the match.
CUTS = (
    re.compile(r"[;:；：][\"”’)]*\s*|\s[—–-]+\s|—"),
    re.compile(rf",[\"”’)]*\s+(?=(?:{JOIN})\b)", re.IGNORECASE),
    re.compile(r",[\"”’)]*\s+|[，、،]"),
    re.compile(rf"\s+(?=(?:{JOIN})\b)", re.IGNORECASE),
    re.compile(r"\s+"),
)


@dataclass(frozen=True)
class Sentence:
    """Characters [start, end) of the story: a sentence, a heading or a scene break.
    block: number of the paragraph that it is in."""

    start: int
    end: int
    kind: Kind = "text"
    block: int = 0


def sentences(story: str) -> list[Sentence]:
    """In order; together they hold every character that is not white space, each once."""
    out: list[Sentence] = []
    for number, block in enumerate(blocks(story)):
        if block.kind != "text":
            out.append(Sentence(block.start, block.end, block.kind, number))
            continue
        for start, end in _cut(story, block.start, block.end, _ends(story[block.start : block.end])):
            parts = shorten(story, start, end, words=FAR_TOO_LONG, characters=6 * FAR_TOO_LONG)
            out.extend(Sentence(s, e, "text", number) for s, e in parts)
    return out


def _cut(story: str, start: int, end: int, cuts: list[int]) -> list[tuple[int, int]]:
    """Spans between the cuts (offsets from start), without the white space around them."""
    edges = [start, *(start + cut for cut in cuts), end]
    spans = []
    for low, high in itertools.pairwise(edges):
        piece = story[low:high]
        stripped = piece.strip()
        if stripped:
            low += len(piece) - len(piece.lstrip())
            spans.append((low, low + len(stripped)))
    return spans


def _ends(block: str) -> list[int]:
    """Offsets behind each sentence of the block but the last."""
    found = [match for match in END.finditer(block) if match.end() < len(block)]
    return [match.end() for match in found if _ends_here(block, match)]


def _ends_here(block: str, match: re.Match[str]) -> bool:
    mark = match.group().rstrip(CLOSERS)
    if mark[-1] in FULL_WIDTH or mark[-1] not in ENDS:
        return True
    at = match.end()
    rest = block[at : at + 80].lstrip()
    following = rest.lstrip(OPENERS + " ")
    if mark == "." and re.match(r"(?:--|—)[\"'“‘]?[A-Z]", block[at : at + 4]):
        return block[match.start() - 2 : match.start()].islower()  # "They were gone.--She sighed."
    if not block[at].isspace():
        # "the forest.The owl": a space was forgotten. "3.14", "example.com": it was not.
        return block[max(0, match.start() - 1) : match.start()].islower() and bool(
            re.match(r"[A-Z][a-z]", block[at : at + 2])
        )
    if following[:1].islower():
        return False
    if mark != ".":
        return True
    before = block[max(0, match.start() - 24) : match.start()].split()
    word = before[-1].lstrip(OPENERS) if before else ""
    low = word.lower()
    if low in BEFORE_NAME or (low in BEFORE_NUMBER and following[:1].isdigit()):
        return False
    if word.isdigit() and match.start() == len(word):
        return False  # the number of a list item
    if INITIALS.match(word) and word != "I":
        next_word = re.match(r"[\w']*", following)
        return next_word is not None and next_word.group().lower() in STARTERS
    return True


def shorten(
    story: str, start: int, end: int, *, words: int = MAX_WORDS, characters: int = MAX_CHARACTERS
) -> list[tuple[int, int]]:
    """The sentence, halved at clauses until each part is of a length that a shot can show."""
    out: list[tuple[int, int]] = []
    stack = [(start, end)]
    while stack:
        low, high = stack.pop()
        part = story[low:high]
        if len(part) <= characters and word_count(part) <= words:
            out.append((low, high))
            continue
        spans = _cut(story, low, high, [_middle_cut(part)])
        stack.extend(reversed(spans))
    return out


def _middle_cut(part: str) -> int:
    """Offset of the best cut in the middle half of a long part."""
    low, high, middle = len(part) // 4, len(part) * 3 // 4, len(part) // 2
    first = next((i for i, c in enumerate(part) if has_words(c)), high)
    last = next((i for i in range(len(part) - 1, -1, -1) if has_words(part[i])), low)
    for pattern in CUTS:
        places = [m.end() for m in pattern.finditer(part, low, high) if first < m.end() <= min(last, high)]
        if places:
            return min(places, key=lambda place: abs(place - middle))
    cut = middle
    while cut < high and (_attaches(part[cut]) or part[cut - 1] == "\u200d"):
        cut += 1
    return cut


def _attaches(letter: str) -> bool:
    """Whether the character belongs to the one before it: accents, joiners, emoji variations."""
    return unicodedata.category(letter)[0] == "M" or letter == "\u200d"
