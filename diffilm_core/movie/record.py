"""What a movie carries about itself: its storyboard, and all that made each of its shots."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import Any

from ..errors import DiffilmError
from ..frames import read_metadata
from ..story import Storyboard
from .pieces import Piece


@dataclass(frozen=True)
class MovieRecord:
    """The record that `Production.record` wrote.

    shots: by index, what decides each one's pixels, with the keys of its latents and its segment. pieces: the file's
    parts in order, each from a key frame on. stages: how shots were finished. output: codec, bits and crf. transition:
    seconds.
    """

    board: Storyboard
    shots: tuple[dict[str, Any], ...]
    pieces: tuple[Piece, ...]
    stages: dict[str, Any]
    output: dict[str, Any]
    fps: Fraction
    transition: Fraction

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> MovieRecord:
        """Raises KeyError, TypeError or ValueError where something is missing or of another kind."""
        return cls(
            board=Storyboard.from_json(found["storyboard"]),
            shots=tuple(dict(shot) for shot in found["shots"]),
            pieces=tuple(Piece(**piece) for piece in found["pieces"]),
            stages=dict(found["stages"]),
            output=dict(found["output"]),
            fps=Fraction(found["fps"]),
            transition=Fraction(found["transition"]),
        )


def read_record(movie: str | PathLike[str]) -> MovieRecord:
    """The record inside a movie file. Raises DiffilmError where there is none."""
    movie = Path(movie)
    comment = read_metadata(movie).get("comment", "")
    try:
        return MovieRecord.from_dict(json.loads(comment))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DiffilmError(
            f"{movie} carries no record of its shots, expected the storyboard and settings that `diffilm movie` writes "
            "into its files; give a movie that Diffilm made"
        ) from error
