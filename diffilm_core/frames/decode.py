"""Latents to frames at a fixed internal batch, so that the frames do not depend on how they are pulled."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Protocol

import torch
from einops import rearrange
from torch import Tensor, nn

from ..errors import DiffilmError
from .stream import FrameStream


class Decoder(Protocol):
    """What `decode` needs of an autoencoder.

    `downscale` (default 8) says how much larger its pixels are; `temporal` (default False), that it sees the frames of
    a batch together.
    """

    def decode(self, z: Tensor) -> Tensor:
        """Scaled latents `(b, c, h, w)` to pixels `(b, 3, downscale h, downscale w)` in [-1, 1]."""
        ...


def decode(
    vae: Decoder | Any,
    latents: Tensor,
    fps: int | float | str | Fraction,
    *,
    batch: int = 4,
    chunk: int | None = None,
) -> FrameStream:
    """Latents `(c, t, h, w)` of one clip as a stream of frames.

    The autoencoder always sees `batch` frames, counted from the clip's first one; the last batch is padded with
    copies of the last frame, except for a `temporal` one, whose pixels `batch` decides. `chunk` only says how many
    frames are yielded at a time. Nothing is decoded until the stream is pulled. Raises DiffilmError for latents of
    another shape, or a batch or chunk below 1.
    """
    if latents.ndim != 4 or latents.numel() == 0:
        raise DiffilmError(
            f"latents of shape {tuple(latents.shape)}: expected (c, t, h, w) with at least one frame; pass one clip"
        )
    if batch < 1:
        raise DiffilmError(f"decode batch {batch}: expected at least 1; give a larger batch")
    scale = int(getattr(vae, "downscale", 8))
    frames, height, width = latents.shape[1:]

    def batches() -> Iterator[Tensor]:
        for start in range(0, frames, batch):
            yield _decode_batch(vae, latents[:, start : start + batch], batch)

    stream = FrameStream(batches, width=width * scale, height=height * scale, fps=fps, frames=frames)
    return stream if chunk is None else stream.rechunk(chunk)


@torch.no_grad()
def _decode_batch(vae: Any, latents: Tensor, batch: int) -> Tensor:
    """`(c, t <= batch, h, w)` to float32 frames `(t, H, W, 3)` in [0, 1] on the CPU."""
    z = rearrange(latents, "c t h w -> t c h w")
    count = z.shape[0]
    if count < batch and not getattr(vae, "temporal", False):
        z = torch.cat([z, z[-1:].expand(batch - count, -1, -1, -1)])
    weight = next(vae.parameters(), None) if isinstance(vae, nn.Module) else None
    if weight is not None:
        z = z.to(weight.device, weight.dtype if weight.dtype.is_floating_point else None)
    pixels = vae.decode(z.contiguous())[:count]
    frames = pixels.to("cpu", torch.float32).add(1).div(2).clamp(0, 1)
    return rearrange(frames, "t c h w -> t h w c").contiguous()
