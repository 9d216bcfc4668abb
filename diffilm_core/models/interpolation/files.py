"""The file of our own interpolation network: half precision, its configuration in the metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...checkpoints.files import write_tensors
from ...checkpoints.source import Checkpoint
from ...errors import DiffilmError
from .net import InterpolationConfig, InterpolationNet

KEY = "diffilm.interpolation"
ABOUT = {
    "title": "Diffilm's interpolation network",
    "licence": "Apache-2.0",
    "data": "Big Buck Bunny, (c) Blender Foundation, CC-BY 3.0; scenes composed from Fluent Emoji, (c) Microsoft, MIT",
}


def save_interpolation(net: InterpolationNet, path: Path, about: Mapping[str, Any] | None = None) -> Path:
    """Write the weights in float16."""
    tensors = {name: tensor.detach().cpu().half() for name, tensor in net.state_dict().items()}
    words = {KEY: json.dumps(asdict(net.config)), "about": json.dumps({**ABOUT, **(about or {})})}
    return write_tensors(path, tensors, words)


def own_network(checkpoint: Checkpoint) -> InterpolationNet:
    """The network of a file that `save_interpolation` wrote, float32. Raises DiffilmError where it is damaged."""
    try:
        net = InterpolationNet(InterpolationConfig(**json.loads(checkpoint.metadata[KEY])))
        net.load_state_dict(checkpoint)
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DiffilmError(
            f"{checkpoint.label} is no whole interpolation network of Diffilm ({reason}): get it again"
        ) from error
    return net.eval().requires_grad_(False)
