"""What every stage that learns from clips says of its windows."""

from __future__ import annotations

from dataclasses import dataclass

from ...errors import DiffilmError


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Windows of `frames` frames at `min_fps` to `max_fps`; the share `validation` of the files is only looked at.
    `workers`: processes that decode. `description` and `licence` are written into the result. Raises DiffilmError for
    windows that cannot be."""

    frames: int = 16
    min_fps: float = 4.0
    max_fps: float = 16.0
    validation: float = 0.05
    seed: int = 0
    workers: int = 2
    description: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.min_fps <= self.max_fps:
            raise DiffilmError(f"frame rates {self.min_fps:g} to {self.max_fps:g}: expected 0 < min_fps <= max_fps")
        if self.frames < 2:
            raise DiffilmError(f"frames {self.frames}: motion needs at least 2; 16 is usual")

    @property
    def fps(self) -> tuple[float, float]:
        return self.min_fps, self.max_fps
