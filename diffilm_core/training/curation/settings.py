"""What decides the scores, and what decides which shots stay."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from ...errors import DiffilmError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SIDE = 640
"""The longer side, in pixels, of the frames that are looked at; larger ones are reduced to it."""
SAMPLES = 8
"""Frames of a shot that are looked at closely."""


@dataclass(frozen=True)
class Settings:
    """How a file is measured. text: look for text (needs rapidocr). clip: a folder with a CLIP of transformers, ""
    for none. aesthetic: a LAION aesthetic head for that CLIP, "" for its zero-shot score."""

    text: bool = True
    clip: str = ""
    aesthetic: str = ""


@dataclass(frozen=True)
class Thresholds:
    """A shot stays that is within all of these; None: whatever the score. A score that was not measured drops nothing.

    The usual ones are from the 127 shots of Big Buck Bunny: outside of them lie its held pictures and its credits.
    duplicate_bits: up to how many of 64 bits two hashes may differ and still show the same; duplicate_share: the share
    of the frames of the shorter shot that have to be found in the longer one.
    """

    min_frames: int | None = 16
    min_fps: float | None = 5.0
    max_fps: float | None = None
    min_side: int | None = 96
    min_motion: float | None = 0.1
    max_motion: float | None = None
    max_static: float | None = 0.75
    max_shake: float | None = 0.35
    max_text: float | None = 0.02
    max_bars: float | None = 0.02
    min_sharpness: float | None = 0.3
    min_aesthetic: float | None = None
    min_match: float | None = None
    duplicate_bits: int | None = 4
    duplicate_share: float = 0.5


REASONS = {
    "short": (("frames", "min_frames"),),
    "rate": (("fps", "min_fps"), ("fps", "max_fps")),
    "small": (("side", "min_side"),),
    "still": (("motion", "min_motion"), ("static", "max_static")),
    "fast": (("motion", "max_motion"),),
    "shaky": (("shake", "max_shake"),),
    "text": (("text", "max_text"),),
    "bars": (("bars", "max_bars"),),
    "blurred": (("sharpness", "min_sharpness"),),
    "plain": (("aesthetic", "min_aesthetic"),),
    "mismatch": (("match", "min_match"),),
}
"""Why a shot falls: (score, threshold), any of them. Besides these: "duplicate"."""


def read_thresholds(path: str | Path | None, changes: Sequence[str] = ()) -> Thresholds:
    """The thresholds of a TOML file (None: the usual ones), then `changes` such as "max_text=0.1" or "max_shake=none".

    Raises DiffilmError for a file that cannot be read, an unknown name and a value of another kind.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            with Path(path).open("rb") as file:
                values = tomllib.load(file)
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise DiffilmError(f"thresholds {path} cannot be read ({error}): expected a TOML file") from error
    for change in changes:
        name, equals, value = change.partition("=")
        if not equals:
            raise DiffilmError(f"threshold {change!r}: expected NAME=VALUE such as max_text=0.1")
        values[name.strip()] = value.strip()
    return replace(Thresholds(), **{name: _checked(name, value) for name, value in values.items()})


def _checked(name: str, value: Any) -> Any:
    kinds = {each.name: str(each.type) for each in fields(Thresholds)}
    if name not in kinds:
        raise DiffilmError(f"threshold {name!r}: unknown; it may be one of {', '.join(kinds)}")
    if value in ("none", False) and "None" in kinds[name]:
        return None
    try:
        if isinstance(value, bool):
            raise ValueError
        return int(str(value)) if kinds[name].startswith("int") else float(value)
    except (TypeError, ValueError):
        kind = "a whole number" if kinds[name].startswith("int") else "a number"
        raise DiffilmError(f'threshold {name} = {value!r}: expected {kind}, or "none" for no such bound') from None
