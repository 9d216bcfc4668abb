"""Motion of Diffilm's own models: the temporal layers alone, in the UNet's names behind a prefix."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import DiffilmError
from ..models.motion import OwnMotion
from ..models.unet import is_temporal
from .files import write_tensors
from .layout import Layout

PREFIX = "diffilm_motion."
ABOUT = "diffilm.motion"
"""The metadata's key of what a motion file says of itself."""


def find(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    return {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items() if name.startswith(PREFIX)} or None


def shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The tensors' shapes by name. Raises DiffilmError for a name of no temporal layer."""
    for name in tensors:
        if not is_temporal(name):
            raise DiffilmError(f"motion of a Diffilm model with {name}, which is no temporal layer: get it again")
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def save_own_motion(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> Path:
    """Write a UNet's temporal parameters in float16; about: what the file says of itself."""
    kept = {PREFIX + name: tensor.detach().cpu().half().contiguous() for name, tensor in tensors.items()}
    return write_tensors(path, kept, {ABOUT: json.dumps(dict(about), sort_keys=True)})


LAYOUTS = [Layout("diffilm", "diffilm", "motion", find, shapes, OwnMotion)]
