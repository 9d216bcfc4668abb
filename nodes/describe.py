"""A video in words, shot by shot."""

from __future__ import annotations

import json
from typing import Any

from comfy_api.latest import io

from ..diffilm_core.story.describe import describe, load_captioner
from . import host
from .stages import CUTS_TIP, FPS_TIP, clip_input, clip_of
from .types import CATEGORY, Storyboard


class DescribeVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmDescribeVideo",
            display_name="Describe Video",
            category=CATEGORY,
            description="A video in words, shot by shot, by a captioning model of your own (BLIP, GIT and others).",
            inputs=[
                clip_input(),
                io.String.Input(
                    "captioner", default="",
                    tooltip="The folder of a transformers model that captions: its path, or its name in models/LLM.",
                ),
                io.Int.Input("frames", default=3, min=1, max=16, tooltip="Frames of each shot that are looked at."),
                io.Combo.Input("cuts", options=["detect", "none"], default="detect", optional=True, tooltip=CUTS_TIP),
                io.Float.Input(
                    "source_fps", default=8.0, min=0.5, max=240.0, step=0.5, optional=True, tooltip=FPS_TIP
                ),
            ],
            outputs=[
                io.String.Output(display_name="text", tooltip="The film as prose."),
                Storyboard.Output(display_name="storyboard", tooltip="A storyboard that films it again."),
                io.String.Output(display_name="json", tooltip="Each shot's caption, frames and seconds."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, video: Any, captioner: str, frames: int, cuts: str = "detect", source_fps: float = 8.0
    ) -> io.NodeOutput:
        model = load_captioner(host.folder_of(captioner, "LLM"), device=host.device())
        stream = clip_of(video, source_fps, cuts)
        found = describe(stream, model, frames=frames, progress=host.Progress())
        return io.NodeOutput(found.text, found.storyboard(), json.dumps(found.to_dict(), indent=2))
