"""Stage `finetune`: every parameter, on good clips at a higher resolution, captioned or not, with pictures between.

    train(read("configs/finetune.toml"), "runs/fine", device=torch.device("cuda"))   # -> runs/fine/finetune.safetensors

Pictures are clips of one frame, as in Video Diffusion Models (Ho et al. 2022, sec. 3.3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import DiffilmError
from ..frames.progress import Progress
from .base import BaseConfig
from .bases import open_base
from .config import StageConfig, read_sections
from .data.clips import Clips, index_clips, split
from .data.feed import CaptionedFeed, Feed, numbered
from .data.samples import Buckets, ClipSamples, Samples, bucket_sizes
from .data.sources import gifs, parted, pictures
from .data.windows import Windows
from .diffusion import Task, run_task
from .image import SHOWN, CaptionedObjective, captions_of
from .motion import check_size
from .processes import Processes, launched

RESULT = "finetune.safetensors"


@dataclass(frozen=True)
class FinetuneConfig(Windows):
    """`clips`: a folder of clips, where a .txt beside one is its caption; or `table`: captioned GIFs, lines of file or
    URL, tab, caption, their files in `clips` ("" the table's folder). Windows are of `width` x `height` pixels.
    `pictures`: a folder of captioned ones, which the share `images` of the steps is of."""

    clips: str = ""
    table: str = ""
    pictures: str = ""
    images: float = 0.0
    width: int = 512
    height: int = 512

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.clips and not self.table:
            raise DiffilmError("neither data.clips nor data.table: expected a folder of clips or a table of GIFs")
        if not 0 <= self.images < 1 or bool(self.images) != bool(self.pictures):
            raise DiffilmError(
                f"images {self.images:g} with pictures {self.pictures!r}: expected a share of the steps below 1 and "
                "the folder of the pictures, or neither"
            )

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height


@dataclass(frozen=True)
class FineTraining:
    data: FinetuneConfig
    train: StageConfig
    base: BaseConfig = field(default_factory=BaseConfig)
    objective: CaptionedObjective = field(default_factory=CaptionedObjective)


def read(path: str | Path, changes: Mapping[str, Any] | None = None) -> FineTraining:
    """The configuration in a TOML file; `changes` by "section.key". Raises DiffilmError as `read_sections` does."""
    kinds = {"base": BaseConfig, "data": FinetuneConfig, "objective": CaptionedObjective, "train": StageConfig}
    return FineTraining(**read_sections(path, kinds, changes or {}, optional=("base", "objective")))


@dataclass(frozen=True)
class Source:
    """Clips: `feed(number)` a batch, `held(number)` a sample of the validation; how many files; some captions."""

    feed: Feed
    held: Callable[[int], Mapping[str, Any]] | None
    files: int
    captions: list[str]


def clips_of(
    data: FinetuneConfig, batch: int, out: Path, processes: Processes, progress: Progress | None = None
) -> Source:
    """Raises DiffilmError as `gifs`, `index_clips` and `Clips` do."""
    if data.table:
        used, held = parted(gifs(data.table, data.clips or None, progress), data.validation, data.seed)
        windows = Buckets([data.size], (data.frames,))
        feed: Feed = CaptionedFeed(
            used, windows, batch, fps=data.fps, seed=data.seed, workers=data.workers, processes=processes
        )
        held = [item for item in held if windows.of(item) is not None]
        seen = Samples(held, windows, fps=data.fps, seed=data.seed)
        look = (lambda number: seen[number % len(held), number]) if held else None
        return Source(feed, look, len({item.source for item in used}), captions_of(held or used))
    files, kept = split(index_clips(data.clips, out / "clips.json", progress), data.validation, data.seed)
    shape: dict[str, Any] = dict(frames=data.frames, size=data.size, fps=data.fps, seed=data.seed)
    clips = ClipSamples(Clips(files, **shape), captions=True)
    watched = ClipSamples(Clips(kept, **shape), captions=True) if kept else None
    captions = list(dict.fromkeys(file.caption() for file in (kept or files)))[:SHOWN]
    feed = Feed(clips, numbered(batch), batch, data.workers, processes)
    return Source(feed, watched.__getitem__ if watched else None, len(files), captions)


class Joint:
    """Batches of clips, and of pictures at every so many steps: which is which hangs on the number alone. A picture's
    frame rate is drawn as a clip's."""

    def __init__(self, clips: Feed, pictures: Feed, share: float, fps: tuple[float, float], seed: int) -> None:
        self.clips, self.pictures, self.share, self.fps, self.seed = clips, pictures, share, fps, seed

    def __call__(self, number: int) -> dict[str, Any]:
        before, now = (floor(at * self.share + 1e-9) for at in (number, number + 1))
        numbers = self.clips.numbers(number)
        if now == before:
            return {**self.clips(number - before), "numbers": numbers}
        fps = [np.random.default_rng([self.seed, each]).uniform(*self.fps) for each in numbers]
        return {**self.pictures(before), "fps": torch.tensor(fps), "numbers": numbers}


def train(config: FineTraining, out: str | Path, device: torch.device, progress: Progress | None = None) -> Path:
    """Train every parameter; returns the file of the weights with the lowest validation loss: a whole model, see
    `bases.open_base`. A stopped run goes on from the checkpoint in `out`.

    Raises DiffilmError as `open_base`, `clips_of`, `pictures` and `run_task` do, and for sizes that the base cannot
    encode.
    """
    data, out = config.data, Path(out)
    out.mkdir(parents=True, exist_ok=True)
    processes, device = launched(device, config.train.sharding)
    source = clips_of(data, config.train.batch, out, processes, progress)
    stills = pictures(data.pictures, progress) if data.pictures else []
    base = open_base(config.base, config.objective, device, "finetune")
    check_size(base, data.width, data.height)
    feed: Callable[[int], Mapping[str, Any]] = source.feed
    if stills:
        if base.pictured is not None:
            raise DiffilmError("images: this base makes clips of a picture, so that one has nothing to teach it; use 0")
        shapes = Buckets(bucket_sizes(round((data.width * data.height) ** 0.5), base.multiple))
        between = CaptionedFeed(
            stills, shapes, config.train.batch, seed=data.seed, workers=data.workers, processes=processes
        )
        feed = Joint(source.feed, between, data.images, data.fps, data.seed)
    torch.manual_seed(data.seed)
    base.unet.requires_grad_(True)
    task = Task(
        "finetune", RESULT, feed, source.held,
        {"training": asdict(config), "clips": source.files, "pictures": len(stills)},
        size=data.size, frames=data.frames, fps=data.min_fps if base.knows_fps else None, prompts=source.captions,
        seed=data.seed, dropout=config.train.caption_dropout, text=config.objective.text,
    )  # fmt: skip
    return run_task(base, task, config.train, out, device, processes, checkpointing=config.objective.checkpointing)
