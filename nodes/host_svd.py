"""Stable Video Diffusion as the host's MODEL, CLIP_VISION and VAE."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import comfy.model_management as mm
import folder_paths
import torch
from torch import Tensor

from ..diffilm_core.checkpoints import load_image_encoder, load_unet, load_vae
from ..diffilm_core.checkpoints.inspect import matches
from ..diffilm_core.checkpoints.published import where_to_get
from ..diffilm_core.checkpoints.source import open_source
from ..diffilm_core.errors import DiffilmError
from .host import HostDecoder, check_cancel
from .host_models import make_unet_model, model_classes

DEFAULT_FPS, DEFAULT_MOTION = 6, 127
MEMORY = 1.2  # 5.9 GiB for a fp16 batch of two at 14 x 72 x 128 are 12,300 numbers a latent position

FOLDERS = ("checkpoints", "diffusion_models")
PIPELINES = "diffusers"  # of whole folders
MARK = b"time_mixer.mix_factor"
MAX_HEADER = 100_000_000


def svd_files() -> list[str]:
    """The files with this UNet in the model folders, and diffusers folders, with a slash at their end."""
    names = {
        name
        for folder in FOLDERS
        if folder in folder_paths.folder_names_and_paths
        for name in folder_paths.get_filename_list(folder)
        if name.endswith(".safetensors") and _is_svd(folder_paths.get_full_path(folder, name))
    }
    roots = folder_paths.get_folder_paths(PIPELINES) if PIPELINES in folder_paths.folder_names_and_paths else []
    for root in (each for each in roots if os.path.isdir(each)):
        for name in os.listdir(root):
            weights = os.path.join(root, name, "unet")
            if os.path.isdir(weights) and any(_is_svd(os.path.join(weights, file)) for file in os.listdir(weights)):
                names.add(name + "/")
    return sorted(names)


def svd_path(name: str) -> str:
    """The file or folder of a name that `svd_files` gave. Raises DiffilmError, with where to get one."""
    for folder in (PIPELINES,) if name.endswith("/") else FOLDERS:
        if folder not in folder_paths.folder_names_and_paths:
            continue
        found = [os.path.join(root, name.rstrip("/")) for root in folder_paths.get_folder_paths(folder)]
        for path in found:
            if os.path.exists(path):
                return path
    raise DiffilmError(f"{name} is not there: {where_to_get(('svd', 'svd-xt'))}")


def _is_svd(path: str | None) -> bool:
    try:
        stat = os.stat(path or "")
        return str(path).endswith(".safetensors") and _header_is_svd(str(path), stat.st_mtime_ns, stat.st_size)
    except OSError:
        return False


@lru_cache(maxsize=4096)
def _header_is_svd(path: str, mtime: int, size: int) -> bool:
    """Whether the names at the head of a safetensors file are those of this UNet; the tensors are not read."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        return 0 < length < MAX_HEADER and MARK in file.read(length)


def load_svd(path: str) -> tuple[Any, Any, Any]:
    """MODEL, CLIP_VISION and VAE of a file or folder; None for one of the last two that is not in it."""
    checkpoint = open_source(path)
    there = {layout.role for layout, _ in matches(checkpoint, ("image_encoder", "vae"))[0]}
    unet: Any = load_unet(checkpoint, systems=("svd",), operations=torch.nn)  # as it is stored, 8-bit floats too
    vision = vae = None
    if "image_encoder" in there:
        encoder: Any = load_image_encoder(checkpoint)
        vision = make_svd_clip_vision(encoder.config, encoder.state_dict())
    if "vae" in there:
        autoencoder: Any = load_vae(checkpoint, systems=("svd",))
        vae = make_svd_vae(autoencoder.state_dict(), autoencoder.fingerprint)
    return make_svd_model(unet.config, unet.state_dict(), unet.fingerprint), vision, vae


@lru_cache(maxsize=1)
def _model_class() -> type:
    import comfy.conds
    import comfy.utils

    class StableVideoModel(model_classes().Model):
        """Reads what the host's own SVD_img2vid_Conditioning gives: a picture's latent, frame rate, motion, noise."""

        def extra_conds(self, **kwargs: Any) -> dict:
            out = super().extra_conds(**kwargs)
            noise = kwargs["noise"]
            picture = kwargs.get("concat_latent_image")
            picture = torch.zeros_like(noise) if picture is None else picture
            if picture.shape[1:] != noise.shape[1:]:
                picture = comfy.utils.common_upscale(picture, noise.shape[-1], noise.shape[-2], "bilinear", "center")
            picture = comfy.utils.resize_to_batch_size(picture, noise.shape[0])
            out["c_concat"] = comfy.conds.CONDNoiseShape(picture)
            ids = (
                float(kwargs.get("fps", DEFAULT_FPS)) - 1,
                float(kwargs.get("motion_bucket_id", DEFAULT_MOTION)),
                float(kwargs.get("augmentation_level", 0)),
            )
            out["diffilm_time_ids"] = comfy.conds.CONDConstant(ids)
            return out

    return StableVideoModel


def make_svd_model(core: Any, weights: Mapping[str, Tensor], fingerprint: str, dtype: torch.dtype | None = None) -> Any:
    """The UNet as the host's MODEL; core: its UNetConfig, weights: its tensors in our names."""
    import comfy.latent_formats

    return make_unet_model(
        core,
        weights,
        latent_format=comfy.latent_formats.SD15(),
        fingerprint=fingerprint,
        prediction="edm_v",
        sampling={"sigma_min": 0.002, "sigma_max": 700.0},
        memory=MEMORY,
        dtype=dtype,
        model_class=_model_class(),
    )


def make_svd_clip_vision(config: Any, weights: Mapping[str, Tensor]) -> Any:
    """The image encoder as the host's CLIP_VISION; config: transformers' CLIPVisionConfig, weights in its names."""
    import comfy.clip_vision

    names = (
        "hidden_size", "intermediate_size", "projection_dim", "num_hidden_layers", "num_attention_heads", "image_size",
        "patch_size", "hidden_act", "num_channels", "layer_norm_eps",
    )  # fmt: skip
    shape = {"model_type": "clip_vision_model", **{name: getattr(config, name) for name in names}}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "config.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(shape, file)
        encoder = comfy.clip_vision.ClipVisionModel(path)
    encoder.load_sd(dict(weights))
    return encoder


def make_svd_vae(weights: Mapping[str, Tensor], fingerprint: str) -> Any:
    """The autoencoder as the host's VAE, which knows no convolution after the encoder: it goes into the last one."""
    import comfy.sd

    tensors = {name: tensor.float() for name, tensor in weights.items()}
    quant, bias = tensors.pop("quant_conv.weight")[:, :, 0, 0], tensors.pop("quant_conv.bias")
    last = tensors["encoder.conv_out.weight"]
    tensors["encoder.conv_out.weight"] = torch.einsum("oi,ichw->ochw", quant, last)
    tensors["encoder.conv_out.bias"] = quant @ tensors["encoder.conv_out.bias"] + bias
    vae = comfy.sd.VAE(sd=tensors)
    vae.diffilm_fingerprint = fingerprint
    return vae


def sees_frames_together(vae: Any) -> bool:
    """Whether a VAE's decoder mixes the frames of a batch, as Stable Video Diffusion's does."""
    decoder = getattr(vae.first_stage_model, "decoder", None)
    return type(decoder).__name__ == "VideoDecoder"


def decoder_of(vae: Any) -> HostDecoder | TogetherDecoder:
    """A VAE as what `frames.decode` needs."""
    return TogetherDecoder(vae) if sees_frames_together(vae) else HostDecoder(vae)


class TogetherDecoder:
    """A host VAE whose decoder sees frames together, as what `frames.decode` needs: all rows in one call.

    The host's own call splits a batch by the memory that is free, which here would change the pixels.
    """

    temporal = True

    def __init__(self, vae: Any) -> None:
        self.vae = vae
        self.downscale = int(vae.spacial_compression_decode())

    def decode(self, z: Tensor) -> Tensor:
        check_cancel()
        vae = self.vae
        needed = vae.memory_used_decode(z.shape, vae.vae_dtype) * z.shape[0]
        mm.load_models_gpu([vae.patcher], memory_required=needed)
        return vae.first_stage_model.decode(z.to(vae.device, vae.vae_dtype)).float().cpu()


def picture_networks(clip_vision: Any, vae: Any) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """What the core's `image_conditions` encodes and embeds with. Raises DiffilmError where one is missing."""
    if clip_vision is None or vae is None:
        raise DiffilmError(
            "no image encoder or no autoencoder: the model file has none; take the whole svd.safetensors, or connect a "
            "CLIP_VISION and a VAE that belong to the model"
        )

    def encode(pixels: Tensor) -> Tensor:
        return vae.encode(pixels.movedim(1, -1) / 2 + 0.5)

    def embed(pixels: Tensor) -> Tensor:
        mm.load_model_gpu(clip_vision.patcher)
        out = clip_vision.model(pixel_values=pixels.to(clip_vision.load_device), intermediate_output=-2)
        return out[2].float().cpu()

    return encode, embed
