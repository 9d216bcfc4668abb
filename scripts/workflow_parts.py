"""What the descriptions in scripts/workflows are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

STORY = (
    "A fox sat in the snowy forest. The fox saw a rabbit in the snow. The rabbit ran to the meadow. "
    "A bee flew over a flower in the meadow. At night an owl sat in the forest."
)
INTERPOLATE = {"method": "diffilm", "source_fps": 8.0, "cuts": "detect", "tile": 0}
UPSCALE = {"method": "diffilm", "strength": 0.0, "steady": 0.3, "source_fps": 8.0, "cuts": "detect", "tile": 0}
"""The finishing nodes' values but for rate and size."""


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
            "DiffilmInterpolateVideo", {"video": video, "fps": 24.0, **INTERPOLATE}, (x, y), (300, 190)
        ),
        "upscale": Node(
            "DiffilmUpscaleVideo",
            {"video": ("interpolate", 0), "scale": 4.0, "width": 0, "height": 0, **UPSCALE},
            (x, y + 260), (300, 270),
        ),
        "write": Node(
            "DiffilmWriteMovie", {"videos": ("upscale", 0), "movie": movie, "crf": 18}, (x + 350, y), (400, 480)
        ),
    }  # fmt: skip


def splitter(pos: tuple[int, int], size: tuple[int, int]) -> Node:
    values = {
        "story": STORY, "style": "", "negative": "", "seed": 0, "frames": 16, "fps": 8.0, "max_shots": 0, "edits": "",
        "read_as": "story", "phrasing": "plain", "length": 0.0,
    }  # fmt: skip
    return Node("DiffilmStorySplitter", values, pos, size)


def picture_to_clip(picture: tuple[str, int], x: int, movie: str) -> dict[str, Node]:
    """A picture filmed by Stable Video Diffusion as published, interpolated and written; 1,580 pixels wide."""
    conditions = {
        "clip_vision": ("video_model", 1), "vae": ("video_model", 2), "image": picture, "width": 1024, "height": 576,
        "frames": 14, "fps": 6, "motion_bucket": 127, "augmentation": 0.02, "seed": 0,
    }  # fmt: skip
    sampler = {
        "model": ("guidance", 0), "seed": 1, "steps": 25, "cfg": 2.5, "sampler_name": "euler", "scheduler": "karras",
        "positive": ("conditions", 0), "negative": ("conditions", 1), "latent_image": ("conditions", 2),
        "denoise": 1.0,
    }  # fmt: skip
    decode = {"vae": ("video_model", 2), "latent": ("film", 0), "fps": 6.0, "batch": 14}
    return {
        "video_model": Node("DiffilmLoadImageToVideo", {"model_name": "svd.safetensors"}, (x, 90), (360, 110)),
        "conditions": Node("DiffilmImageToVideo", conditions, (x, 250), (360, 320)),
        "guidance": Node("VideoLinearCFGGuidance", {"model": ("video_model", 0), "min_cfg": 1.0}, (x, 620), (360, 60)),
        "film": Node("KSampler", sampler, (x + 400, 90), (330, 480)),
        "decode": Node("DiffilmDecodeVideo", decode, (x + 810, 90), (300, 110)),
        "interpolate": Node(
            "DiffilmInterpolateVideo", {"video": ("decode", 0), "fps": 24.0, **INTERPOLATE}, (x + 810, 260),
            (300, 190),
        ),
        "write": Node(
            "DiffilmWriteMovie", {"videos": ("interpolate", 0), "movie": movie, "crf": 18}, (x + 1160, 90), (400, 480)
        ),
    }  # fmt: skip
