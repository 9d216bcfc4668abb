"""Prompt travel: a prompt for each range of frames, in one conditioning."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..diffilm_core.errors import DiffilmError
from ..diffilm_core.text.travel import EXAMPLE, PromptTravel
from . import host
from .blend import blended, stacked
from .types import CATEGORY


class PromptTravelNode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmPromptTravel",
            display_name="Diffilm Prompt Travel",
            category=CATEGORY,
            description=(
                "A prompt for each range of a clip's frames, blended from one into the next: each frame gets a text of "
                "its own. For Diffilm's model, ModelScope, AnimateDiff and any image model; context windows take each "
                "frame's text along."
            ),
            inputs=[
                io.Clip.Input("clip", tooltip="The text encoder that belongs to the model."),
                io.String.Input(
                    "schedule", multiline=True, default="0: a fox in the snow\n16: a fox in a meadow",
                    tooltip=f"FRAME: PROMPT, each on a line of its own or after a slash: {EXAMPLE}. From frame 0.",
                ),
                io.String.Input(
                    "negative", multiline=True, default="", tooltip="What no frame must show. May be empty."
                ),
                io.Int.Input("frames", default=32, min=1, max=4096, tooltip="Frames in the clip."),
                io.Int.Input(
                    "blend", default=8, min=0, max=4096,
                    tooltip="Frames over which a prompt turns into the next, before that one's frame. 0: a cut.",
                ),
                io.Float.Input(
                    "fps", default=8.0, min=0.5, max=120.0, step=0.5,
                    tooltip="Frames a second that the motion is meant for, for models that read it (Diffilm's).",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="A text a frame, for the sampler."),
                io.Conditioning.Output(display_name="negative", tooltip="What to avoid, for the sampler."),
            ],
        )  # fmt: skip

    @classmethod
    def validate_inputs(
        cls, schedule: str | None = None, frames: int | None = None, blend: int | None = None
    ) -> bool | str:
        try:
            if schedule is not None:
                travel = PromptTravel.parse(schedule)
                if frames is not None:
                    travel.steps(frames, blend or 0)
        except DiffilmError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, clip: Any, schedule: str, negative: str, frames: int, blend: int, fps: float) -> io.NodeOutput:
        travel = PromptTravel.parse(schedule)
        steps = travel.steps(frames, blend)
        texts = stacked(clip, travel.prompts, fps)
        return io.NodeOutput(blended(texts, steps), host.encode_text(clip, negative, fps))
