"""A large frame in tiles: each seen with a margin around it, the joints faded from one tile into the next."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

OVERLAP = 0.25
"""Of a tile's side: how far it reaches into the next one."""


def tiled(run: Callable[..., Tensor], inputs: tuple[Tensor, ...], tile: int | None, scale: int = 1) -> Tensor:
    """`run(*inputs)` where no frame is larger than `tile`, else the same made of tiles.

    Inputs of four or more axes end in `(h, w)` and are cut into windows of one size, the others pass whole; `run`
    returns `(b, c, scale h, scale w)`. Neighbouring windows share a quarter of a tile: its outer quarters on both sides
    are thrown away, the half in the middle fades linearly from one window to the other.
    """
    height, width = next(each for each in inputs if each.ndim >= 4).shape[-2:]
    if tile is None or max(height, width) <= tile:
        return run(*inputs)
    overlap = int(tile * OVERLAP)
    total = weights = None
    for y, high in windows(height, tile, overlap):
        for x, wide in windows(width, tile, overlap):
            part = run(
                *(each[..., y : y + high, x : x + wide].contiguous() if each.ndim >= 4 else each for each in inputs)
            ).to("cpu", torch.float32)
            if total is None or weights is None:
                total = part.new_zeros(*part.shape[:2], height * scale, width * scale)
                weights = part.new_zeros(height * scale, width * scale)
            fade = (
                _ramp(y, high, height, overlap, scale)[:, None] * _ramp(x, wide, width, overlap, scale)[None, :]
            )  # fmt: skip
            here = (..., slice(y * scale, (y + high) * scale), slice(x * scale, (x + wide) * scale))
            total[here] += part * fade
            weights[here] += fade
    assert total is not None and weights is not None
    return total.div_(weights)


def windows(length: int, tile: int, overlap: int) -> list[tuple[int, int]]:
    """Starts and lengths of the windows along one side: all of one length, the last ending at the edge."""
    if length <= tile:
        return [(0, length)]
    step = tile - overlap
    return [(min(start, length - tile), tile) for start in range(0, length - overlap, step)]


def _ramp(start: int, length: int, whole: int, overlap: int, scale: int) -> Tensor:
    """The weight of each line of a window: 1, falling to 0 towards a side that another window covers."""
    at = torch.arange(length * scale) + 0.5
    edge, fade = overlap * scale / 4, overlap * scale / 2
    weight = torch.ones(length * scale)
    if start > 0:
        weight = weight.minimum((at - edge) / fade)
    if start + length < whole:
        weight = weight.minimum((length * scale - at - edge) / fade)
    return weight.clamp(0, 1)
