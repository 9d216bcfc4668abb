"""A picture becomes a clip: Stable Video Diffusion in the host."""

from __future__ import annotations

import os
from typing import Any

import torch
from comfy_api.latest import io

from ..diffilm_core.errors import DiffilmError
from ..diffilm_core.sampling.image_to_video import image_conditions
from . import host_svd
from .latent import empty_clip
from .types import CATEGORY

DEFAULT_FILE = "svd.safetensors"
CHANNELS = 4


class LoadImageToVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmLoadImageToVideo",
            display_name="Load Image-to-Video Model",
            category=CATEGORY,
            description=(
                "Loads Stable Video Diffusion (svd, svd_xt) with its image encoder and autoencoder: a single file in "
                "models/checkpoints or models/diffusion_models, or a diffusers folder in models/diffusers."
            ),
            inputs=[
                io.Combo.Input(
                    "model_name",
                    options=host_svd.svd_files() or [DEFAULT_FILE],
                    tooltip="The model. None there yet: put svd.safetensors into models/checkpoints.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="The video UNet, for any sampler."),
                io.ClipVision.Output(display_name="clip_vision", tooltip="The image encoder."),
                io.Vae.Output(display_name="vae", tooltip="The autoencoder that sees frames together."),
            ],
        )

    @classmethod
    def validate_inputs(cls, model_name: str) -> bool | str:
        try:
            host_svd.svd_path(model_name)
        except DiffilmError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, model_name: str) -> str:
        path = host_svd.svd_path(model_name)
        return f"{path} {os.stat(path).st_mtime_ns}"

    @classmethod
    def execute(cls, model_name: str) -> io.NodeOutput:
        return io.NodeOutput(*host_svd.load_svd(host_svd.svd_path(model_name)))


class ImageToVideo(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmImageToVideo",
            display_name="Diffilm Image to Video",
            category=CATEGORY,
            description=(
                "What Stable Video Diffusion is told of the picture that a clip starts from, prepared as in its "
                "training, and an empty clip. For KSampler; Video Linear CFG Guidance lets the guidance grow over the "
                "frames."
            ),
            inputs=[
                io.ClipVision.Input("clip_vision", tooltip="The image encoder that belongs to the model."),
                io.Vae.Input("vae", tooltip="The autoencoder that belongs to the model."),
                io.Image.Input("image", tooltip="The picture that the clip starts from; of several, the first."),
                io.Int.Input(
                    "width", default=1024, min=64, max=4096, step=8,
                    tooltip="Width in pixels. The picture is cropped to the shape and resized.",
                ),
                io.Int.Input("height", default=576, min=64, max=4096, step=8, tooltip="Height in pixels."),
                io.Int.Input(
                    "frames", default=14, min=1, max=4096, tooltip="Frames in the clip: svd knows 14, svd_xt 25."
                ),
                io.Int.Input("fps", default=6, min=1, max=240, tooltip="Frames a second that the motion is meant for."),
                io.Int.Input(
                    "motion_bucket", default=127, min=0, max=1023, tooltip="How much moves: more is more motion."
                ),
                io.Float.Input(
                    "augmentation", default=0.02, min=0.0, max=10.0, step=0.01,
                    tooltip="Noise on the picture before it is encoded. More lets the clip depart further from it.",
                ),
                io.Int.Input(
                    "seed", default=0, min=0, max=0xFFFFFFFFFFFFFFFF, control_after_generate=True,
                    tooltip="Seed of that noise.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="With the picture."),
                io.Conditioning.Output(display_name="negative", tooltip="Without it."),
                io.Latent.Output(display_name="latent", tooltip="The empty clip."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, clip_vision: Any, vae: Any, image: torch.Tensor, width: int, height: int, frames: int, fps: int,
        motion_bucket: int, augmentation: float, seed: int,
    ) -> io.NodeOutput:  # fmt: skip
        latent = empty_clip(frames, width, height, CHANNELS)
        conditions = image_conditions(
            image[0, :, :, :3], *host_svd.picture_networks(clip_vision, vae), width=width, height=height, fps=fps,
            motion_bucket=motion_bucket, augmentation=augmentation, seed=seed,
        )  # fmt: skip
        values = {"fps": fps, "motion_bucket_id": motion_bucket, "augmentation_level": augmentation}
        both = [[[each["context"], {**values, "concat_latent_image": each["concat"][:, :, 0]}]] for each in conditions]
        return io.NodeOutput(*both, {"samples": latent})
