"""Diffilm's core tensor library: story -> storyboard -> latents -> frames -> movie, without a host."""

from __future__ import annotations

from .errors import Cancelled, DiffilmError

__version__ = "0.1.0"
__all__ = ["Cancelled", "DiffilmError", "__version__"]
