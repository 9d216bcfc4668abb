"""What the stages of a film take in memory, stated before the start, and settings that stay under a user's bound."""

from __future__ import annotations

import re
from typing import Any

from ..errors import DiffilmError
from .fit import Fit
from .stream import CHUNK, CHUNK_BYTES, FrameStream

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "K": 2**10,
         "M": 2**20, "G": 2**30}  # fmt: skip
PROCESS = 700 * 2**20
"""Python, torch and FFmpeg before the first frame."""
PER_PIXEL = 6144
"""Bytes that a network takes for a pixel that comes in, where it does not say (`bytes_per_pixel`)."""
CHUNKS = 4
"""Chunks of float frames held at once, of what comes out of a stage: being made, stacked, handed on, encoded."""
ENCODER = 70
"""Frames of 4:2:0 that x264 holds: looking ahead, in its threads, as references."""


def parse_memory(value: int | str) -> int:
    """Bytes of 2000000000, "4GB", "512 MiB", "4G". Raises DiffilmError."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(value))
    if found is None or found[2].upper() not in UNITS:
        raise DiffilmError(f"memory {value!r}: expected bytes or a size such as 4GB or 512MiB; write it so")
    return int(float(found[1]) * UNITS[found[2].upper()])


def stage_memory(width: int, height: int, *, model: Any = None, fit: Fit | None = None) -> int:
    """Bytes that a stage takes whose frames come in at that size: its network's work on one batch, in the tiles of
    `fit`, its weights, and the frames that it holds."""
    if model is None:
        return 0
    fit = fit or Fit()
    side = fit.tile or max(width, height)
    pixels = min(width, side) * min(height, side)
    scale = int(getattr(model, "scale", 1))
    window = 2 * int(getattr(model, "radius", 1)) + 1
    batch = fit.batch or model.batch
    work = batch * pixels * int(getattr(model, "bytes_per_pixel", PER_PIXEL))
    frames = 12 * width * height * batch * (2 * window + 3 * scale**2)
    return work + frames + weights_memory(model)


def weights_memory(model: Any) -> int:
    """Bytes of a network's parameters, of what is a module in the object or itself one."""
    from torch import nn

    for each in (model, *vars(model).values()):
        if isinstance(each, nn.Module):
            return sum(p.numel() * p.element_size() for p in each.parameters())
    return 0


def film_memory(stream: FrameStream, stages: list[tuple[int, int, int]], out: tuple[int, int]) -> int:
    """Bytes of the whole chain: the process, chunks of the source and of each stage, and the encoder."""
    sizes = [(stream.width, stream.height), *((w, h) for w, h, _ in stages), out]
    chunks = sum(max(12 * w * h, min(CHUNK * 12 * w * h, CHUNK_BYTES)) * CHUNKS for w, h in sizes)
    return PROCESS + chunks + sum(work for _, _, work in stages) + ENCODER * out[0] * out[1] * 3 // 2


def plan_memory(
    stream: FrameStream,
    memory: int | str,
    *,
    interpolator: Any = None,
    upscaler: Any = None,
    size: tuple[int, int] | None = None,
    beside: int = 0,
) -> tuple[Fit, Fit]:
    """How `interpolate` and `upscale` to `size` fit into `memory`: the highest settings whose estimate stays below it.

    The answer depends on its arguments alone, so a film that goes on later gets the same one; put `settings()` of both
    into its key. The stage that takes most goes down first. beside: bytes that the process holds besides the stages.
    Raises DiffilmError where nothing fits.
    """
    bound = parse_memory(memory)
    out = size or (stream.width, stream.height)
    between, larger = Fit(), Fit()
    while True:
        stages = _stages(stream, out, interpolator, between, upscaler, larger)
        needed = beside + film_memory(stream, stages, out)
        if needed <= bound:
            return between, larger
        choices = []
        if interpolator is not None:
            choices.append((stages[0][2], between, interpolator, max(stream.width, stream.height)))
        if upscaler is not None:
            choices.append((max(each[2] for each in stages[1:]), larger, upscaler, max(stages[-1][:2])))
        for _, fit, model, side in sorted(choices, key=lambda each: -each[0]):
            lower = fit.lower(model.batch, side)
            if lower is not None:
                fit.batch, fit.tile = lower.batch, lower.tile
                break
        else:
            raise DiffilmError(
                f"memory {memory}: {stream.width}x{stream.height} to {out[0]}x{out[1]} takes about "
                f"{-(-needed // 10**6)} MB with the smallest settings, expected so much; allow it, or go smaller"
            )


def _stages(
    stream: FrameStream, out: tuple[int, int], interpolator: Any, between: Fit, upscaler: Any, larger: Fit
) -> list[tuple[int, int, int]]:
    """For each network pass the size that comes in and its bytes; the interpolation first, also where there is none."""
    width, height = stream.width, stream.height
    stages = [(width, height, stage_memory(width, height, model=interpolator, fit=between))]
    while upscaler is not None and (width < out[0] or height < out[1]):
        stages.append((width, height, stage_memory(width, height, model=upscaler, fit=larger)))
        width, height = width * upscaler.scale, height * upscaler.scale
    return stages
