"""Stage `text`: captions and pictures are brought together (Radford et al. 2021), and the text encoder is kept.

    train(read("configs/text.toml"), "runs/text", device=torch.device("cuda"))      # -> runs/text/text.safetensors

It is for a new model, before stage `image`: the UNet of a model that is there knows the words as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from ..errors import DiffilmError
from ..frames.progress import Progress
from .base import Base, BaseConfig, ObjectiveConfig
from .bases import open_base
from .config import StageConfig, read_sections
from .contrast import Contrast
from .data.feed import CaptionedFeed
from .data.samples import Samples, collate
from .data.sources import parted, pictures
from .diffusion import HELD_NUMBERS
from .image import PicturesConfig
from .loop import ValidatedRun
from .processes import launched
from .room import check_room

RESULT = "text.safetensors"
MOST_HELD = 64
"""Captioned pictures of the validation's one batch."""
SMALLEST = 16
"""Pixels a side that the picture tower's four strides need."""


@dataclass(frozen=True)
class TextTraining:
    data: PicturesConfig
    train: StageConfig
    base: BaseConfig = field(default_factory=BaseConfig)


def read(path: str | Path, changes: Mapping[str, Any] | None = None) -> TextTraining:
    """The configuration in a TOML file; `changes` by "section.key". Raises DiffilmError as `read_sections` does."""
    kinds = {"base": BaseConfig, "data": PicturesConfig, "train": StageConfig}
    return TextTraining(**read_sections(path, kinds, changes or {}, optional=("base",)))


def contrast_of(base: Base) -> Contrast:
    """The base's text encoder against a new picture tower. Raises DiffilmError where the base reads no captions."""
    encoder = base.reads()
    return Contrast(encoder.model, encoder.width, encoder.prompts.end).to(base.context.device)


def batch_loss(model: nn.Module, base: Base, batch: Mapping[str, Any]) -> Tensor:
    """CLIP's loss of a batch that `data.samples.collate` made of pictures."""
    tokens = base.tokens(batch["captions"])
    found: Tensor = model(tokens, rearrange(batch["pixels"].to(tokens.device), "b 1 h w c -> b c h w") / 127.5 - 1)
    return found


def train(config: TextTraining, out: str | Path, device: torch.device, progress: Progress | None = None) -> Path:
    """Train; returns the file of the weights with the lowest validation loss: the base with another text encoder. A
    stopped run goes on from the checkpoint in `out`.

    Raises DiffilmError as `open_base`, `pictures`, `Run` and `check_room` do, for a batch of one, and for several
    processes, since the loss is one of the whole batch.
    """
    data, out = config.data, Path(out)
    out.mkdir(parents=True, exist_ok=True)
    processes, device = launched(device, config.train.sharding)
    if processes.count > 1:
        raise DiffilmError(f"{processes.count} processes: stage text compares all of a batch, start it as one")
    if config.train.batch < 2 or data.size < SMALLEST:
        raise DiffilmError(
            f"batch {config.train.batch}, size {data.size}: captions are told apart within a batch; expected at "
            f"least 2 pictures of {SMALLEST} pixels a side"
        )
    used, held = parted(pictures(data.pictures, progress), data.validation, data.seed)
    base = open_base(config.base, ObjectiveConfig(), device, "text")
    shapes = replace(data, buckets=False).shapes(1)
    feed = CaptionedFeed(used, shapes, config.train.batch, seed=data.seed, workers=data.workers, processes=processes)
    watched, count = Samples(held, shapes, seed=data.seed), min(len(held), MOST_HELD)
    torch.manual_seed(data.seed)
    model = contrast_of(base).requires_grad_(True)
    modules: dict[str, nn.Module] = {"contrast": model}
    check_room(out, modules, config.train)

    def validation() -> Mapping[str, float]:
        if count < 2:
            return {}
        batch = collate([watched[at, HELD_NUMBERS + at] for at in range(count)])
        with torch.no_grad():
            return {"loss": float(batch_loss(model, base, batch))}

    def keep() -> None:
        about = {"steps": run.step, "training": asdict(config), "pictures": len(used)}
        base.save(out / RESULT, {"stage": "text", **about})

    run = ValidatedRun(
        Path(RESULT).stem, modules, config.train, out, device,
        validation=validation, keep=keep, best="loss" if count > 1 else "",
    )  # fmt: skip
    run.train(lambda number: batch_loss(model, base, feed(number)))
    return out / RESULT
