"""Load published video models from ComfyUI's model folders."""

from __future__ import annotations

from comfy_api.latest import io

from ..diffilm_core.errors import DiffilmError
from . import host, host_video
from .types import CATEGORY


class LoadVideoUNet(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmLoadVideoUNet",
            display_name="Load Video UNet",
            category=CATEGORY,
            description=(
                "Loads the UNet of a published video model and sees by itself which it is: ModelScope, Zeroscope or "
                "Stable Video Diffusion, in any published layout."
            ),
            inputs=[
                io.Combo.Input(
                    "unet_name",
                    options=host_video.video_files(),
                    tooltip=(
                        "A video UNet in models/diffusion_models, models/checkpoints or models/diffilm. None there "
                        "yet? `diffilm fetch modelscope` brings one into models/diffusion_models."
                    ),
                ),
                io.Combo.Input(
                    "weight_dtype",
                    options=list(host_video.WEIGHT_DTYPES),
                    default="default",
                    tooltip="How the weights are kept. fp8 takes half the memory of fp16 and costs some quality.",
                ),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="The video UNet, for any sampler.")],
        )

    @classmethod
    def _path(cls, unet_name: str) -> str:
        return host_video.file_path(unet_name, host.FOLDERS, host_video.VIDEO_MODELS, "unet")

    @classmethod
    def validate_inputs(cls, unet_name: str = "") -> bool | str:
        try:
            cls._path(unet_name)
        except DiffilmError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, unet_name: str, weight_dtype: str) -> str:
        return f"{host.file_stamp(unet_name, host.FOLDERS)} {weight_dtype}"

    @classmethod
    def execute(cls, unet_name: str, weight_dtype: str) -> io.NodeOutput:
        host.check_cancel()
        return io.NodeOutput(host_video.load_video_unet(cls._path(unet_name), weight_dtype))


class LoadVAE(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmLoadVAE",
            display_name="Load Published VAE",
            category=CATEGORY,
            description=(
                "Loads the autoencoder of a published video model in any layout, such as ModelScope's "
                "VQGAN_autoencoder.pth, which the host's Load VAE does not take."
            ),
            inputs=[
                io.Combo.Input(
                    "vae_name",
                    options=host_video.vae_files(),
                    tooltip=(
                        "An autoencoder in models/vae. None there yet? `diffilm fetch modelscope` brings ModelScope's, "
                        "`diffilm fetch sd-vae` a small one that fits it."
                    ),
                ),
            ],
            outputs=[io.Vae.Output(display_name="vae", tooltip="The autoencoder, for any VAE node.")],
        )

    @classmethod
    def _path(cls, vae_name: str) -> str:
        return host_video.file_path(vae_name, host_video.VAE_FOLDERS, host_video.VAE_MODELS, "vae")

    @classmethod
    def validate_inputs(cls, vae_name: str = "") -> bool | str:
        try:
            cls._path(vae_name)
        except DiffilmError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, vae_name: str) -> str:
        return host.file_stamp(vae_name, host_video.VAE_FOLDERS)

    @classmethod
    def execute(cls, vae_name: str) -> io.NodeOutput:
        host.check_cancel()
        return io.NodeOutput(host_video.load_host_vae(cls._path(vae_name)))
