"""Whether the checkpoints of a run have room on the disk."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from torch import nn

from ..errors import DiffilmError
from ..movie.room import in_words
from .config import StageConfig

MOMENTS = {"adamw": 2.0, "adamw8bit": 0.5}
"""Numbers that an optimizer keeps for each parameter, in float32."""


def room_needed(modules: Mapping[str, nn.Module], config: StageConfig) -> int:
    """Bytes of the checkpoints that are kept, of the one being written beside them, and of the result in float16."""
    whole = sum(t.numel() * t.element_size() for module in modules.values() for t in module.state_dict().values())
    trained = sum(p.numel() * p.element_size() for m in modules.values() for p in m.parameters() if p.requires_grad)
    checkpoint = whole + trained * (1 + MOMENTS[config.optimizer])
    return round(checkpoint * (config.keep + 1) + whole / 2)


def check_room(out: Path, modules: Mapping[str, nn.Module], config: StageConfig) -> None:
    """Raises DiffilmError where the folder has too little room; what an earlier part of the run wrote is counted."""
    needed = room_needed(modules, config)
    there = sum(path.stat().st_size for path in out.glob("*.ckpt"))
    free = shutil.disk_usage(out).free
    if needed > free + there:
        raise DiffilmError(
            f"training takes about {in_words(needed)} in {out} for checkpoints (train.keep {config.keep}) and the "
            f"result, where {in_words(free)} are free: free some, choose another place or keep fewer"
        )
