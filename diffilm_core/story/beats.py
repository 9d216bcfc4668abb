"""Beats: stretches of a story that one picture shows. Sentences cut at their clauses, and short ones joined."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field

from ..errors import DiffilmError
from .clean import clean_sentence, has_words, word_count
from .framing import TALK
from .reading import Clause, Reading, SentenceReading
from .sentences import JOIN, shorten

LONG_WORD = 20  # characters; what is longer counts as several
SHORT = 3  # a piece of fewer words shares its neighbour's picture
TWO_PICTURES = 18  # a sentence of more words is cut where another subject begins to act
MOST_WORDS = 30  # and one of more than these at any clause
TALK_WORDS = 40  # of one speaker's words in one shot

BEFORE_CLAUSE = re.compile(rf"(?:[,;:—–-][\"”’)]*\s+(?:(?:{JOIN})\s+)?|\s+(?:{JOIN})\s+)$", re.IGNORECASE)
CLAUSE_START = re.compile(r"(?:and|but|so|then|or|while|when|until|because)\b", re.IGNORECASE)


@dataclass
class Piece:
    """A sentence or a part of one."""

    start: int
    end: int
    sentence: SentenceReading
    words: int
    first: bool = True  # of its sentence
    cast: tuple[str, ...] = ()
    clauses: tuple[Clause, ...] = ()


@dataclass
class Beat:
    """Pieces that one shot shows. start may lie before the first piece, where a heading belongs to the shot.
    verbatim: its words are a prompt as they stand."""

    start: int
    end: int
    pieces: list[Piece] = field(default_factory=list)
    verbatim: bool = False

    @property
    def words(self) -> int:
        return sum(piece.words for piece in self.pieces)

    @property
    def scene(self) -> int:
        return self.pieces[0].sentence.scene

    def add(self, piece: Piece) -> None:
        self.end = piece.end
        self.pieces.append(piece)


def beats(reading: Reading) -> list[Beat]:
    """In order; together they hold every character that is not white space, each once. Headings and lines without a
    word are in the beat that follows, else in the one before. Raises DiffilmError where the story has no words."""
    text = reading.text
    if not has_words(text):
        raise DiffilmError("story has no words, only punctuation; write at least one sentence")
    spoken = [has_words(text[slice(*s.span)]) for s in reading.sentences]
    only_headings = not any(ok and s.kind == "text" for s, ok in zip(reading.sentences, spoken, strict=True))
    out: list[Beat] = []
    lead: int | None = None  # where a beat starts whose own words are still to come
    for sentence, ok in zip(reading.sentences, spoken, strict=True):
        if not ok or (sentence.kind != "text" and not only_headings):
            if ok or sentence.kind != "text" or not out or lead is not None:
                lead = sentence.span[0] if lead is None else lead
            else:
                out[-1].end = sentence.span[1]
            continue
        for piece in _pieces(text, sentence):
            if lead is None and out and _joins(out[-1], piece):
                out[-1].add(piece)
            else:
                out.append(Beat(piece.start if lead is None else lead, piece.end, [piece]))
                lead = None
    if lead is not None:
        out[-1].end = reading.sentences[-1].span[1]
    return _join_short(out)


def _joins(beat: Beat, piece: Piece) -> bool:
    """Whether the piece goes on with the beat's picture: the beat is too short for one, or the same one talks on."""
    last = beat.pieces[-1].sentence
    new = piece.sentence
    if new.scene != last.scene or (new.place, new.time, new.flashback) != (last.place, last.time, last.flashback):
        return False
    if new.time_lapse and piece.first and new is not last:
        return False
    if beat.words < SHORT:
        return True
    speaker = last.speaker if last.speaker == new.speaker else ""
    if not speaker or not (_only_talk(beat.pieces[-1]) and _only_talk(piece)):
        return False
    return beat.words + piece.words <= TALK_WORDS and set(piece.cast) <= {*beat.pieces[0].cast, speaker}


def _only_talk(piece: Piece) -> bool:
    return all(clause.verb in TALK for clause in piece.clauses if clause.filmed)


def _join_short(out: list[Beat]) -> list[Beat]:
    """A beat that is too short for a picture and that none follows in its scene goes to the one before it."""
    done: list[Beat] = []
    for beat in out:
        if done and beat.words < SHORT and done[-1].scene == beat.scene and beat.start == beat.pieces[0].start:
            done[-1].end = beat.end
            done[-1].pieces += beat.pieces
        else:
            done.append(beat)
    return done


def beat_words(reading: Reading, beat: Beat) -> str:
    """What a beat says, cleaned, with a space between its pieces where the story has one."""
    out = ""
    last = beat.pieces[0].start
    for piece in beat.pieces:
        gap = " " if piece.start > last else ""
        out, last = out + gap + reading.text[piece.start : piece.end], piece.end
    return clean_sentence(out)


def fewer(out: list[Beat], most: int) -> list[Beat]:
    """Neighbours joined until there are at most so many: within a scene before across scenes, the shortest first."""
    most = max(1, most)
    while len(out) > most:
        pairs = [(a.scene != b.scene, a.words + b.words, i) for i, (a, b) in enumerate(itertools.pairwise(out))]
        taken: set[int] = set()
        for _, _, i in sorted(pairs):
            if len(out) - len(taken) > most and not {i - 1, i, i + 1} & taken:
                taken.add(i)
        out = [
            Beat(beat.start, out[i + 1].end, beat.pieces + out[i + 1].pieces) if i in taken else beat
            for i, beat in enumerate(out)
            if i - 1 not in taken
        ]
    return out


def _pieces(text: str, sentence: SentenceReading) -> list[Piece]:
    edges = [sentence.span[0], *_cuts(text, sentence), sentence.span[1]]
    parts: list[tuple[int, int]] = []
    for low, high in itertools.pairwise(edges):
        parts += shorten(text, low, high)
    parts = [(low, high) for low, high in (_trimmed(text, *part) for part in parts) if low < high]
    return [_piece(text, sentence, part, place == 0, len(parts) == 1) for place, part in enumerate(parts)]


def _piece(text: str, sentence: SentenceReading, span: tuple[int, int], first: bool, whole: bool) -> Piece:
    low, high = span
    cast = sentence.cast
    clauses = sentence.clauses
    if not whole:
        clauses = tuple(c for c in clauses if low <= c.span[0] < high)
        here = {m.member for m in sentence.mentions if m.visible and low <= m.span[0] < high}
        here |= {who for c in clauses if c.filmed for who in c.subject}
        cast = tuple(who for who in sentence.cast if who in here)
    return Piece(low, high, sentence, words_of(text[low:high]), first, cast, clauses)


def words_of(text: str) -> int:
    return max(word_count(text), len(text) // LONG_WORD)


def _cuts(text: str, sentence: SentenceReading) -> list[int]:
    """Where a long sentence is cut: before a clause with another subject that is filmed, or before any clause."""
    start, end = sentence.span
    words = words_of(text[start:end])
    if words <= TWO_PICTURES or words > 20 * MOST_WORDS:  # no author's sentence
        return []
    cuts: list[int] = []
    doing: tuple[str, ...] | None = None
    for clause in sorted(sentence.clauses, key=lambda c: c.span):
        at = _before(text, start, clause.span[0])
        other = clause.filmed and bool(clause.subject) and doing is not None and clause.subject != doing
        if clause.filmed and clause.subject:
            doing = clause.subject
        far = cuts[-1] if cuts else start
        enough = min(words_of(text[far:at]), words_of(text[at:end])) >= 5
        if at > far and enough and (other or (words > MOST_WORDS and words_of(text[far:end]) > MOST_WORDS)):
            cuts.append(at)
    return cuts


def _before(text: str, start: int, at: int) -> int:
    """The clause's start with its joining word: ", and the bear" is cut before "and". The sentence's start where the
    clause begins in the middle of a phrase."""
    found = BEFORE_CLAUSE.search(text, max(start, at - 24), at)
    if found is None:
        return at if CLAUSE_START.match(text, at) else start
    words = found.group()
    return found.start() + len(words) - len(words.lstrip(' ,;:—–-"”’)\n\t'))


def _trimmed(text: str, low: int, high: int) -> tuple[int, int]:
    while low < high and text[low].isspace():
        low += 1
    while high > low and text[high - 1].isspace():
        high -= 1
    return low, high
