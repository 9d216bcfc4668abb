"""Diffilm's own models: each part in the names of its network, its configuration in the metadata."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from ..errors import DiffilmError
from .inspect import CheckpointInfo, built, differences, part_of, plain
from .layout import ROLES, Layout
from .sd import build_unet
from .source import Checkpoint
from .text import build_text
from .vae import build_vae

BUILD = {"unet": build_unet, "vae": build_vae, "text": build_text}
NAME = "diffilm"
TEXT = "text_model."  # in the names of a text encoder


def own_part(checkpoint: Checkpoint, role: str) -> tuple[Layout, dict[str, Tensor], Any]:
    """A part's layout, tensors and configuration. Raises DiffilmError where such a model has none."""
    from ..bundle import ModelConfig, part

    if role not in BUILD:
        raise DiffilmError(f"{checkpoint.label} is a Diffilm model, expected a file with a {ROLES[role]}: give one")
    try:
        config = ModelConfig.from_json(checkpoint.metadata[NAME])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DiffilmError(f"{checkpoint.label}: its configuration cannot be read ({error}); get it again") from error
    shape = getattr(config, role)
    tensors = {name.removeprefix(TEXT): tensor for name, tensor in part(checkpoint, role).items()}
    return Layout(NAME, NAME, role, dict, lambda _: shape, BUILD[role]), tensors, shape


def inspect_own(checkpoint: Checkpoint) -> CheckpointInfo:
    """What a Diffilm model holds; of one of its files alone, what is missing."""
    info = CheckpointInfo(NAME, [])
    for role in BUILD:
        layout, tensors, config = own_part(checkpoint, role)
        missing, unexpected = differences(built(layout, config, checkpoint.label), tensors)
        info.parts.append(part_of(role, NAME, NAME, tensors))
        info.config[role] = plain(config)
        info.missing.extend(missing)
        info.unexpected.extend(unexpected)
    return info
