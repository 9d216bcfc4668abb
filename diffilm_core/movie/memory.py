"""What a movie takes in memory, and the settings that keep it under a user's bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from ..errors import DiffilmError
from ..frames.fit import Fit
from ..frames.memory import PROCESS, parse_memory, plan_memory
from ..frames.stream import FrameStream
from ..frames.upscale import target_size
from ..sampling.guidance import NUMBERS_PER_POSITION, free_memory
from .production import Production
from .render import RenderSettings
from .sample import ModelSampler

SD_CHANNELS = 320
"""Base channels of the UNets that NUMBERS_PER_POSITION was measured on; activations grow with them."""
DECODED = 4
"""Feature maps of a decoded frame's size, at the autoencoder's base channels, that its decoder holds at once."""


def memory_needed(production: Production) -> int:
    """Bytes on the model's device: its weights, and the largest of a pass of the UNet and one decoded batch."""
    sampler = production.sampler
    width, height = sampler.settings.width, sampler.settings.height
    work = activations(sampler, width, height, frames_at_once(production), production.settings.batch)
    return weights_bytes(sampler.model) + work


def frames_at_once(production: Production) -> int:
    """Frames that the UNet sees in its longest call."""
    sampler = production.sampler
    return min(sampler.window, max(sampler.settings.frames(shot) for shot in production.board.shots))


def weights_bytes(model: Any) -> int:
    parts = (model.unet, model.vae, model.text.model)
    return sum(p.numel() * p.element_size() for part in parts for p in part.parameters())


def activations(sampler: ModelSampler, width: int, height: int, frames: int, batch: int) -> int:
    """The largest of what one pass of the UNet and one batch of the decoder take besides the weights."""
    return max(_sampling(sampler, width, height, frames), _decoding(sampler.model.vae, width, height, batch))


def _sampling(sampler: ModelSampler, width: int, height: int, frames: int) -> int:
    model = sampler.model
    scale, itemsize = int(model.vae.downscale), next(model.unet.parameters()).element_size()
    share = getattr(model.unet.config, "model_channels", SD_CHANNELS) / SD_CHANNELS
    passes = 2 if sampler.guidance == "batched" else 1
    return round(frames * (width // scale) * (height // scale) * NUMBERS_PER_POSITION * share * itemsize * passes)


def _decoding(vae: Any, width: int, height: int, batch: int) -> int:
    channels = getattr(getattr(vae, "config", None), "ch", 128)
    return batch * width * height * channels * DECODED * next(vae.parameters()).element_size()


def under(production: Production, memory: int | str) -> Production:
    """The movie with the decoder's batch and the networks' batch and tiles that keep its process below `memory` bytes.

    The decoder's batch goes down before the networks' settings do, as those change more of the picture. All of them are
    in the shots' keys and depend on the arguments alone. Where memory runs out nevertheless, the stages go further down
    as ever. Raises DiffilmError where the smallest settings take more, or the sampling does, which has none.
    """
    bound, sampler, settings = parse_memory(memory), production.sampler, production.settings
    width, height = sampler.settings.width, sampler.settings.height
    held, vae = weights_bytes(sampler.model), sampler.model.vae
    needed = PROCESS + held + _sampling(sampler, width, height, frames_at_once(production))
    if needed > bound:
        raise DiffilmError(
            f"memory {memory}: sampling {frames_at_once(production)} frames of {width}x{height} takes about "
            f"{-(-needed // 10**6)} MB, expected at least that; allow it, or choose a smaller size or fewer frames"
        )
    batches = [settings.batch >> n for n in range(settings.batch.bit_length())]
    plans: dict[int, tuple[Fit, Fit]] = {}
    for batch in reversed(batches):
        try:
            plans[batch] = _plan(settings, width, height, memory, held + _decoding(vae, width, height, batch))
        except DiffilmError:
            if not plans:
                raise
            break
    best = plans[batches[-1]]
    batch = max(each for each, plan in plans.items() if plan == best)
    return replace(production, settings=replace(settings, batch=batch, between=best[0], larger=best[1]))


def _plan(settings: RenderSettings, width: int, height: int, memory: int | str, beside: int) -> tuple[Fit, Fit]:
    clip = FrameStream(lambda: iter(()), width=width, height=height, fps=1, frames=1)
    size = None if settings.upscale is None else target_size(clip, settings.upscale, None)
    networks = {"interpolator": settings.interpolator, "upscaler": settings.upscaler}
    return plan_memory(clip, memory, size=size, beside=beside, **networks)


def stated(settings: RenderSettings) -> str:
    """How the stages are fitted into memory, in words."""
    words = [f"decode {settings.batch} at once"]
    for name, model, fit in (
        ("interpolate", settings.interpolator, settings.between), ("upscale", settings.upscaler, settings.larger),
    ):  # fmt: skip
        words += [] if model is None else [f"{name} {fit}"]
    return "; ".join(words)


def memory_free(device: torch.device) -> int | None:
    """Bytes that are free for this process on a device; None where nobody says."""
    if device.type != "cpu":
        return free_memory(device)
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None
