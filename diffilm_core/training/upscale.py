"""Stage `upscale`: the two layers that make films larger, from a clip store or a folder of clips."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..frames.progress import Progress
from ..models.upscaling.net import DoublerConfig
from .clip_store import StoreConfig, open_store
from .config import StageConfig, read_sections
from .interpolate import StartConfig
from .processes import one_process
from .resolution import UPSCALING, UpscaleConfig, train_upscaling


@dataclass(frozen=True)
class LossConfig:
    """Crops of `side` pixels; `lpips`: VGG or AlexNet weights, by which damaged pictures are judged too."""

    side: int = 128
    lpips: str = ""


@dataclass(frozen=True)
class UpscaleTraining:
    """`first` sees neighbours and doubles; `second` doubles again."""

    data: StoreConfig
    train: StageConfig
    base: StartConfig = field(default_factory=StartConfig)
    objective: LossConfig = field(default_factory=LossConfig)
    first: DoublerConfig = field(default_factory=lambda: UpscaleConfig().first)
    second: DoublerConfig = field(default_factory=lambda: UpscaleConfig().second)


def read(path: str | Path, changes: Mapping[str, Any] | None = None) -> UpscaleTraining:
    """The configuration in a TOML file; `changes` by "section.key". Raises DiffilmError as `read_sections` does."""
    kinds = {
        "data": StoreConfig, "train": StageConfig, "base": StartConfig, "objective": LossConfig,
        "first": DoublerConfig, "second": DoublerConfig,
    }  # fmt: skip
    optional = ("base", "objective", "first", "second")
    return UpscaleTraining(**read_sections(path, kinds, changes or {}, optional=optional))


def train(config: UpscaleTraining, out: str | Path, device: torch.device, progress: Progress | None = None) -> Path:
    """Train both layers; returns the file of the weights. Raises DiffilmError as `open_store` and `Run` do, and for
    several processes."""
    one_process("upscale")
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    store = open_store(config.data, out, progress)
    stage = UpscaleConfig(config.first, config.second, config.objective.side, config.train)
    start, lpips = (Path(name) if name else None for name in (config.base.start, config.objective.lpips))
    train_upscaling(store, out, stage, device, start, lpips, {"data": asdict(config.data)})
    return out / UPSCALING
