"""Fit the weights of story/ranking.py on the annotated passages: python scripts/fit_pronouns.py [--each-book].

A softmax over those who fit each pronoun (Denis and Baldridge 2008), held near the weights as they are. The passages are read
with the right answer put in after each choice, so that one error does not spoil the rest. --each-book: reads every
book with the weights that the other books give, which is what the figures in docs/story.md call "book left out".
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from diffilm_core.story import coreference, ranking
from diffilm_core.story.cast import Entity
from diffilm_core.story.entities import Noun
from diffilm_core.story.ranking import Context
from diffilm_core.story.reading import read
from tests.story.score import Passage, Score, passages, total
from tests.story.score import _alignment as alignment
from tests.story.score import _members as members
from tests.story.score import score_pronouns_and_cast

STEPS, RATE = 300, 0.05
HELD = 0.02  # of the squared distance from the weights as they were, for each choice


@dataclass
class Choice:
    """One pronoun: the features of those who fit it, nobody last, and which of them are right."""

    rows: list[dict[str, float]]
    right: list[bool]


@dataclass
class Reader:
    """Watches the choices of one reading, and puts the right ones in where they are known."""

    answers: Mapping[int, frozenset[tuple[int, str]]] = field(default_factory=dict)
    seen: list[tuple[int, list[Entity], list[dict[str, float]]]] = field(default_factory=list)

    def choose(self, fitting: Iterable[Entity], noun: Noun, here: Context) -> Entity | None:
        those = [entity for entity in fitting if entity.trail]
        rows = [ranking.features(e, noun, here, len(those) - 1 - n) for n, e in enumerate(those)]
        self.seen.append((noun.start, those, rows))
        wanted = self.answers.get(noun.start)
        told = [e for e in those if wanted and names(e) & wanted]
        return told[0] if len(told) == 1 else ranking.choose(those, noun, here)


def names(entity: Entity) -> set[tuple[int, str]]:
    """Where the story names somebody: the same in every reading of it."""
    return {(noun.start, noun.kind) for noun in entity.nouns if noun.kind != "pronoun"}


@contextmanager
def watched(reader: Reader) -> Iterator[None]:
    before = coreference.choose
    coreference.choose = reader.choose
    try:
        yield
    finally:
        coreference.choose = before


def choices(passage: Passage) -> list[Choice]:
    """Read twice: to learn who is who of the annotation, and with the right answers put in."""
    found = read(passage.text)
    known = alignment(passage, found)
    places: dict[str, set[tuple[int, str]]] = {}
    for mention in (m for s in found.sentences for m in s.mentions if m.kind in ("name", "description") and m.member):
        for one in members(known, [mention.member]):
            places.setdefault(one, set()).add((mention.span[0], mention.kind))
    gold = {p.span[0]: p.answers for s in passage.sentences for p in s.pronouns}
    single = {at: [next(iter(a)) for a in answers if len(a) == 1] for at, answers in gold.items()}
    wanted = {at: frozenset().union(*(places.get(one, set()) for one in ones)) for at, ones in single.items()}
    reader = Reader({at: places for at, places in wanted.items() if places})
    with watched(reader):
        read(passage.text)
    cast = frozenset().union(*places.values())
    out = []
    for at, those, rows in reader.seen:
        if gold.get(at) == ():
            right = [not names(e) & cast for e in those] + [True]
        elif at in reader.answers:
            right = [bool(names(e) & reader.answers[at]) for e in those] + [False]
        else:
            continue
        if any(right) and not all(right):
            out.append(Choice([*rows, {}], right))
    return out


@contextmanager
def using(weights: Mapping[str, float]) -> Iterator[None]:
    before = dict(ranking.WEIGHTS)
    ranking.WEIGHTS.clear()
    ranking.WEIGHTS.update(weights)
    try:
        yield
    finally:
        ranking.WEIGHTS.clear()
        ranking.WEIGHTS.update(before)


def fit(found: list[Choice], start: Mapping[str, float], held: float) -> dict[str, float]:
    """Maximum likelihood by Adam, all right answers of a choice together."""
    keys = sorted({key for choice in found for row in choice.rows for key in row} | set(start))
    column = {key: n for n, key in enumerate(keys)}
    rows = np.zeros((sum(len(c.rows) for c in found), len(keys)))
    group = np.repeat(np.arange(len(found)), [len(c.rows) for c in found])
    right = np.array([r for c in found for r in c.right])
    fixed = np.zeros(len(rows))
    at = 0
    for choice in found:
        for row in choice.rows:
            for key, value in row.items():
                rows[at, column[key]] = value
            fixed[at] = ranking.NOBODY if not row else 0.0
            at += 1
    first = np.array([start.get(key, 0.0) for key in keys])
    w, mean, square = first.copy(), np.zeros(len(keys)), np.zeros(len(keys))
    for step in range(1, STEPS + 1):
        raw = rows @ w + fixed
        top = np.maximum.reduceat(raw, np.flatnonzero(np.r_[True, group[1:] != group[:-1]]))
        likely = np.exp(raw - top[group])
        every = np.bincount(group, likely)
        good = np.bincount(group, likely * right) + 1e-9
        pull = likely * right / good[group] - likely / every[group]
        slope = -rows.T @ pull / len(found) + held * (w - first)
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
        w = w - RATE * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    return {key: round(float(w[column[key]]), 2) for key in keys if abs(w[column[key]]) >= 0.005}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each-book", action="store_true", help="read each book with the weights of the others")
    parser.add_argument("--held", type=float, default=HELD, help="how near to the weights as they are")
    options = parser.parse_args()
    start = dict(ranking.WEIGHTS)
    books: dict[str, list[Passage]] = {}
    found: dict[str, list[Choice]] = {}
    for passage in passages("open"):
        author = passage.name.split("_", 1)[1].split("-")[0]
        books.setdefault(author, []).append(passage)
        found.setdefault(author, []).extend(choices(passage))
    print(fit([choice for own in found.values() for choice in own], start, options.held))
    scores: list[Score] = []
    for author, own in books.items() if options.each_book else ():
        weights = fit(
            [choice for other, those in found.items() if other != author for choice in those], start, options.held
        )
        with using(weights):
            read_again = [score_pronouns_and_cast(p, read(p.text)) for p in own]
        print(author, total(read_again).figures())
        scores += read_again
    if scores:
        print("book left out", total(scores).figures())


if __name__ == "__main__":
    main()
