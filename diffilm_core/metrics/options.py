"""How sets are measured, besides which frames are taken of each clip."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import DiffilmError
from .resample import ROUNDS

RESIZES = ("tensorflow", "clean")


@dataclass(frozen=True)
class Options:
    """rounds: draws of the bootstrap, 0 for no intervals; splits: parts of the set for the inception score; resize: how
    pictures are brought to Inception's size (`inception.picture_features`). Raises DiffilmError for values out of
    range."""

    rounds: int = ROUNDS
    splits: int = 10
    resize: str = "tensorflow"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.resize not in RESIZES:
            raise DiffilmError(f"resize {self.resize!r}: expected {' or '.join(RESIZES)}")
        if self.rounds < 0 or self.splits < 1:
            raise DiffilmError(f"{self.rounds} rounds and {self.splits} splits: expected at least 0 and 1")
