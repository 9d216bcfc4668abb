"""How well stories are read, on the passages of tests/story: python scripts/score_story.py [open] [held_out]."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from diffilm_core.story import split_story
from diffilm_core.story.reading import read
from tests.story.score import BARS, HALVES, Passage, Score, passages, score_passage, total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("halves", nargs="*", default=["open"], help="open (default), held_out")
    parser.add_argument("--errors", type=int, default=0, metavar="N", help="list N errors of each measure and passage")
    options = parser.parse_args()
    if unknown := set(options.halves) - set(HALVES):
        parser.error(f"{sorted(unknown)[0]!r} is no half; expected {' or '.join(HALVES)}")
    for half in options.halves:
        scored = [(p, score_passage(p, read(p.text), split_story(p.text))) for p in passages(half)]
        for passage, score in scored:
            print(line(passage.name, score))
            errors(passage, score, options.errors)
        print(line(half, total(score for _, score in scored)))


def line(name: str, score: Score) -> str:
    figures = score.figures()
    low = {measure for measure, bar in BARS.items() if figures.get(measure, 1.0) < bar}
    cells = [f"{measure} {value:.3f}{' LOW' if measure in low else ''}" for measure, value in sorted(figures.items())]
    return f"{name}: " + ", ".join(cells)


def errors(passage: Passage, score: Score, most: int) -> None:
    for measure in BARS:
        for _, at, error in [e for e in score.errors if e[0] == measure][:most]:
            print(f"    {measure} at {at} ({' '.join(passage.text[at : at + 40].split())} ...): {error}")


if __name__ == "__main__":
    main()
