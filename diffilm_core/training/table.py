"""The stages of `diffilm train`, by the name at the top of a configuration: `stage = "video"`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from ..errors import DiffilmError
from ..frames.progress import Progress
from .config import read_stage

MODULES = {
    "autoencoder": "autoencoder", "text": "text", "image": "image", "video": "motion", "finetune": "finetune",
    "vdm": "vdm", "interpolate": "interpolate", "upscale": "upscale",
}  # fmt: skip
"""The module of each stage: `read(path, changes) -> config` and `train(config, out, device, progress) -> Path`."""


def train(
    path: str | Path,
    changes: Mapping[str, Any],
    out: str | Path,
    device: torch.device,
    progress: Progress | None = None,
) -> Path:
    """Train what the TOML file `path` says; `changes` by "section.key" stand over it. Returns the file of the result.

    Raises DiffilmError for a configuration without a known `stage`, and as the stage itself does.
    """
    stage = read_stage(path)
    if stage not in MODULES:
        raise DiffilmError(f"{path}: stage {stage!r}, expected stage = one of {', '.join(MODULES)} at its top")
    module: Any = import_module(f".{MODULES[stage]}", __package__)
    made: Path = module.train(module.read(path, changes), out, device, progress)
    return made
