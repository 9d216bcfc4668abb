"""What a diffusion stage starts from: a network of a system that the pack loads, and all that belongs to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..errors import DiffilmError
from ..models import UNet
from ..text.clip import TextEncoder
from .objective import Objective

About = dict[str, Any]
"""What a result says of itself; `stage` is in it."""


@dataclass(frozen=True)
class BaseConfig:
    """`model`: a Diffilm model, a checkpoint of Stable Diffusion 1.x or Stable Video Diffusion, a folder of ModelScope
    or Zeroscope; "" the model that ships; a .toml: a new model of that shape. `vae`, `text`: Stable Diffusion 1.x:
    files of their own where the checkpoint lacks them. `motion`: the same: a motion model to go on from, instead of
    the identity."""

    model: str = ""
    vae: str = ""
    text: str = ""
    motion: str = ""


@dataclass(frozen=True)
class ObjectiveConfig:
    """See `objective.Objective`; what the network predicts is the base's. `checkpointing`: activations are computed
    again on the way back, which takes a third more time and far less memory."""

    min_snr: float | None = None
    offset_noise: float = 0.0
    checkpointing: bool = False

    def options(self) -> dict[str, Any]:
        """Those of `Objective`."""
        return {"min_snr": self.min_snr, "offset_noise": self.offset_noise}


class Pictured(Protocol):
    """What a network is told of a clip by its first frame."""

    def __call__(
        self, frames: Tensor, fps: Tensor, generators: Sequence[torch.Generator], without: Sequence[bool]
    ) -> tuple[Tensor, dict[str, Any]]:
        """Context and conditions of frames `(b, t, 3, h, w)` in [-1, 1] at `fps` `(b,)`; of those `without`, none."""


@dataclass(frozen=True)
class Base:
    """What is trained, and what stays: `context` (1, l, d) of the empty prompt; `multiple` of pixels a side;
    `save(path, about)` writes the file of the result. `text`: what reads captions, where it does. `pictured`: see
    Pictured; then `context` is that of no picture."""

    unet: UNet
    vae: nn.Module
    context: Tensor
    objective: Objective
    multiple: int
    knows_fps: bool
    save: Callable[[Path, About], Path]
    text: TextEncoder | None = None
    pictured: Pictured | None = None

    def tokens(self, captions: Sequence[str]) -> Tensor:
        """Token ids `(b, l)` of captions, each cut at the end of the encoder's window."""
        text = self.reads()
        return torch.tensor([text.prompts.windows(each)[0] for each in captions], device=self.context.device)

    def words(self, captions: Sequence[str]) -> Tensor:
        """Context `(b, l, d)` of captions."""
        if not any(captions):
            return self.context.expand(len(captions), -1, -1)
        with torch.no_grad():
            return self.reads().hidden(self.tokens(captions)).to(self.context)

    def reads(self) -> TextEncoder:
        """Raises DiffilmError where the base reads no captions."""
        if self.text is None:
            raise DiffilmError("this base is told of its clips by a picture, not by words: leave captions out")
        return self.text


def recompute(unet: UNet) -> None:
    """Gradient checkpointing (Chen et al. 2016): each block keeps its input alone and is run again on the way back."""
    for block in (*unet.input_blocks, unet.middle_block, *unet.output_blocks):
        block.forward = _checkpointed(block.forward)


def _checkpointed(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def run(*arguments: Any) -> Tensor:
        if not torch.is_grad_enabled():
            return forward(*arguments)
        made: Tensor = checkpoint(forward, *arguments, use_reentrant=False)
        return made

    return run
