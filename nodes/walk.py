"""A walk from prompt to prompt: texts and noise of each frame, for any image model."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io
from torch import Tensor

from ..diffilm_core.errors import DiffilmError
from ..diffilm_core.frames import as_fps
from ..diffilm_core.sampling import initial_noise
from ..diffilm_core.walk import Walk, slerp
from . import host
from .blend import blended, stacked
from .latent import CELL, empty_clip
from .types import CATEGORY
from .video import audio_of


class WalkNoise:
    """The host's NOISE: of each frame, between the noises of two seeds."""

    def __init__(self, seeds: tuple[int, ...], steps: list[tuple[int, int, float]]) -> None:
        self.seeds, self.steps, self.seed = seeds, steps, seeds[steps[0][0]]

    def generate_noise(self, input_latent: dict) -> Tensor:
        samples = input_latent["samples"]
        if samples.ndim != 4 or samples.shape[0] != len(self.steps):
            raise DiffilmError(
                f"noise of a walk's {len(self.steps)} frames for a latent of shape {tuple(samples.shape)}: connect the "
                "latent of the same Prompt Walk"
            )
        wanted = {index for first, second, _ in self.steps for index in (first, second)}
        size = (1, samples.shape[1], 1, *samples.shape[2:])
        ends = {index: initial_noise(size, self.seeds[index])[:, :, 0] for index in wanted}
        return torch.cat([slerp(ends[first], ends[second], share) for first, second, share in self.steps])


def numbers(text: str) -> list[int]:
    """Whole numbers apart by commas or spaces. Raises DiffilmError."""
    try:
        return [int(part) for part in text.replace(",", " ").split()]
    except ValueError as error:
        raise DiffilmError(f"seeds {text!r}: expected whole numbers with commas, one for each prompt") from error


class PromptWalk(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmPromptWalk",
            display_name="Diffilm Prompt Walk",
            category=CATEGORY,
            description=(
                "Walks from prompt to prompt and from seed to seed, a picture a frame, for any image model and for "
                "Diffilm's: texts are blended on a line, noise on the sphere. Connected music moves the walk with its "
                "drums. Sample with SamplerCustomAdvanced; the lists make it run once a batch of frames."
            ),
            inputs=[
                io.Clip.Input("clip", tooltip="The text encoder that belongs to the model."),
                io.String.Input(
                    "prompts", multiline=True,
                    default="a fox in the snow\na bee over a flower in the meadow\nan owl in the forest at night",
                    tooltip="Two or more prompts, each on a line of its own.",
                ),
                io.String.Input(
                    "seeds", default="1, 2, 3", tooltip="The seed of each prompt's noise. Empty: counted from 0."
                ),
                io.String.Input("negative", multiline=True, default="", tooltip="What no frame must show."),
                io.Int.Input(
                    "frames", default=24, min=0, max=4096,
                    tooltip="Frames from each prompt to the next. 0: the music's length, shared evenly.",
                ),
                io.Float.Input("fps", default=12.0, min=0.5, max=120.0, step=0.5, tooltip="Frames a second."),
                io.Int.Input("width", default=128, min=16, max=4096, step=8, tooltip="Width in pixels."),
                io.Int.Input("height", default=128, min=16, max=4096, step=8, tooltip="Height in pixels."),
                io.Int.Input("batch", default=8, min=1, max=256, tooltip="Frames that are sampled together."),
                io.Float.Input(
                    "smooth", default=0.0, min=0.0, max=1.0, step=0.05, tooltip="0 follows the drums, 1 walks evenly."
                ),
                io.Audio.Input("audio", optional=True, tooltip="Music that moves the walk. Without it: evenly."),
            ],
            outputs=[
                io.Conditioning.Output(
                    display_name="positive", is_output_list=True, tooltip="A text a frame, one item a batch."
                ),
                io.Conditioning.Output(display_name="negative", tooltip="What to avoid, for the guider."),
                io.Noise.Output(display_name="noise", is_output_list=True, tooltip="The noise of each batch."),
                io.Latent.Output(display_name="latent", is_output_list=True, tooltip="Each batch, empty."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, clip: Any, prompts: str, seeds: str, negative: str, frames: int, fps: float, width: int, height: int,
        batch: int, smooth: float, audio: dict | None = None,
    ) -> io.NodeOutput:  # fmt: skip
        music = audio_of(audio)
        lines = [line for line in prompts.splitlines() if line.strip()]
        if not frames and music is None:
            raise DiffilmError("a walk of 0 frames and no music: connect audio, or give the frames of a leg")
        walk = Walk.plan(lines, numbers(seeds) or 0, frames or None, as_fps(fps), music)
        places = walk.steps(walk.times(music, smooth=smooth))
        steps = [(leg, leg + 1, place) for leg, place in places]
        parts = [steps[start : start + batch] for start in range(0, len(steps), batch)]
        texts = stacked(clip, walk.prompts)
        avoided = host.encode_text(clip, negative)
        for _, values in avoided:
            values["diffilm_pictures"] = True
        empty = [{"samples": empty_clip(len(part), width, height), "downscale_ratio_spacial": CELL} for part in parts]
        return io.NodeOutput(
            [blended(texts, part, diffilm_pictures=True) for part in parts],
            avoided,
            [WalkNoise(walk.seeds, part) for part in parts],
            empty,
        )
