"""The model of a movie, loaded with a word to the progress bar."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..frames.progress import Progress

if TYPE_CHECKING:
    from ..bundle import VideoModel


def loaded_model(model: str | Path | VideoModel | None, device: Any, progress: Progress | None) -> VideoModel:
    """A loaded model as it is, the one in a file or folder, or the one that ships (None)."""
    from ..bundle import VideoModel, load_model

    if isinstance(model, VideoModel):
        return model
    name = "the model that ships" if model is None else str(model)
    if progress is not None:
        progress("load", 0, 1, name)
    loaded = load_model(model, device=device)
    if progress is not None:
        progress("load", 1, 1, name)
    return loaded
