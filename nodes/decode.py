"""Latents to a lazy VIDEO."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..diffilm_core import frames as stages
from ..diffilm_core.errors import DiffilmError
from . import host, host_svd
from .types import CATEGORY
from .video import StreamVideo


class DecodeVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmDecodeVideo",
            display_name="Diffilm Decode Video",
            category=CATEGORY,
            description=(
                "A clip's latents as a VIDEO. Nothing is decoded yet: the frames are made a few at a time when a later "
                "node asks for them, so that a long movie never lies in memory."
            ),
            inputs=[
                io.Vae.Input("vae", tooltip="The autoencoder that belongs to the model."),
                io.Latent.Input("latent", tooltip="One clip: the batch entries are its frames."),
                io.Float.Input("fps", default=8.0, min=0.5, max=240.0, step=0.5, tooltip="Frames a second."),
                io.Int.Input(
                    "batch", default=4, min=1, max=256,
                    tooltip="Frames decoded at once. More is faster on a large GPU and takes more memory.",
                ),
            ],
            outputs=[io.Video.Output(display_name="video", tooltip="The clip, decoded when it is needed.")],
        )  # fmt: skip

    @classmethod
    def execute(cls, vae: Any, latent: dict, fps: float, batch: int) -> io.NodeOutput:
        samples = latent["samples"]
        if samples.ndim == 5 and samples.shape[0] == 1:
            samples = samples[0].movedim(0, 1)
        if samples.ndim != 4:
            raise DiffilmError(
                f"latent of shape {tuple(samples.shape)}: expected one clip (frames, channels, height, width); "
                "connect a sampler's LATENT"
            )
        key = host.digest("decode", host.vae_key(vae), samples, fps, batch)
        stream = stages.decode(host_svd.decoder_of(vae), samples.movedim(0, 1), fps, batch=batch)
        return io.NodeOutput(StreamVideo(stages.spool(stream, host.temp_directory()), key))
