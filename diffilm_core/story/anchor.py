"""Quotations found again in a story, in order, though they are not word for word."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter, defaultdict
from itertools import pairwise

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
ENOUGH = 0.6  # of a quotation's words that must stand in their places
MOST_WORDS = 400  # of a quotation that are looked at
COMMON = 200  # places of a word beyond which it tells nothing about where


class Anchors:
    """A story's words by their places."""

    def __init__(self, story: str) -> None:
        self.story = story
        found = list(WORD.finditer(story))
        self.starts = [match.start() for match in found]
        self.ends = [match.end() for match in found]
        self.words = [_plain(match.group()) for match in found]
        self.places: dict[str, list[int]] = defaultdict(list)
        for place, word in enumerate(self.words):
            self.places[word].append(place)

    def find(self, quotation: str, after: int = 0) -> tuple[int, int] | None:
        """Characters [start, end) of the story at or behind `after` that the quotation is of; None where it is of none.

        The place where most of its words stand in order; of equals the first.
        """
        words = [_plain(word) for word in WORD.findall(quotation)[:MOST_WORDS]]
        if not words:
            return None
        first = bisect_left(self.starts, after)
        votes: Counter[int] = Counter()
        for at, word in enumerate(words):
            places = self.places.get(word, [])
            for place in places[bisect_left(places, first) :][:COMMON]:
                votes[place - at] += 1
        best: tuple[float, int, int, int] | None = None
        for begin, _ in sorted(votes.items(), key=lambda item: (-item[1], item[0]))[:8]:
            matched = self._matched(words, max(first, begin))
            if matched and (best is None or (len(matched), -matched[0]) > (best[0], -best[2])):
                best = (len(matched), begin, matched[0], matched[-1])
        if best is None or best[0] < ENOUGH * len(words):
            return None
        return self._with_marks(self.starts[best[2]], self.ends[best[3]], after)

    def _with_marks(self, start: int, end: int, after: int) -> tuple[int, int]:
        """The span with the quotation marks before it and the full stop behind it."""
        while start > after and _is_mark(self.story[start - 1]):
            start -= 1
        while end < len(self.story) and _is_mark(self.story[end]):
            end += 1
        return start, end

    def _matched(self, words: list[str], begin: int) -> list[int]:
        """Places of the words that stand in order from `begin` on, each at most two words off the one before."""
        out: list[int] = []
        at = begin
        for word in words:
            near = self.words[at : at + 3]
            if word in near:
                at += near.index(word)
                out.append(at)
                at += 1
        while len(out) > 2 and out[1] - out[0] > 6:
            out = out[1:]
        return out if all(b > a for a, b in pairwise(out)) else []


def _is_mark(letter: str) -> bool:
    return not letter.isalnum() and not letter.isspace()


def _plain(word: str) -> str:
    return word.casefold().replace("’", "'")
