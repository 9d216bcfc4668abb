"""Weight files: reading and writing them, their layouts, the shapes that they hold."""

from __future__ import annotations

from .inspect import CheckpointInfo, Part, inspect
from .layout import Layout
from .load import load_image_encoder, load_motion, load_text_encoder, load_unet, load_vae

__all__ = [
    "CheckpointInfo",
    "Layout",
    "Part",
    "inspect",
    "load_image_encoder",
    "load_motion",
    "load_text_encoder",
    "load_unet",
    "load_vae",
]
