"""What happens to a VIDEO between decoding and writing: more frames a second, more pixels."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from ..diffilm_core import frames
from ..diffilm_core.errors import DiffilmError
from ..diffilm_core.frames.cuts import with_cuts
from ..diffilm_core.frames.fit import Fit
from ..diffilm_core.frames.steady import steady as steadied
from ..diffilm_core.models.interpolation import load_interpolator
from ..diffilm_core.models.upscaling import load_upscaler, own_scale
from . import host
from .host_finishing import HostInterpolator, HostUpscaler
from .types import CATEGORY
from .video import StreamVideo, derived_key, key_of, stream_of

OURS = "diffilm"
CLIP_TIP = "A VIDEO, or the frames of one as IMAGE."
FPS_TIP = "Frames a second of an IMAGE; a VIDEO has its own."
CUTS_TIP = (
    "Where the video's cuts are not known (a loaded file, images), look for them first: detect. Nothing is ever "
    "mixed across a cut. none: it is one shot."
)
TILE_TIP = "Work in tiles of this many pixels to save memory; 0: whole frames, and smaller only where memory runs out."
InterpModel = io.Custom("INTERP_MODEL")


def clip_input(name: str = "video") -> Any:
    return io.MultiType.Input(name, types=[io.Video, io.Image], tooltip=CLIP_TIP)


def clip_of(video: Any, source_fps: float, cuts: str = "none") -> frames.FrameStream:
    """The stream of a VIDEO or of IMAGE frames; "detect" looks for its cuts where they are not known."""
    stream = frames.from_tensor(video, source_fps) if isinstance(video, torch.Tensor) else stream_of(video)
    if cuts == "detect" and not isinstance(video, StreamVideo):
        stream = with_cuts(stream, progress=host.Progress(stream.frames))
    return stream


def used(model: Any, fit: Fit) -> Any:
    """What of a network decides the pixels: its weights, and the batch and tiles to which memory brought it."""
    return None if model is None else (model.fingerprint, model.batch, fit.settings())


class InterpolateVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmInterpolateVideo",
            display_name="Diffilm Interpolate Video",
            category=CATEGORY,
            description="More frames a second at the same length. It never mixes the frames of two shots.",
            inputs=[
                clip_input(),
                io.Float.Input(
                    "fps", default=24.0, min=0.5, max=240.0, step=0.5, tooltip="Frames a second of the result."
                ),
                io.Combo.Input(
                    "method", options=["blend", OURS], default=OURS,
                    tooltip=(
                        "diffilm: the network that ships with the pack. blend: a mixture of the two neighbours, quick. "
                        "Not used where interp_model is connected."
                    ),
                ),
                InterpModel.Input(
                    "interp_model", optional=True, tooltip="RIFE or FILM, from Load Frame Interpolation Model."
                ),
                io.Float.Input(
                    "source_fps", default=8.0, min=0.5, max=240.0, step=0.5, optional=True, tooltip=FPS_TIP
                ),
                io.Combo.Input("cuts", options=["detect", "none"], default="detect", optional=True, tooltip=CUTS_TIP),
                io.Int.Input("tile", default=0, min=0, max=8192, step=32, optional=True, tooltip=TILE_TIP),
            ],
            outputs=[io.Video.Output(display_name="video", tooltip="The video at the new rate, made when needed.")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, video: Any, fps: float, method: str, interp_model: Any = None, source_fps: float = 8.0,
        cuts: str = "detect", tile: int = 0,
    ) -> io.NodeOutput:  # fmt: skip
        model: Any = None
        if interp_model is not None:
            model = HostInterpolator(interp_model)
        elif method == OURS:
            model = load_interpolator(device=host.device())
        stream, fit = clip_of(video, source_fps, cuts), Fit(tile=tile or None)
        made = frames.interpolate(stream, fps, model=model, fit=fit)
        return io.NodeOutput(
            StreamVideo(made, lambda: derived_key(key_of(video), "interpolate", fps, used(model, fit)))
        )


class UpscaleVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmUpscaleVideo",
            display_name="Diffilm Upscale Video",
            category=CATEGORY,
            description="A larger picture. Give a factor, or a width and a height.",
            inputs=[
                clip_input(),
                io.Float.Input(
                    "scale", default=2.0, min=0.05, max=16.0, step=0.05,
                    tooltip="How many times wider and higher. Not used when width and height are given.",
                ),
                io.Int.Input("width", default=0, min=0, max=16384, step=2, tooltip="Width in pixels; 0: by scale."),
                io.Int.Input("height", default=0, min=0, max=16384, step=2, tooltip="Height in pixels; 0: by scale."),
                io.Combo.Input(
                    "method", options=["bicubic", OURS], default=OURS,
                    tooltip=(
                        "diffilm: the networks that ship with the pack, 2x or 4x, which see neighbouring frames. "
                        "bicubic: smooth and quick, adds no detail. Not used where upscale_model is connected."
                    ),
                ),
                io.UpscaleModel.Input(
                    "upscale_model", optional=True, tooltip="ESRGAN and others, from Load Upscale Model."
                ),
                io.Float.Input(
                    "strength", default=0.0, min=0.0, max=1.0, step=0.05, optional=True,
                    tooltip=(
                        "How much damage the diffilm method repairs: blur, noise, compression. 0: the video is clean, "
                        "1: it is badly damaged."
                    ),
                ),
                io.Float.Input(
                    "steady", default=0.3, min=0.0, max=0.95, step=0.05, optional=True,
                    tooltip=(
                        "Against flicker of upscalers that see one frame at a time: how much of the frame before, "
                        "moved along with the picture, is mixed in. 0: nothing."
                    ),
                ),
                io.Float.Input(
                    "source_fps", default=8.0, min=0.5, max=240.0, step=0.5, optional=True, tooltip=FPS_TIP
                ),
                io.Combo.Input("cuts", options=["detect", "none"], default="detect", optional=True, tooltip=CUTS_TIP),
                io.Int.Input("tile", default=0, min=0, max=8192, step=32, optional=True, tooltip=TILE_TIP),
            ],
            outputs=[io.Video.Output(display_name="video", tooltip="The larger video, made when needed.")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, video: Any, scale: float, width: int, height: int, method: str, upscale_model: Any = None,
        strength: float = 0.0, steady: float = 0.3, source_fps: float = 8.0, cuts: str = "detect", tile: int = 0,
    ) -> io.NodeOutput:  # fmt: skip
        if bool(width) != bool(height):
            raise DiffilmError(f"upscale to {width}x{height}: expected both or neither; set the other one or use scale")
        wanted: dict[str, Any] = {"size": (width, height)} if width else {"scale": scale}
        stream, fit = clip_of(video, source_fps), Fit(tile=tile or None)
        model: Any = None
        if upscale_model is not None:
            model = HostUpscaler(upscale_model)
        elif method == OURS:
            scale_of_ours = own_scale(stream, wanted.get("scale"), wanted.get("size"))
            model = load_upscaler(scale=scale_of_ours, strength=strength, device=host.device())
        if steady > 0 or getattr(model, "radius", 0) > 0:
            stream = clip_of(video, source_fps, cuts)
        made = steadied(frames.upscale(stream, **wanted, model=model, fit=fit), steady)
        return io.NodeOutput(
            StreamVideo(made, lambda: derived_key(key_of(video), "upscale", wanted, used(model, fit), steady))
        )
