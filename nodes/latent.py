"""An empty clip for the host's samplers."""

from __future__ import annotations

import torch
from comfy_api.latest import io

from ..diffilm_core.errors import DiffilmError
from .types import CATEGORY

CHANNELS = 8
CELL = 8


def check_size(width: int, height: int, frames: int) -> None:
    """Raises DiffilmError for a clip that no latent can have."""
    if width < CELL or height < CELL or width % CELL or height % CELL:
        raise DiffilmError(f"size {width}x{height}: expected width and height in steps of {CELL}; round them")
    if frames < 1:
        raise DiffilmError(f"clip of {frames} frames: expected at least 1; ask for more frames")


def empty_clip(frames: int, width: int, height: int, channels: int = CHANNELS) -> torch.Tensor:
    """Zeros `(frames, channels, height / 8, width / 8)`: one clip, as the host's samplers take it."""
    check_size(width, height, frames)
    return torch.zeros(frames, channels, height // CELL, width // CELL)


class EmptyLatent(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmEmptyLatent",
            display_name="Empty Diffilm Clip",
            category=CATEGORY,
            description=(
                "An empty clip: one LATENT whose batch entries are the frames. KSampler denoises them together, as "
                "one clip. The host gives it the channels that the model takes."
            ),
            inputs=[
                io.Int.Input(
                    "frames", default=16, min=1, max=4096,
                    tooltip="Frames in the clip. The model that ships was trained on 16.",
                ),
                io.Int.Input("width", default=128, min=16, max=4096, step=8, tooltip="Width in pixels."),
                io.Int.Input("height", default=128, min=16, max=4096, step=8, tooltip="Height in pixels."),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="The empty clip.")],
        )  # fmt: skip

    @classmethod
    def execute(cls, frames: int, width: int, height: int) -> io.NodeOutput:
        return io.NodeOutput({"samples": empty_clip(frames, width, height), "downscale_ratio_spacial": CELL})
