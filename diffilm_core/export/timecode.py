"""SMPTE timecode (ST 12-1): frames counted as hours, minutes, seconds and frames."""

from __future__ import annotations

from fractions import Fraction

DROP = {Fraction(30000, 1001): 2, Fraction(60000, 1001): 4}
"""Rates that are counted with drop-frame timecode, and the numbers left out each minute but every tenth."""


def nominal(fps: Fraction) -> int:
    """The frames that a second of timecode counts: 24 for 23.976, 30 for 29.97."""
    return max(1, round(fps))


def is_drop(fps: Fraction) -> bool:
    return fps in DROP


def timecode(frame: int, fps: Fraction, *, hours: int = 0) -> str:
    """The label of a frame, counted from `hours` o'clock; with a `;` before the frames where numbers are dropped."""
    base = nominal(fps)
    if is_drop(fps):
        drop = DROP[fps]
        ten, minute = 600 * base - 9 * drop, 60 * base - drop
        tens, rest = divmod(frame, ten)
        frame += 9 * drop * tens + drop * max(0, (rest - drop) // minute)
    seconds, frames = divmod(frame, base)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    mark = ";" if is_drop(fps) else ":"
    return f"{(hour + hours) % 24:02}:{minute:02}:{second:02}{mark}{frames:02}"
