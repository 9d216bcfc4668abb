"""Stage `image`: text-to-image on the user's own captioned pictures.

    train(read("configs/image.toml"), "runs/image", device=torch.device("cuda"))      # -> runs/image/image.safetensors

Every layer of the image UNet is trained; temporal layers are passed by and stay as they are, so that a model whose
pictures have changed much should see stage `video` again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..errors import DiffilmError
from ..frames.progress import Progress
from ..models import is_temporal
from .base import BaseConfig, ObjectiveConfig
from .bases import open_base
from .config import StageConfig, read_sections
from .data.feed import CaptionedFeed
from .data.samples import RATIOS, Buckets, Samples, bucket_sizes
from .data.sources import parted, pictures
from .diffusion import Task, run_task
from .processes import launched

RESULT = "image.safetensors"
SHOWN = 4
"""Captions that the samples in the log are of."""


@dataclass(frozen=True)
class PicturesConfig:
    """`pictures`: a folder, captions in .txt beside, JSONL, CSV or WebDataset shards. About `size`^2 pixels, in the
    shape nearest to the picture's own where `buckets`, else square; the share `validation` of them is only looked at.
    `workers`: processes that decode."""

    pictures: str
    size: int = 512
    buckets: bool = True
    validation: float = 0.02
    seed: int = 0
    workers: int = 2
    description: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise DiffilmError(f"size {self.size}: expected the side of a picture in pixels; 512 is usual")

    def shapes(self, multiple: int) -> Buckets:
        """Widths and heights that divide by `multiple`."""
        return Buckets(bucket_sizes(self.size, multiple, RATIOS if self.buckets else (1.0,)))


@dataclass(frozen=True)
class CaptionedObjective(ObjectiveConfig):
    """`text`: the text encoder is trained too, at a tenth of the rate."""

    text: bool = False


@dataclass(frozen=True)
class ImageTraining:
    data: PicturesConfig
    train: StageConfig
    base: BaseConfig = field(default_factory=BaseConfig)
    objective: CaptionedObjective = field(default_factory=CaptionedObjective)


def read(path: str | Path, changes: Mapping[str, Any] | None = None) -> ImageTraining:
    """The configuration in a TOML file; `changes` by "section.key". Raises DiffilmError as `read_sections` does."""
    kinds = {"base": BaseConfig, "data": PicturesConfig, "objective": CaptionedObjective, "train": StageConfig}
    return ImageTraining(**read_sections(path, kinds, changes or {}, optional=("base", "objective")))


def train(config: ImageTraining, out: str | Path, device: torch.device, progress: Progress | None = None) -> Path:
    """Train on captioned pictures; returns the file of the weights with the lowest validation loss: a whole model, or a
    whole checkpoint of Stable Diffusion 1.x. A stopped run goes on from the checkpoint in `out`.

    Raises DiffilmError as `open_base`, `pictures` and `run_task` do.
    """
    data, out = config.data, Path(out)
    out.mkdir(parents=True, exist_ok=True)
    processes, device = launched(device, config.train.sharding)
    used, held = parted(pictures(data.pictures, progress), data.validation, data.seed)
    base = open_base(config.base, config.objective, device, "image")
    shapes = data.shapes(base.multiple)
    feed = CaptionedFeed(used, shapes, config.train.batch, seed=data.seed, workers=data.workers, processes=processes)
    watched = Samples(held, shapes, seed=data.seed)
    torch.manual_seed(data.seed)
    for name, parameter in base.unet.named_parameters():
        parameter.requires_grad_(not is_temporal(name))
    side = bucket_sizes(data.size, base.multiple, (1.0,))[0]
    task = Task(
        "image", RESULT, feed, (lambda number: watched[number % len(held), number]) if held else None,
        {"training": asdict(config), "pictures": len(used)},
        size=side, prompts=captions_of(held or used), seed=data.seed, dropout=config.train.caption_dropout,
        text=config.objective.text, time=False,
    )  # fmt: skip
    return run_task(base, task, config.train, out, device, processes, checkpointing=config.objective.checkpointing)


def captions_of(items: Sequence[Any]) -> list[str]:
    """Some captions to make samples of."""
    return list(dict.fromkeys(item.caption for item in items))[:SHOWN]
