"""Between two text embeddings on a line, between two noises on the sphere that noise lies on."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import DiffilmError

PARALLEL = 0.9995  # above this cosine the arc is as good as its chord, and its formula unstable


def lerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """a at t 0, b at 1, straight between."""
    _check(a, b)
    return torch.lerp(a, b, t)


def slerp(a: Tensor, b: Tensor, t: float) -> Tensor:
    """a at t 0, b at 1, between along the arc of the angle of the whole tensors (Shoemake 1985).

    So noise keeps its length. Nearly parallel ones (cosine beyond 0.9995 either way) are blended straight.
    """
    _check(a, b)
    x, y = a.double(), b.double()
    cosine = float((x * y).sum() / (x.norm() * y.norm()))
    if not math.isfinite(cosine) or abs(cosine) > PARALLEL:
        return lerp(a, b, t)
    angle = math.acos(cosine)
    mixed = (math.sin((1 - t) * angle) * x + math.sin(t * angle) * y) / math.sin(angle)
    return mixed.to(a.dtype)


def _check(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape:
        raise DiffilmError(f"a walk from {tuple(a.shape)} to {tuple(b.shape)}; expected two tensors of one shape")
