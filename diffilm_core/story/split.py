"""A story into a storyboard: a shot for each sentence, with span, prompt, duration and seed."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction

from ..errors import DiffilmError
from .clean import clean_sentence, has_words, one_line, word_count
from .read import check_text
from .sentences import Sentence, sentences
from .storyboard import MAX_SEED, Shot, Storyboard

DEFAULT_FRAMES = 16
DEFAULT_FPS = 8
MIN_WORDS = 3  # a shorter sentence shares its neighbour's shot
LONG_WORD = 20  # characters; what is longer counts as several


def split_story(
    text: str,
    *,
    style: str = "",
    seed: int = 0,
    frames: int | None = None,
    fps: float | Fraction | None = None,
    max_shots: int | None = None,
) -> Storyboard:
    """A shot for each sentence. A sentence of one or two words is joined to the next one, a very long one is
    cut at its clauses. Spans in order hold every character that is not white space exactly once, unless
    max_shots ends the storyboard after the first so many. Headings are in the span of the shot that follows,
    not in its prompt.

    frames, fps: of a shot, for its duration; None is 16 and 8. A shot's seed comes from its sentence and the
    story's seed, so that a change of another sentence leaves it.
    Raises DiffilmError: blank or not text, no word in it, a number out of range.
    """
    check_text(text, "story")
    frames = DEFAULT_FRAMES if frames is None else frames
    fps = DEFAULT_FPS if fps is None else fps
    _check_numbers(seed, frames, fps, max_shots)
    style = one_line(style)
    pieces = sentences(text)
    units = _units(text, pieces)
    duration = float(Fraction(frames) / Fraction(fps))
    seen: Counter[str] = Counter()
    shots = []
    for index, unit in enumerate(units[:max_shots]):
        sentence = clean_sentence(_words_of(text, unit.parts))
        shots.append(
            Shot(
                index=index,
                scene=unit.scene,
                span=(unit.start, unit.end),
                text=text[unit.start : unit.end],
                prompt=f"{sentence}, {style}" if style else sentence,
                duration=duration,
                seed=shot_seed(seed, sentence, seen[sentence]),
            )
        )
        seen[sentence] += 1
    return Storyboard(shots=tuple(shots), title=_title(text, pieces), style=style)


def shot_seed(seed: int, sentence: str, occurrence: int = 0) -> int:
    """48 bits (exact in every JSON reader) from the story's seed, the sentence and how often it came before."""
    key = f"{seed}\n{occurrence}\n{sentence}".encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(key).digest()[:6], "big")


def _check_numbers(seed: int, frames: int, fps: float | Fraction, max_shots: int | None) -> None:
    if not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        raise DiffilmError(f"seed is {seed}, expected a whole number from 0 to 2**64 - 1")
    if not isinstance(frames, int) or frames < 1:
        raise DiffilmError(f"frames is {frames}, expected a whole number of at least 1")
    if not math.isfinite(fps) or fps <= 0:
        raise DiffilmError(f"fps is {fps}, expected frames a second above 0")
    if max_shots is not None and max_shots < 1:
        raise DiffilmError(f"max_shots is {max_shots}, expected at least 1")


@dataclass
class _Unit:
    """A shot in the making: its span, the spans of the sentences in it, the scene it is in."""

    start: int
    end: int
    scene: int
    parts: list[tuple[int, int]] = field(default_factory=list)
    words: int = 0

    def add(self, sentence: Sentence, words: int) -> None:
        self.end = sentence.end
        self.parts.append((sentence.start, sentence.end))
        self.words += words


def _units(text: str, pieces: list[Sentence]) -> list[_Unit]:
    """Sentences to shots: short ones joined, headings and lines without a word put where they belong."""
    if not has_words(text):
        raise DiffilmError("story has no words, only punctuation; write at least one sentence")
    only_headings = not any(piece.kind == "text" and has_words(text[piece.start : piece.end]) for piece in pieces)
    units: list[_Unit] = []
    lead: int | None = None  # where a shot starts whose own words are still to come
    scene = 0
    for piece in pieces:
        words = max(word_count(text[piece.start : piece.end]), (piece.end - piece.start) // LONG_WORD)
        silent = (piece.kind != "text" and not only_headings) or not has_words(text[piece.start : piece.end])
        if silent:
            if piece.kind != "text" and units and units[-1].scene == scene:
                scene += 1
            if piece.kind == "text" and lead is None and units:
                units[-1].end = piece.end
            elif lead is None:
                lead = piece.start
            continue
        if lead is None and units and units[-1].words < MIN_WORDS and units[-1].scene == scene:
            units[-1].add(piece, words)
            continue
        unit = _Unit(piece.start if lead is None else lead, piece.end, scene)
        unit.add(piece, words)
        units.append(unit)
        lead = None
    if lead is not None:
        units[-1].end = pieces[-1].end
    return _join_last(units)


def _join_last(units: list[_Unit]) -> list[_Unit]:
    """A short sentence that none follows in its scene goes to the one before it."""
    out: list[_Unit] = []
    for unit in units:
        if out and unit.words < MIN_WORDS and out[-1].scene == unit.scene:
            out[-1].end = unit.end
            out[-1].parts += unit.parts
            out[-1].words += unit.words
        else:
            out.append(unit)
    return out


def _words_of(text: str, parts: list[tuple[int, int]]) -> str:
    """The sentences of a shot, with a space between them where the story has one."""
    out = ""
    last = parts[0][0]
    for start, end in parts:
        gap = " " if start > last else ""
        out, last = out + gap + text[start:end], end
    return out


def _title(text: str, pieces: list[Sentence]) -> str:
    """The heading that a story starts with, else nothing."""
    first = next((piece for piece in pieces if piece.kind != "break"), None)
    return clean_sentence(text[first.start : first.end]) if first and first.kind == "heading" else ""
