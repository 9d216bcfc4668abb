"""Prompts to conditioning, with the frame rate beside them."""

from __future__ import annotations

from comfy_api.latest import io

from . import host
from .types import CATEGORY


class TextEncode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmTextEncode",
            display_name="Diffilm Text Encode",
            category=CATEGORY,
            description=(
                "Encodes what a clip shows and what it must not show, and tells the model the frame rate. "
                "CLIP Text Encode works as well; the model then takes its usual frame rate. Prompts longer than the "
                "text encoder's window are split and joined, nothing is cut off."
            ),
            inputs=[
                io.Clip.Input("clip", tooltip="The text encoder, from Load Diffilm Model."),
                io.String.Input(
                    "prompt", multiline=True, dynamic_prompts=True, default="a fox in the snow",
                    tooltip="What the clip shows. A list (from the Story Splitter) gives a conditioning each.",
                ),
                io.String.Input(
                    "negative", multiline=True, dynamic_prompts=True, default="",
                    tooltip="What the clip must not show. May be empty.",
                ),
                io.Float.Input(
                    "fps", default=8.0, min=0.5, max=120.0, step=0.5,
                    tooltip="Frames a second that the motion is meant for: fewer make larger steps between frames.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="What to show, for the sampler."),
                io.Conditioning.Output(display_name="negative", tooltip="What to avoid, for the sampler."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, clip: object, prompt: str, negative: str, fps: float) -> io.NodeOutput:
        return io.NodeOutput(host.encode_text(clip, prompt, fps), host.encode_text(clip, negative, fps))
