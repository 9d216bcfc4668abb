"""What may be wrong with a shot: NaN, black, frozen, strobing, a jump of colour from its neighbour, a picture that does
not show its prompt. Measured on the sampled frames, before anything slow is done with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from ..frames import FrameStream
from ..metrics.clip import Clip

BLACK_MEAN, BLACK_PEAK = 0.03, 0.10
"""A black frame: mean luma, and what 99 of 100 pixels stay under. A night with a moon or a lit window has brighter."""
STILL, STILL_GRID = 0.5 / 255, 16
"""Mean change below which a part of the picture did not move, half a step of 8 bits, and rows and columns of parts."""
FLASH = 0.10
"""Change of relative luminance that counts to a flash where the darker is below 0.8 (ITU-R BT.1702, WCAG 2.3.1)."""
FLASHES = 4
"""Opposing changes within one second that make a strobe; the guidelines' limit for danger is six."""
GRID = 4
"""Rows and columns of the cells that are watched for flashes."""
STROBE = 0.5
"""Share of the cells that makes a strobe; a ride through trees has a fifth."""
JUMP = 60.0
"""Distance (CIE 1976 delta E) of the mean colours of two shots of one scene that stands out as a jump; from a forest at
night to a green field by day it is 47."""
TEXT_MATCH = 0.20
"""Cosine of CLIP's picture and prompt below which they have nothing to do with each other (ViT-B and -L: 0.22 to 0.35
for a picture of its prompt, 0.08 to 0.18 for another)."""
SAMPLES = 4
"""Frames of a shot that the scorer sees."""


class Scorer(Protocol):
    """How well frames show a prompt."""

    name: str

    def score(self, prompt: str, frames: Tensor) -> float:
        """Frames `(n, h, w, 3)` in [0, 1]: the mean cosine of picture and text."""
        ...


@dataclass(frozen=True)
class Finding:
    """`kind`: nan, black, frozen, strobe, colour or text. `weight`: 0 to 1 and more, how bad."""

    kind: str
    says: str
    weight: float


@dataclass(frozen=True)
class ShotReport:
    """What was measured of a shot, and what is wrong with it."""

    measures: dict[str, Any]
    findings: tuple[Finding, ...] = ()

    @property
    def badness(self) -> float:
        """The less the better; among shots without findings, the one that shows its prompt best."""
        return sum(1 + finding.weight for finding in self.findings) - float(self.measures.get("text", 0.0))

    def with_neighbour(self, before: ShotReport | None) -> ShotReport:
        """With a finding where its colours jump from those of the shot before, one of the same scene."""
        jump = colour_jump(before, self)
        if jump is None or jump <= JUMP:
            return self
        says = f"its colours jump from the shot before (delta E {jump:.0f}, up to {JUMP:.0f} is usual)"
        return ShotReport(self.measures, (*self.findings, Finding("colour", says, jump / JUMP - 1)))

    def to_dict(self) -> dict[str, Any]:
        return {"measures": self.measures, "findings": [vars(finding) for finding in self.findings]}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> ShotReport:
        return cls(dict(found["measures"]), tuple(Finding(**each) for each in found["findings"]))


def check_shot(stream: FrameStream, prompt: str = "", scorer: Scorer | None = None) -> ShotReport:
    """One shot's report from its frames, in one pass, a frame at a time."""
    wanted = {round((k + 0.5) * stream.frames / SAMPLES - 0.5) for k in range(SAMPLES)}
    seen = _Seen()
    samples = []
    for at, frame in enumerate(frame for chunk in stream for frame in chunk):
        seen.add(frame)
        if scorer is not None and at in wanted:
            samples.append(frame)
    measures = seen.measures(float(stream.fps))
    findings = list(_findings(measures, stream.frames))
    if scorer is not None and measures["finite"]:
        measures["text"] = match = round(scorer.score(prompt, torch.stack(samples)), 4)
        if match < TEXT_MATCH:
            says = f"it does not show its prompt (match {match:.2f}, from {TEXT_MATCH:.2f} on is usual)"
            findings.append(Finding("text", says, min(1.0, 1 - match / TEXT_MATCH)))
    return ShotReport(measures, tuple(findings))


def colour_jump(before: ShotReport | None, after: ShotReport) -> float | None:
    """Delta E from the last frames' mean colour of one shot to the first frames' of the next; None where unknown."""
    if before is None or not (before.measures["finite"] and after.measures["finite"]):
        return None
    a, b = before.measures["last_colour"], after.measures["first_colour"]
    return float(sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) ** 0.5)


def _findings(measures: dict[str, Any], frames: int) -> Iterable[Finding]:
    if not measures["finite"]:
        yield Finding("nan", "it holds not-a-number; lower the guidance or sample in float32", 10.0)
        return
    if measures["black"] > 0.5:
        yield Finding("black", f"it is black in {measures['black']:.0%} of its frames", measures["black"])
    if frames > 2 and measures["still"] > 0.9:
        yield Finding("frozen", f"nothing moves in {measures['still']:.0%} of its frames", measures["still"])
    if measures["strobe"] >= STROBE:
        says = f"it strobes: {measures['strobe']:.0%} of the picture flashes {FLASHES // 2} times a second or more"
        yield Finding("strobe", says, measures["strobe"])


@dataclass
class _Seen:
    """What is kept of each frame: a few numbers."""

    finite: bool = True
    black: list[bool] = field(default_factory=list)
    still: list[bool] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    cells: list[Tensor] = field(default_factory=list)
    colours: list[Tensor] = field(default_factory=list)
    last: Tensor | None = None

    def add(self, frame: Tensor) -> None:
        """One frame `(h, w, 3)`."""
        if not bool(frame.isfinite().all()):
            self.finite = False
            return
        luma = frame @ frame.new_tensor([0.2126, 0.7152, 0.0722])
        peak = luma.flatten().kthvalue(max(1, round(0.99 * luma.numel()))).values
        self.black.append(float(luma.mean()) < BLACK_MEAN and float(peak) < BLACK_PEAK)
        linear = _linear(frame)
        grid = torch.nn.functional.adaptive_avg_pool2d(linear.movedim(2, 0)[None], GRID)[0]
        self.cells.append(torch.einsum("chw,c->hw", grid, grid.new_tensor([0.2126, 0.7152, 0.0722])).flatten())
        self.colours.append(linear.mean(dim=(0, 1)))
        if self.last is not None:
            change = (frame - self.last).abs().mean(2)[None, None]
            self.changes.append(float(change.mean()))
            self.still.append(float(torch.nn.functional.adaptive_avg_pool2d(change, STILL_GRID).max()) < STILL)
        self.last = frame

    def measures(self, fps: float) -> dict[str, Any]:
        if not self.finite:
            return {"finite": False}
        ends = max(1, len(self.colours) // 4)
        return {
            "finite": True,
            "black": sum(self.black) / len(self.black),
            "still": sum(self.still) / max(1, len(self.still)),
            "motion": round(sum(self.changes) / max(1, len(self.changes)), 5),
            "strobe": strobing(torch.stack(self.cells, 1), fps),
            "first_colour": _lab(torch.stack(self.colours[:ends]).mean(0)),
            "last_colour": _lab(torch.stack(self.colours[-ends:]).mean(0)),
        }


def strobing(cells: Tensor, fps: float) -> float:
    """The share of cells whose relative luminance `(cells, t)` goes up and down FLASHES times within a second."""
    return sum(_flashes(cell.tolist(), fps) >= FLASHES for cell in cells) / len(cells)


def _flashes(values: Sequence[float], fps: float) -> int:
    """Most changes of FLASH or more, each opposed to the one before, that lie within one second."""
    times: list[float] = []
    low = high = values[0]  # since the last change
    rising: bool | None = None
    for at, value in enumerate(values):
        low, high = min(low, value), max(high, value)
        up = rising is not True and value - low >= FLASH and low < 0.8
        down = rising is not False and high - value >= FLASH and value < 0.8
        if up or down:
            rising, low, high = up, value, value
            times.append(at / fps)
    return max((sum(first <= time < first + 1 for time in times) for first in times), default=0)


def _linear(rgb: Tensor) -> Tensor:
    """sRGB to linear light."""
    return torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055).clamp(min=0) ** 2.4)


def _lab(linear: Tensor) -> list[float]:
    """CIE L*a*b* (D65) of one linear sRGB colour `(3,)`."""
    to_xyz = linear.new_tensor([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    t = to_xyz @ linear / linear.new_tensor([0.9505, 1.0, 1.089])
    f = torch.where(t > (6 / 29) ** 3, t.clamp(min=1e-9) ** (1 / 3), t / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f.tolist()
    return [round(116 * y - 16, 2), round(500 * (x - y), 2), round(200 * (y - z), 2)]


class ClipScorer:
    """A local CLIP folder (transformers' layout) as a scorer; nothing is downloaded.

    Raises DiffilmError for a folder that holds none.
    """

    def __init__(self, folder: str | Path, device: torch.device | str = "cpu") -> None:
        self.clip, self.name = Clip(folder, device), Path(folder).name

    def score(self, prompt: str, frames: Tensor) -> float:
        return self.clip.similarity(frames, prompt)
