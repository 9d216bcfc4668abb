"""What the descriptions in scripts/workflows are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

STORY = (
    "A fox sat in the snowy forest. The fox saw a rabbit in the snow. The rabbit ran to the meadow. "
    "A bee flew over a flower in the meadow. At night an owl sat in the forest."
)


@dataclass
class Node:
    """A node: class, values by input (a tuple is a link: node name, output index), place, size, title."""

    kind: str
    inputs: dict[str, Any]
    pos: tuple[int, int]
    size: tuple[int, int]
    title: str = ""


@dataclass
class Workflow:
    name: str
    nodes: dict[str, Node]
    groups: list[tuple[str, str, tuple[int, int, int, int]]]
    note: str
    note_box: tuple[int, int, int, int]
    ids: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.ids = {name: number for number, name in enumerate(self.nodes, start=1)}


def load(pos: tuple[int, int]) -> Node:
    return Node("DiffilmLoadModel", {"model_name": "diffilm (ships with the pack)"}, pos, (330, 110))


def finish(video: tuple[str, int], x: int, y: int, movie: str) -> dict[str, Node]:
    """Decoded clip to file: interpolate, upscale, write."""
    return {
        "interpolate": Node(
            "DiffilmInterpolateVideo", {"video": video, "fps": 24.0, "method": "blend"}, (x, y), (300, 90)
        ),
        "upscale": Node(
            "DiffilmUpscaleVideo",
            {"video": ("interpolate", 0), "scale": 4.0, "width": 0, "height": 0, "method": "bicubic"},
            (x, y + 160), (300, 140),
        ),
        "write": Node(
            "DiffilmWriteMovie", {"videos": ("upscale", 0), "movie": movie, "crf": 18}, (x + 350, y), (400, 480)
        ),
    }  # fmt: skip


def splitter(pos: tuple[int, int], size: tuple[int, int]) -> Node:
    values = {"story": STORY, "style": "", "negative": "", "seed": 0, "frames": 16, "fps": 8.0, "max_shots": 0}
    return Node("DiffilmStorySplitter", values, pos, size)
