"""Stage `interpolate`: the network that makes the frames between, from a clip store or a folder of clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..frames.progress import Progress
from ..models.interpolation.net import InterpolationConfig
from .clip_store import StoreConfig, open_store
from .config import StageConfig, read_sections
from .finishing import INTERPOLATION, Crops, InterpolateConfig, train_interpolation
from .processes import one_process


@dataclass(frozen=True)
class StartConfig:
    """`start`: weights to go on from, whose shape then counts; "" trains from nothing."""

    start: str = ""


@dataclass(frozen=True)
class InterpolateTraining:
    data: StoreConfig
    train: StageConfig
    base: StartConfig = field(default_factory=StartConfig)
    network: InterpolationConfig = field(default_factory=InterpolationConfig)


def read(path: str | Path, changes: Mapping[str, Any] | None = None) -> InterpolateTraining:
    """The configuration in a TOML file; `changes` by "section.key". Raises DiffilmError as `read_sections` does."""
    kinds = {"data": StoreConfig, "train": StageConfig, "base": StartConfig, "network": InterpolationConfig}
    return InterpolateTraining(**read_sections(path, kinds, changes or {}, optional=("base", "network")))


def train(config: InterpolateTraining, out: str | Path, device: torch.device, progress: Progress | None = None) -> Path:
    """Train the network; returns the file of the weights. Raises DiffilmError as `open_store` and `Run` do, and for
    several processes."""
    one_process("interpolate")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    store = open_store(config.data, out, progress)
    crops = Crops(128, config.train.batch, 0.75), Crops(192, max(1, config.train.batch // 2), 0.25)
    torch.manual_seed(config.data.seed)
    stage = InterpolateConfig(config.network, config.train, crops)
    start = Path(config.base.start) if config.base.start else None
    train_interpolation(store, out, stage, device, start, {"data": asdict(config.data)})
    return out / INTERPOLATION
