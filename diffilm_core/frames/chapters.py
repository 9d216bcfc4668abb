"""Chapters of a film: where its shots begin, and their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import Any

SCALE = Fraction(1, 1000)
"""The unit of a chapter's times in every container."""


@dataclass(frozen=True)
class Chapter:
    """From `start` to `end`, in seconds."""

    start: Fraction
    end: Fraction
    title: str


def set_chapters(container: Any, chapters: Sequence[Chapter]) -> None:
    """Into a container that is being written, before its first packet."""
    if chapters:
        container.set_chapters(
            [
                {
                    "id": number,
                    "start": round(chapter.start / SCALE),
                    "end": round(chapter.end / SCALE),
                    "time_base": SCALE,
                    "metadata": {"title": chapter.title},
                }
                for number, chapter in enumerate(chapters, 1)
            ]
        )


def read_chapters(path: str | PathLike[str]) -> tuple[Chapter, ...]:
    """The chapters of a file; none where it has none. Raises DiffilmError for what is no video."""
    from .read import _opened

    with _opened(Path(path)) as (container, _):
        return tuple(
            Chapter(
                Fraction(each["start"]) * each["time_base"],
                Fraction(each["end"]) * each["time_base"],
                each["metadata"].get("title", ""),
            )
            for each in container.chapters()
        )
