"""The report of a curation: what fell and why, with sample frames and the histogram of every score, as one page."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...atomic import written_whole
from .row import SCORES, Row, Score
from .settings import REASONS, Thresholds

if TYPE_CHECKING:
    from .run import Summary

BINS = 40
SAMPLES = 6
"""Shots shown for each reason; twice as many of those that stay."""
KEPT = "kept"


@dataclass
class Histogram:
    """How many shots that stay, and that fall, lie in each of `BINS` equal parts of a score's span."""

    score: Score
    kept: list[int] = field(default_factory=lambda: [0] * BINS)
    fell: list[int] = field(default_factory=lambda: [0] * BINS)

    def place(self, value: float) -> float:
        """Where a value lies in the span, from 0 to 1; what is outside, at its end."""
        low, high = self.score.low, self.score.high
        if self.score.log:
            low, high, value = math.log(low), math.log(high), math.log(max(value, self.score.low))
        return min(1.0, max(0.0, (value - low) / (high - low)))

    def add(self, value: float, stays: bool) -> None:
        at = min(BINS - 1, int(self.place(value) * BINS))
        (self.kept if stays else self.fell)[at] += 1

    @property
    def count(self) -> int:
        return sum(self.kept) + sum(self.fell)


@dataclass(frozen=True)
class Sample:
    """A shot to show: its name, what it says of itself, why it fell, its JPEG."""

    name: str
    scores: str
    fell: str
    thumb: bytes


class Report:
    """Takes every shot in turn and keeps counts and a few samples, drawn evenly with a fixed seed."""

    def __init__(self, thresholds: Thresholds) -> None:
        self.thresholds = thresholds
        self.histograms = {score.name: Histogram(score) for score in SCORES}
        self.samples: dict[str, list[Sample]] = {name: [] for name in (*REASONS, "duplicate", KEPT)}
        self.seen = dict.fromkeys(self.samples, 0)
        self.random = random.Random(0)
        self.captions = False

    def add(self, row: Row, fell: Sequence[str], duplicate_of: str | None) -> None:
        self.captions |= row.caption is not None
        for name, histogram in self.histograms.items():
            value = getattr(row, name)
            if value is not None:
                histogram.add(float(value), not fell)
        for reason in fell or (KEPT,):
            self._sample(reason, row, fell, duplicate_of)

    def _sample(self, reason: str, row: Row, fell: Sequence[str], duplicate_of: str | None) -> None:
        most = 2 * SAMPLES if reason == KEPT else SAMPLES
        self.seen[reason] += 1
        at = len(self.samples[reason])
        if at == most:
            at = self.random.randrange(self.seen[reason])
        if at >= most:
            return
        why = ", ".join(f"repeats {duplicate_of}" if each == "duplicate" else each for each in fell)
        told = [f"{score.name} {value:.3g}" for score in SCORES if (value := getattr(row, score.name)) is not None]
        sample = Sample(f"{row.file}, frames {row.first} to {row.end - 1}", ", ".join(told), why, row.thumb)
        self.samples[reason][at : at + 1] = [sample]

    def missing(self, settings: dict[str, Any]) -> dict[str, str]:
        """The scores that no shot has, and what they need."""
        needs = {
            "text": "rapidocr and onnxruntime (pip install 'diffilm[ocr]'), and no --no-text",
            "aesthetic": "a CLIP (--clip FOLDER)",
            "match": "captions beside the clips (clip.txt)" if settings.get("clip") else "a CLIP (--clip FOLDER)",
        }
        return {name: need for name, need in needs.items() if not self.histograms[name].count}

    def write(self, path: Path, summary: Summary, head: dict[str, Any]) -> None:
        from .page import page

        with written_whole(path) as temporary:
            temporary.write_text(page(self, summary, head), encoding="utf-8")
