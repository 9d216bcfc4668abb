"""What happens to a VIDEO between decoding and writing."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..diffilm_core import frames
from ..diffilm_core.errors import DiffilmError
from .types import CATEGORY
from .video import StreamVideo, derived_key, key_of, stream_of


class InterpolateVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmInterpolateVideo",
            display_name="Diffilm Interpolate Video",
            category=CATEGORY,
            description="More frames a second at the same length. It never mixes the frames of two shots.",
            inputs=[
                io.Video.Input("video", tooltip="The video, or a list of them."),
                io.Float.Input(
                    "fps", default=24.0, min=0.5, max=240.0, step=0.5, tooltip="Frames a second of the result."
                ),
                io.Combo.Input(
                    "method", options=["blend"], default="blend",
                    tooltip="blend: each new frame is a mixture of its two neighbours.",
                ),
            ],
            outputs=[io.Video.Output(display_name="video", tooltip="The video at the new rate, made when needed.")],
        )  # fmt: skip

    @classmethod
    def execute(cls, video: Any, fps: float, method: str) -> io.NodeOutput:
        stream = frames.interpolate(stream_of(video), fps)
        return io.NodeOutput(StreamVideo(stream, derived_key(key_of(video), "interpolate", method, fps)))


class UpscaleVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmUpscaleVideo",
            display_name="Diffilm Upscale Video",
            category=CATEGORY,
            description="A larger picture, frame by frame. Give a factor, or a width and a height.",
            inputs=[
                io.Video.Input("video", tooltip="The video, or a list of them."),
                io.Float.Input(
                    "scale", default=2.0, min=0.05, max=16.0, step=0.05,
                    tooltip="How many times wider and higher. Not used when width and height are given.",
                ),
                io.Int.Input("width", default=0, min=0, max=16384, step=2, tooltip="Width in pixels; 0: by scale."),
                io.Int.Input("height", default=0, min=0, max=16384, step=2, tooltip="Height in pixels; 0: by scale."),
                io.Combo.Input(
                    "method", options=["bicubic"], default="bicubic",
                    tooltip="bicubic: smooth and quick, adds no detail.",
                ),
            ],
            outputs=[io.Video.Output(display_name="video", tooltip="The larger video, made when needed.")],
        )  # fmt: skip

    @classmethod
    def execute(cls, video: Any, scale: float, width: int, height: int, method: str) -> io.NodeOutput:
        if bool(width) != bool(height):
            raise DiffilmError(f"upscale to {width}x{height}: expected both or neither; set the other one or use scale")
        wanted: dict[str, Any] = {"size": (width, height)} if width else {"scale": scale}
        stream = frames.upscale(stream_of(video), **wanted)
        return io.NodeOutput(StreamVideo(stream, derived_key(key_of(video), "upscale", method, wanted)))
