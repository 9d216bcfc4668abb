"""What one published layout of one part of a model is: how it is known, its shape, its network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

ROLES = {
    "unet": "UNet",
    "vae": "autoencoder",
    "text": "text encoder",
    "image_encoder": "image encoder",
    "motion": "motion model",
    "lora": "motion LoRA",
}
SYSTEMS = {
    "diffilm": "Diffilm",
    "modelscope": "ModelScope",
    "animatediff": "AnimateDiff",
    "svd": "Stable Video Diffusion",
    "vdm": "Video Diffusion Models",
    "sd1": "Stable Diffusion 1.x",
    "sd2": "Stable Diffusion 2.x",
}
VIDEO_SYSTEMS = ("diffilm", "modelscope", "svd", "vdm")  # whose UNets make clips by themselves


@dataclass(frozen=True)
class Layout:
    """One way in which a part (`role`) of a `system` is published.

    find: this part's tensors in our names, or None where they are not there; looks at names and shapes only, strips
    prefixes itself, raises DiffilmError for what it knows and does not run. config: the shape of the network that has
    them; raises DiffilmError. build: `build(config, *, operations, attention, dtype, device)`, the network.
    """

    name: str
    system: str
    role: str
    find: Callable[[Mapping[str, Tensor]], dict[str, Tensor] | None]
    config: Callable[[Mapping[str, Tensor]], Any]
    build: Callable[..., nn.Module]

    @property
    def named(self) -> str:
        """With its article: an AnimateDiff motion model (original)."""
        return f"{'an' if str(self)[0] in 'AEIO' else 'a'} {self}"

    def __str__(self) -> str:
        return f"{SYSTEMS[self.system]} {ROLES[self.role]} ({self.name})"
