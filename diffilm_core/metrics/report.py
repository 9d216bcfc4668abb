"""What was measured, as a table for people and as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .resample import Spread


@dataclass(frozen=True)
class Figure:
    """One figure of the generated set, with its 95 % interval where it has one.

    samples: how many items it is of; better: "lower", "higher" or "" where neither is; real: the same of the real set;
    network: whose features; note: what else must be known to compare it.
    """

    name: str
    title: str
    spread: Spread
    samples: int
    better: str = ""
    real: float | None = None
    network: str = ""
    note: str = ""

    def line(self) -> list[str]:
        low, high = self.spread.low, self.spread.high
        shown = "" if low == high else f"{number(low)} .. {number(high)}"
        real = "" if self.real is None else number(self.real)
        return [self.title, number(self.spread.value), shown, str(self.samples), real, self.better]

    def sizes(self) -> str:
        """The effect of the number of samples, in words."""
        if len(self.spread.sizes) < 2:
            return ""
        parts = ", ".join(f"{number(value)} with {n}" for n, value in self.spread.sizes)
        limit = "" if self.spread.limit is None else f"; the line over 1/n goes to {number(self.spread.limit)}"
        return f"{self.title} by number: {parts}{limit}"


@dataclass(frozen=True)
class Report:
    """`left_out`: metric to reason; settings: all that a figure depends on besides the files."""

    figures: tuple[Figure, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Figure:
        return next(figure for figure in self.figures if figure.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        figures = {}
        for figure in self.figures:
            values = asdict(figure)
            spread = values.pop("spread")
            spread["interval"] = [spread.pop("low"), spread.pop("high")]
            figures[values.pop("name")] = spread | values
        return {"figures": figures, "left_out": dict(self.left_out), "settings": dict(self.settings)}

    def lines(self) -> list[str]:
        head = ["metric", "value", "95 % interval", "items", "real", "better"]
        rows = [head, *(figure.line() for figure in self.figures)]
        if not any(row[4] for row in rows[1:]):
            rows = [[*row[:4], row[5]] for row in rows]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines = []
        for at, row in enumerate(rows):
            cells = [
                row[0].ljust(widths[0]),
                *(cell.rjust(wide) for cell, wide in zip(row[1:], widths[1:], strict=True)),
            ]
            lines.append("  ".join(cells).rstrip())
            if at == 0:
                lines.append("-" * (sum(widths) + 2 * len(widths) - 2))
        extra = [text for figure in self.figures for text in (figure.sizes(), _told(figure)) if text]
        out = [f"left out: {name}: {reason}" for name, reason in self.left_out.items()]
        return lines + ([""] if extra or out else []) + extra + out


def _told(figure: Figure) -> str:
    return f"{figure.title}: {figure.note}" if figure.note else ""


def number(value: float) -> str:
    """With four digits, or three after the point below 1."""
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.2f}" if abs(value) < 1000 else f"{value:.1f}"
