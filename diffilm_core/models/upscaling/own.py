"""Diffilm's two layers as an upscaler, and the file that holds them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...checkpoints.files import write_tensors
from ...checkpoints.source import Checkpoint
from ...errors import DiffilmError
from .net import Doubler, DoublerConfig

KEY = "diffilm.upscaling"
ABOUT = {
    "title": "Diffilm's super-resolution: 2x over space and time, then 2x over space",
    "licence": "Apache-2.0",
    "data": "Big Buck Bunny, (c) Blender Foundation, CC-BY 3.0; scenes composed from Fluent Emoji, (c) Microsoft, MIT",
}


class DiffilmUpscaler:
    """An `Upscaler` of one layer (2x) or both (4x)."""

    batch = 2

    def __init__(
        self,
        first: Doubler,
        second: Doubler | None = None,
        *,
        strength: float = 0.0,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.layers = [
            layer.eval().requires_grad_(False).to(device, dtype) for layer in (first, second) if layer is not None
        ]
        self.strength, self.device = float(strength), device
        self.scale, self.radius = 2 ** len(self.layers), first.config.radius
        self.name = f"diffilm {self.scale}x"
        digest = hashlib.sha256(repr((self.scale, self.strength, str(dtype))).encode())
        for layer in self.layers:
            digest.update(repr(layer.config).encode())
            for tensor in layer.state_dict().values():
                digest.update(tensor.float().contiguous().cpu().numpy().tobytes())
        self.fingerprint = digest.hexdigest()

    @torch.no_grad()
    def upscale(self, frames: Tensor) -> Tensor:
        """`(b, 2 radius + 1, 3, h, w)` in [0, 1] to their middle frames `(b, 3, scale h, scale w)`, float32."""
        window = frames.to(self.device, torch.float32)
        strength = window.new_full((len(window),), self.strength)
        made = self.layers[0](window, strength)
        for layer in self.layers[1:]:
            made = layer(made[:, None], strength)
        return made.clamp(0, 1)


def save_layers(first: Doubler, second: Doubler, path: Path, about: Mapping[str, Any] | None = None) -> Path:
    """Write both layers in float16."""
    layers = {"first": first, "second": second}
    tensors = {f"{name}.{key}": t.cpu().half() for name, m in layers.items() for key, t in m.state_dict().items()}
    words = {"config": {name: asdict(layer.config) for name, layer in layers.items()}, **ABOUT, **(about or {})}
    return write_tensors(path, tensors, {KEY: json.dumps(words)})


def own_layers(checkpoint: Checkpoint) -> tuple[Doubler, Doubler]:
    """The layers of a file that `save_layers` wrote, float32. Raises DiffilmError where it is damaged."""
    made = []
    try:
        config = json.loads(checkpoint.metadata[KEY])["config"]
        for name in ("first", "second"):
            with torch.device("meta"):
                layer = Doubler(DoublerConfig(**config[name]))
            start = f"{name}."
            tensors = {key.removeprefix(start): t.float() for key, t in checkpoint.items() if key.startswith(start)}
            layer.load_state_dict(tensors, assign=True)
            made.append(layer)
    except (KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DiffilmError(f"{checkpoint.label} is no whole upscaler of Diffilm ({reason}): get it again") from error
    return made[0], made[1]
