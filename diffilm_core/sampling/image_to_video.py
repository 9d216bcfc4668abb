"""A picture becomes a clip: Stable Video Diffusion's conditions and sampling as published (Blattmann et al. 2023)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from ..errors import DiffilmError
from .edm import EDMSchedule
from .noise import MAX_SEED, cpu_generator
from .run import sample_clip
from .samplers import Callback

if TYPE_CHECKING:
    from ..frames import FrameStream
    from ..models.temporal_decoder import TemporalAutoencoder
    from ..models.unet import UNet

CLIP_SIZE = 224
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def crop_to(image: Tensor, width: int, height: int) -> Tensor:
    """The middle of pictures `(b, 3, h, w)` that has the aspect of width x height, not resized."""
    have_h, have_w = image.shape[2:]
    wanted = width / height
    keep_w = min(have_w, max(1, round(have_h * wanted)))
    keep_h = min(have_h, max(1, round(have_w / wanted)))
    top, left = (have_h - keep_h) // 2, (have_w - keep_w) // 2
    return image[:, :, top : top + keep_h, left : left + keep_w]


def clip_pixels(image: Tensor, size: int = CLIP_SIZE) -> Tensor:
    """Pictures `(b, 3, h, w)` in [0, 1] as SVD's image encoder takes them: `(b, 3, size, size)`, normalised.

    Blurred as much as they shrink, then bicubic with the corners kept: the resizing that it was trained with.
    """
    sigmas = [max((side / size - 1) / 2, 0.001) for side in image.shape[2:]]
    kernels = [_gaussian(sigma).to(image) for sigma in sigmas]
    pad_h, pad_w = (kernel.numel() // 2 for kernel in kernels)
    channels = image.shape[1]
    x = F.pad(image * 2 - 1, (pad_w, pad_w, pad_h, pad_h), mode="reflect")
    x = F.conv2d(x, kernels[1].expand(channels, 1, 1, -1), groups=channels)
    x = F.conv2d(x, kernels[0].view(-1, 1).expand(channels, 1, -1, 1), groups=channels)
    x = F.interpolate(x, (size, size), mode="bicubic", align_corners=True)
    mean, std = (torch.tensor(each).to(x).view(-1, 1, 1) for each in (CLIP_MEAN, CLIP_STD))
    return ((x + 1) / 2 - mean) / std


def _gaussian(sigma: float) -> Tensor:
    """A blur of two sigmas each way, of an odd number of taps that sum to 1."""
    taps = int(max(4 * sigma, 3)) | 1
    weights = torch.exp(-((torch.arange(taps) - taps // 2).double() ** 2) / (2 * sigma**2))
    return (weights / weights.sum()).float()


@torch.no_grad()
def image_conditions(
    image: Tensor,
    encode: Callable[[Tensor], Tensor],
    embed: Callable[[Tensor], Tensor],
    *,
    width: int,
    height: int,
    fps: float = 6,
    motion_bucket: float = 127,
    augmentation: float = 0.02,
    seed: int = 0,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the UNet is told of a picture `(h, w, 3)` in [0, 1], and the same without it: cond and uncond.

    The picture is cropped to the aspect and resized; noise of level `augmentation` (of pixels in [-1, 1]) is drawn at
    seed + 1. encode: pixels `(1, 3, h, w)` about [-1, 1] to the unscaled mean latent. embed: `clip_pixels` to `(1, d)`.
    """
    picture = crop_to(rearrange(image.float().cpu(), "h w c -> 1 c h w"), width, height)
    embedded = embed(clip_pixels(picture))[:, None]
    if picture.shape[2:] != (height, width):
        picture = F.interpolate(picture, (height, width), mode="bicubic", antialias=True).clamp(0, 1)
    noise = torch.randn(picture.shape, generator=cpu_generator((seed + 1) & MAX_SEED))
    latent = encode(picture * 2 - 1 + augmentation * noise)
    concat = rearrange(latent.float(), "1 c h w -> 1 c 1 h w")
    ids = torch.tensor([[fps - 1, motion_bucket, augmentation]], dtype=torch.float32)
    cond = {"context": embedded, "concat": concat, "time_ids": ids}
    return cond, {"context": torch.zeros_like(embedded), "concat": torch.zeros_like(concat), "time_ids": ids}


def picture_networks(
    vae: TemporalAutoencoder, image_encoder: nn.Module
) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
    """What `image_conditions` encodes and embeds with, each in its network's own dtype and place."""
    encoder, embedder = next(vae.parameters()), next(image_encoder.parameters())
    return (
        lambda pixels: vae.encode_image(pixels.to(encoder)),
        lambda pixels: image_encoder(pixels.to(embedder)).image_embeds,
    )


def _check(image: Tensor, vae: Any, frames: int, width: int, height: int, chunk: int) -> None:
    if image.ndim != 3 or image.shape[2] != 3:
        raise DiffilmError(
            f"a picture of shape {tuple(image.shape)}, expected (height, width, 3); pass one RGB picture"
        )
    if frames < 1 or chunk < 1:
        raise DiffilmError(f"{frames} frames decoded {chunk} at a time, expected both at least 1")
    if width < 1 or height < 1 or width % vae.downscale or height % vae.downscale:
        raise DiffilmError(f"size {width}x{height}: width and height must divide by {vae.downscale}; use 1024x576")


def image_to_video(
    image: Tensor,
    unet: UNet,
    vae: TemporalAutoencoder,
    image_encoder: nn.Module,
    *,
    frames: int = 14,
    width: int = 1024,
    height: int = 576,
    fps: float = 6,
    motion_bucket: float = 127,
    augmentation: float = 0.02,
    steps: int = 25,
    cfg: tuple[float, float] = (1.0, 2.5),
    seed: int = 0,
    sampler: str = "euler",
    chunk: int = 14,
    callback: Callback | None = None,
) -> FrameStream:
    """A clip that starts from the picture `(h, w, 3)` in [0, 1], as a stream of frames at `fps`.

    The published settings: EDM noise levels .002 to 700 in Karras' spacing, v-prediction, guidance growing over the
    frames. SVD was trained on 14 frames, SVD-XT on 25 (30 steps). `chunk` frames are decoded together: part of what
    decides the pixels. An autoencoder in float16 overflows: load it in float32 or bfloat16. Raises DiffilmError on
    settings that do not fit, before the first network is called.
    """
    from ..frames.decode import decode

    _check(image, vae, frames, width, height, chunk)
    cond, uncond = image_conditions(
        image, *picture_networks(vae, image_encoder), width=width, height=height, fps=fps, motion_bucket=motion_bucket,
        augmentation=augmentation, seed=seed,
    )  # fmt: skip
    shape = (unet.config.out_channels, frames, height // vae.downscale, width // vae.downscale)
    latents = sample_clip(
        unet, EDMSchedule.between(), "v", cond, uncond, shape=shape, seed=seed, steps=steps, cfg=cfg, sampler=sampler,
        spacing="karras", callback=callback,
    )  # fmt: skip
    return decode(vae, latents, fps, batch=chunk)
