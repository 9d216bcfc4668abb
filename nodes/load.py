"""Load a Diffilm model file as the host's MODEL, CLIP and VAE."""

from __future__ import annotations

import os

from comfy_api.latest import io

from ..diffilm_core.bundle import load_model
from . import host, host_models
from .types import CATEGORY


class LoadModel(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmLoadModel",
            display_name="Load Diffilm Model",
            category=CATEGORY,
            description=(
                "Loads a text-to-video model with its text encoder and autoencoder. The first entry ships with the "
                "pack; others are Diffilm files in models/diffilm, models/checkpoints or models/diffusion_models."
            ),
            inputs=[
                io.Combo.Input(
                    "model_name",
                    options=host.model_files(),
                    default=host.SHIPPED,
                    tooltip="The model file. The small one that ships with the pack needs no download.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="The video UNet, for any sampler."),
                io.Clip.Output(display_name="clip", tooltip="The text encoder that belongs to the model."),
                io.Vae.Output(display_name="vae", tooltip="The autoencoder that belongs to the model."),
            ],
        )

    @classmethod
    def fingerprint_inputs(cls, model_name: str) -> str:
        path = host.model_path(model_name)
        if path is None:
            return model_name
        files = [os.path.join(path, name) for name in sorted(host.PARTS)] if os.path.isdir(path) else [path]
        return " ".join(f"{file} {os.stat(file).st_mtime_ns}" for file in files)

    @classmethod
    def execute(cls, model_name: str) -> io.NodeOutput:
        model = load_model(host.model_path(model_name), device="cpu")
        return io.NodeOutput(host_models.make_model(model), host_models.make_clip(model), host_models.make_vae(model))
