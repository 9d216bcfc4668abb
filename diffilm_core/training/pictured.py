"""Stable Video Diffusion is told of a clip by its first frame, its frame rate and how much moves (Blattmann et al.
2023): what training draws of that, where `sampling.image_to_video` is given it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from ..models.temporal_decoder import TemporalAutoencoder
from ..sampling.image_to_video import clip_pixels
from .curation.motion import Motion
from .curation.row import motion_bucket

AUGMENTATION = -3.0, 0.5
"""Mean and spread of the logarithm of the noise on the picture, as Stability's training draws it."""


class FirstFrame:
    """Conditions as `sampling.image_conditions` makes them; the motion bucket is measured on the clip as curation
    does."""

    def __init__(self, vae: TemporalAutoencoder, encoder: nn.Module) -> None:
        self.vae, self.encoder = vae, encoder.requires_grad_(False)

    def __call__(
        self, frames: Tensor, fps: Tensor, generators: Sequence[torch.Generator], without: Sequence[bool]
    ) -> tuple[Tensor, dict[str, Any]]:
        first = frames[:, 0]
        levels = torch.stack([torch.randn((), generator=each) for each in generators]) * AUGMENTATION[1]
        levels = (levels + AUGMENTATION[0]).exp().to(first)
        noise = torch.cat([torch.randn(1, *first.shape[1:], generator=each) for each in generators]).to(first)
        latents = self.vae.encode_image(first + levels.view(-1, 1, 1, 1) * noise)
        embedded = self.encoder(clip_pixels(first / 2 + 0.5)).image_embeds[:, None]
        gone = torch.tensor(list(without), device=first.device)
        buckets = [bucket(clip, float(rate)) for clip, rate in zip(frames, fps, strict=True)]
        ids = torch.stack([fps.to(first) - 1, torch.tensor(buckets).to(first), levels], dim=1)
        concat = latents[:, :, None].masked_fill(gone.view(-1, 1, 1, 1, 1), 0)
        return embedded.masked_fill(gone.view(-1, 1, 1), 0), {"concat": concat, "time_ids": ids}


def bucket(clip: Tensor, fps: float) -> float:
    """The motion bucket of frames `(t, 3, h, w)` in [-1, 1], 0 to 255."""
    measured = Motion(fps)
    for frame in rearrange(((clip + 1) * 127.5).round().to(torch.uint8).cpu(), "t c h w -> t h w c").contiguous():
        measured.add(frame.numpy())
    return float(motion_bucket(measured.motion() or 0.0))
