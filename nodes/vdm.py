"""Video Diffusion Models: load, caption, empty pixels; and any video as a GIF."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from comfy_api.latest import io, ui

from ..diffilm_core import frames as stages
from ..diffilm_core.checkpoints import load_unet
from ..diffilm_core.errors import DiffilmError
from ..diffilm_core.text.bert import ADVICE, NAME, BertEncoder, load_bert
from . import host, host_vdm
from .movie import metadata_of
from .types import CATEGORY
from .video import stream_of

NO_MODEL = (
    "No weights of Video Diffusion Models were published. Train some, with diffilm train configs/vdm.toml or "
    "video-diffusion-pytorch, and put its vdm.safetensors or the trainer's model-N.pt into models/diffusion_models."
)
NO_BERT = f"No BERT in models/text_encoders/{NAME}: {ADVICE}."


def missing_model(name: str) -> str | None:
    """What to say where that file is not there."""
    found = host.find_file(name, host.FOLDERS)
    return None if found else f"{repr(name) + ' is not there. ' if name else ''}{NO_MODEL}"


def missing_bert(name: str) -> str | None:
    """What to say where that folder is not there."""
    return None if host_vdm.bert_folder(name) else f"{repr(name) + ' is not there. ' if name else ''}{NO_BERT}"


class LoadVDM(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmLoadVDM",
            display_name="Load Video Diffusion Model",
            category=CATEGORY,
            description=(
                "Loads a UNet of Video Diffusion Models (Ho et al. 2022) from a file of video-diffusion-pytorch's "
                "trainer, any version. It works on pixels: the VAE hands them through. Sample with euler_ancestral and "
                "the scheduler simple: these are the published steps, 1000 of them."
            ),
            inputs=[
                io.Combo.Input(
                    "model_name", options=host_vdm.vdm_files(),
                    tooltip="The trainer's model-N.pt, in models/diffusion_models.",
                ),
                io.Combo.Input(
                    "keep_in_range", options=["clip", "dynamic threshold"], default="clip",
                    tooltip="What keeps the guided picture between black and white at every step.",
                ),
                io.Float.Input(
                    "percentile", default=0.9, min=0.01, max=1.0, step=0.01,
                    tooltip="Of the dynamic threshold: this share of the values lies within it.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="The video UNet, for any sampler."),
                io.Vae.Output(display_name="vae", tooltip="Hands the sampled pixels through, for the decoder."),
            ],
        )  # fmt: skip

    @classmethod
    def validate_inputs(cls, model_name: str = "") -> bool | str:
        return missing_model(model_name) or True

    @classmethod
    def fingerprint_inputs(cls, model_name: str, **inputs: Any) -> str:
        return f"{host.file_stamp(model_name, host.FOLDERS)} {sorted(inputs.items())}"

    @classmethod
    def execute(cls, model_name: str, keep_in_range: str, percentile: float) -> io.NodeOutput:
        path = host.find_file(model_name, host.FOLDERS)
        if path is None:
            raise DiffilmError(str(missing_model(model_name)))
        unet: Any = load_unet(path, systems=("vdm",))
        limit = None if keep_in_range == "clip" else percentile
        model = host_vdm.make_vdm_model(unet.config, unet.state_dict(), unet.fingerprint, percentile=limit)
        return io.NodeOutput(model, host_vdm.pixel_vae())


class EncodeCaption(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmEncodeCaption",
            display_name="Encode Caption (BERT)",
            category=CATEGORY,
            description=(
                "Encodes a caption with BERT for Video Diffusion Models: one vector, the mean over its words. Negative "
                "is the model's own null caption, which guidance needs; a model that was trained without dropping "
                "captions has learned nothing for it, so use cfg 1 there."
            ),
            inputs=[
                io.Combo.Input(
                    "bert", options=host_vdm.bert_folders(),
                    tooltip=f"A folder in models/text_encoders with config.json, vocab.txt and weights: {NAME}.",
                ),
                io.String.Input(
                    "caption", multiline=True, dynamic_prompts=True, default="a fox in the snow",
                    tooltip="What the clip shows.",
                ),
                io.Combo.Input(
                    "pooling", options=["mean", "cls"], default="mean",
                    tooltip="The mean over the words, or the [CLS] vector for a model with text_use_bert_cls.",
                ),
            ],
            outputs=[
                io.Conditioning.Output(display_name="positive", tooltip="The caption, for the sampler."),
                io.Conditioning.Output(display_name="negative", tooltip="The null caption, for the sampler."),
            ],
        )  # fmt: skip

    @classmethod
    def validate_inputs(cls, bert: str = "") -> bool | str:
        return missing_bert(bert) or True

    @classmethod
    def execute(cls, bert: str, caption: str, pooling: str) -> io.NodeOutput:
        folder = host_vdm.bert_folder(bert)
        if folder is None:
            raise DiffilmError(str(missing_bert(bert)))
        host.check_cancel()
        vector = _bert(folder, pooling == "cls").encode([caption])
        return io.NodeOutput([[vector, {"diffilm_drop": 0.0}]], [[vector, {"diffilm_drop": 1.0}]])


@lru_cache(maxsize=1)
def _bert(folder: str, cls: bool) -> BertEncoder:
    return load_bert(folder, cls=cls)


class EmptyPixels(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmEmptyPixels",
            display_name="Empty Pixel Clip",
            category=CATEGORY,
            description="An empty clip for a model that works on pixels: one LATENT, its batch entries the frames.",
            inputs=[
                io.Int.Input(
                    "frames", default=10, min=1, max=4096, tooltip="Frames in the clip; as many as in training is best."
                ),
                io.Int.Input("width", default=64, min=8, max=1024, step=8, tooltip="Width in pixels."),
                io.Int.Input("height", default=64, min=8, max=1024, step=8, tooltip="Height in pixels."),
            ],
            outputs=[io.Latent.Output(display_name="latent", tooltip="The empty clip.")],
        )  # fmt: skip

    @classmethod
    def execute(cls, frames: int, width: int, height: int) -> io.NodeOutput:
        if min(frames, width, height) < 1:
            raise DiffilmError(f"clip of {frames} frames of {width}x{height}: expected at least 1 each; ask for more")
        return io.NodeOutput({"samples": torch.zeros(frames, 3, height, width), "downscale_ratio_spacial": 1})


class SaveGif(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmSaveGIF",
            display_name="Save GIF",
            category=CATEGORY,
            description="Writes a video as a GIF that repeats, with a palette made for it, into the output folder.",
            is_output_node=True,
            inputs=[
                io.Video.Input("video", tooltip="The clip."),
                io.String.Input(
                    "name", default="diffilm/clip",
                    tooltip="Its name in the output folder; a number is added, so that no file is overwritten.",
                ),
                io.Int.Input(
                    "frame_ms", default=120, min=0, max=10000, step=10,
                    tooltip="How long each frame is shown, in milliseconds. 0: the video's own frame rate.",
                ),
            ],
            outputs=[],
        )  # fmt: skip

    @classmethod
    def execute(cls, video: Any, name: str, frame_ms: int) -> io.NodeOutput:
        stream = stream_of(video)
        if frame_ms:
            plain = stream
            stream = plain.with_frames(lambda: iter(plain), fps=Fraction(1000, frame_ms))
        folder, stem, counter, subfolder = host.save_path(name, stream.width, stream.height)
        file = f"{stem}_{counter:05}_.gif"
        progress = host.Progress(stream.frames)
        stages.write(stream, Path(folder, file), progress=progress, metadata=metadata_of(cls))
        return io.NodeOutput(ui=ui.PreviewVideo([ui.SavedResult(file, subfolder, io.FolderType.output)]))
