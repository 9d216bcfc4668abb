"""What a diffusion model makes of fixed prompts and seeds while it is trained."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..sampling import sample_clip
from ..sampling.schedules import NoiseSchedule

STEPS = 8
DECODED = 8


@torch.no_grad()
def preview(
    unet: nn.Module,
    vae: Any,
    schedule: NoiseSchedule,
    prediction: str,
    contexts: Tensor,
    *,
    size: tuple[int, int],
    frames: int = 1,
    fps: float | None = None,
) -> Tensor:
    """uint8 `(n, t, 3, h, w)`: a clip of `frames` frames, `size` (width, height), for each of contexts `(n, l, d)`.

    Row i has the seed i; few steps, no guidance. fps: for networks that are told it.
    """
    conditions: dict[str, Any] = {} if fps is None else {"fps": torch.tensor([fps])}
    parameter = next(vae.parameters())
    width, height = (side // vae.downscale for side in size)
    clips = []
    for row, context in enumerate(contexts):
        latents = sample_clip(
            unet, schedule, prediction, {"context": context[None], **conditions},
            shape=(vae.config.z_channels, frames, height, width), seed=row, steps=STEPS, cfg=1.0, spacing="sgm_uniform",
        )  # fmt: skip
        flat = latents.transpose(0, 1).to(parameter)
        pixels = torch.cat([vae.decode(part) for part in flat.split(DECODED)])
        clips.append(((pixels.float() + 1) * 127.5).clamp(0, 255).round().to(torch.uint8).cpu())
    return torch.stack(clips)
