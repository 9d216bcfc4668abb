"""Temporal dialects: what a video model puts between the spatial layers of the Stable Diffusion UNet."""

from __future__ import annotations

from ..dialect import TemporalDialect
from .animatediff import AnimateDiff
from .modelscope import ModelScope
from .pseudo3d import PseudoThreeD, TemporalAttention, TemporalConv
from .svd import StableVideo

DIALECTS: dict[str, type[TemporalDialect]] = {
    each.name: each for each in (TemporalDialect, PseudoThreeD, ModelScope, StableVideo, AnimateDiff)
}

__all__ = ["DIALECTS", "AnimateDiff", "ModelScope", "PseudoThreeD", "StableVideo", "TemporalAttention", "TemporalConv"]
