"""What is measured of every shot: one row of the table, and what its columns mean."""

from __future__ import annotations

import base64
from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Score:
    """A measured column: its name, what it says, the unit, and the span of its histogram (logarithmic or not)."""

    name: str
    says: str
    unit: str
    low: float
    high: float
    log: bool = False


SCORES = (
    Score("seconds", "length", "s", 0.1, 100, log=True),
    Score("fps", "frame rate", "frames a second", 0, 75),
    Score("side", "shorter side", "pixels", 0, 2200),
    Score("motion", "mean optical flow", "% of the longer side a second", 0.01, 300, log=True),
    Score("static", "share of the time in which nothing moves", "", 0, 1),
    Score("shake", "how far the camera is off its own smooth path, median", "% of the longer side", 0, 3),
    Score("text", "area of text, found by OCR", "share of the frame", 0, 0.3),
    Score("bars", "area of black bars", "share of the frame", 0, 0.5),
    Score("sharpness", "variance of the Laplacian over that of the gradient, at one size", "", 1e-2, 10, log=True),
    Score("aesthetic", "aesthetic score by CLIP", "", 0, 1),
    Score("match", "text-image score: cosine of the caption and the frames, by CLIP", "", -0.1, 0.5),
)


@dataclass
class Row:
    """One shot of one file: frames `[first, end)` of it.

    file: under the curated folder, with slashes. Scores that could not be measured are None; `SCORES` says what they
    mean. motion_bucket: `motion` on a scale from 0 to 255, for conditioning. left, top, right, bottom: the picture
    without its black bars, as shares of width and height. hashes: 64-bit perceptual hashes of frames, evenly spread.
    thumb: a JPEG, three frames side by side.
    """

    file: str
    shot: int
    first: int
    end: int
    fps: float
    width: int
    height: int
    motion: float | None = None
    motion_bucket: int | None = None
    static: float | None = None
    shake: float | None = None
    text: float | None = None
    bars: float = 0.0
    left: float = 0.0
    top: float = 0.0
    right: float = 1.0
    bottom: float = 1.0
    sharpness: float | None = None
    aesthetic: float | None = None
    match: float | None = None
    caption: str | None = None
    hashes: list[int] = field(default_factory=list)
    thumb: bytes = b""

    @property
    def frames(self) -> int:
        return self.end - self.first

    @property
    def seconds(self) -> float:
        return self.frames / self.fps

    @property
    def side(self) -> int:
        return min(self.width, self.height)

    def to_json(self) -> dict[str, Any]:
        values = asdict(self)
        values["thumb"] = base64.b64encode(self.thumb).decode()
        return {key: round(value, 6) if isinstance(value, float) else value for key, value in values.items()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Row:
        known = {each.name for each in fields(cls)}
        chosen = {key: value for key, value in values.items() if key in known}
        return cls(**{**chosen, "thumb": base64.b64decode(chosen.get("thumb", ""))})


def motion_bucket(motion: float) -> int:
    """0 to 255: 100 % of the longer side a second is 255, as `motion_bucket_id` of Stable Video Diffusion counts."""
    return min(255, round(motion * 2.55))
