"""The sampler that ModelScope and Zeroscope were published with."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from . import host_modelscope
from .types import CATEGORY

WHOLE = 0.9999  # from here up the clip starts from noise alone


class DDIM(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmDDIM",
            display_name="Diffilm DDIM",
            category=CATEGORY,
            description=(
                "DDIM exactly as ModelScope and Zeroscope publish it, for SamplerCustom: it starts from noise of unit "
                "variance and stops at the lowest noise that the model was trained on. Other samplers come close."
            ),
            inputs=[
                io.Model.Input("model", tooltip="The model; its noise schedule gives the steps."),
                io.Int.Input("steps", default=50, min=1, max=1000, tooltip="Denoising steps. ModelScope's are 50."),
                io.Float.Input(
                    "denoise", default=1.0, min=0.01, max=1.0, step=0.01,
                    tooltip="Below 1: video-to-video, from the latent clip. How much of it is made anew.",
                ),
            ],
            outputs=[
                io.Sampler.Output(display_name="sampler", tooltip="For SamplerCustom."),
                io.Sigmas.Output(display_name="sigmas", tooltip="The noise levels, for SamplerCustom."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(cls, model: Any, steps: int, denoise: float) -> io.NodeOutput:
        sigmas = host_modelscope.ddim_sigmas(model, steps, denoise)
        return io.NodeOutput(host_modelscope.ddim_sampler(from_noise=denoise > WHOLE), sigmas)
