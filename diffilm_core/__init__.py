"""Diffilm's core tensor library: story -> storyboard -> latents -> frames -> movie, without a host."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import Cancelled, DiffilmError

if TYPE_CHECKING:
    from .movie import make_movie

__version__ = "0.1.0"
__all__ = ["Cancelled", "DiffilmError", "__version__", "make_movie"]


def __getattr__(name: str) -> Any:
    """`make_movie`, imported when it is first asked for, so that `import diffilm_core` stays quick."""
    if name == "make_movie":
        from .movie import make_movie

        return make_movie
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
