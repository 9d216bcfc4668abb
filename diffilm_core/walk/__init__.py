"""Walks between prompts and seeds, in step with music (after stable-diffusion-videos)."""

from __future__ import annotations

from .blend import lerp, slerp
from .make import WalkSampler, make_walk
from .music import positions
from .plan import Walk

__all__ = ["Walk", "WalkSampler", "lerp", "make_walk", "positions", "slerp"]
