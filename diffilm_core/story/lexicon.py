"""Everyday words that the reading knows: names, titles, kin, occupations, animals, places, times, weather, verbs."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

FILE = Path(__file__).parent.parent / "assets" / "story" / "lexicon.txt"
GENDERS = ("m", "f", "n")


@lru_cache(maxsize=1)
def _sections() -> dict[str, frozenset[str]]:
    out: dict[str, set[str]] = {}
    here: set[str] = set()
    for line in FILE.read_text(encoding="utf-8").splitlines():
        line = line.strip()
        if line.startswith("[") and line.endswith("]"):
            here = out.setdefault(line[1:-1], set())
        elif line and not line.startswith("#"):
            here.update(word.replace("_", " ") for word in line.split())
    return {key: frozenset(words) for key, words in out.items()}


def these(text: str) -> frozenset[str]:
    """The words of a line."""
    return frozenset(text.split())


@lru_cache(maxsize=256)
def words(*names: str) -> frozenset[str]:
    """The words of these sections; "person" stands for "person.m", "person.f" and "person.n" too."""
    sections = _sections()
    found = [part for key, part in sections.items() if any(key == n or key.startswith(f"{n}.") for n in names)]
    return frozenset().union(*found)


@lru_cache(maxsize=4096)
def genders(section: str, word: str) -> str:
    """Which of "m", "f", "n" a section gives the word: "m", "f", "mf", "n", or "" where it is not in it."""
    sections = _sections()
    return "".join(g for g in GENDERS if word in sections.get(f"{section}.{g}", ()))
