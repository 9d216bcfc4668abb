"""One file with the parts of a published system, in the names of its single files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from .files import write_tensors
from .modelscope import STEM, TIME_LAYER
from .names import UNET_PREFIXES
from .source import Checkpoint

TRAINED = "diffilm.training"
"""The metadata's key of what a file that was trained here says of itself."""
PREFIXES = {
    "unet": UNET_PREFIXES[0],
    "vae": "first_stage_model.",
    "text": "cond_stage_model.transformer.text_model.",
    "motion": "",
}


def save_whole(
    path: Path,
    parts: Mapping[str, Mapping[str, Tensor]],
    about: Mapping[str, Any],
    rest: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write parts, each in its network's names, in float16; `rest` as it is. about: what the file says of itself."""
    made = dict(rest or {})
    for role, tensors in parts.items():
        for name, tensor in tensors.items():
            if not name.endswith("position_ids"):
                made[PREFIXES[role] + name.removeprefix("text_model.")] = tensor.detach().cpu().half().contiguous()
    return write_tensors(path, made, {TRAINED: json.dumps(dict(about), sort_keys=True)})


def besides_unet(checkpoint: Checkpoint) -> dict[str, Tensor]:
    """What a file or a pipeline holds besides its UNet."""
    prefix = next(prefix for prefix in UNET_PREFIXES if any(name.startswith(prefix) for name in checkpoint))
    return {name: tensor for name, tensor in checkpoint.items() if not name.startswith(prefix)}


def as_modelscope(unet: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """ModelScope's UNet in the names and shapes of its original file: kernels over time are `(3, 1, 1)`, projections
    of the layers over time are Conv1d."""
    found = {}
    for name, tensor in unet.items():
        over_time = name.startswith(STEM) or TIME_LAYER.match(name)
        if name.endswith("weight") and ((over_time and ".proj_" in name) or tensor.shape[2:] == (3, 1)):
            tensor = tensor.unsqueeze(-1)
        found[name.replace(".0.op.", ".op.")] = tensor
    return found
