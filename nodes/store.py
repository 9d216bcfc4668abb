"""The movie's folder in ComfyUI's output folder: finished latents and finished segments under their keys."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..diffilm_core.checkpoints.files import read_tensors, write_tensors
from ..diffilm_core.errors import DiffilmError
from . import host


def movie_folder(movie: str) -> Path:
    """`NAME.diffilm` in the output folder, made. Raises DiffilmError for a name that leads elsewhere."""
    root = Path(host.output_directory()).resolve()
    name = movie.strip().replace("\\", "/")
    folder = (root / f"{name}.diffilm").resolve()
    if not name or name.endswith("/") or root not in folder.parents:
        raise DiffilmError(f"movie name {movie!r}: expected a name in the output folder; give one like diffilm/movie")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DiffilmError(f"cannot make {folder} ({error.strerror}): expected a writable output folder") from error
    return folder


class LatentStore:
    """Sampled clips under their keys."""

    def __init__(self, movie: str) -> None:
        self.folder = movie_folder(movie) / "latents"
        self.folder.mkdir(exist_ok=True)

    def path(self, key: str) -> Path:
        return self.folder / f"{key[:40]}.safetensors"

    def load(self, key: str) -> Any:
        """The clip's latents, or None where it is not done (or not whole)."""
        path = self.path(key)
        if not path.is_file():
            return None
        try:
            tensors, metadata = read_tensors(path)
        except DiffilmError:
            return None
        return tensors["samples"] if metadata.get("key") == key else None

    def save(self, key: str, samples: Any, shot: Any) -> None:
        """Under a temporary name first, so that a file of this key is always whole."""
        metadata = {"key": key, "shot": str(shot.index), "prompt": shot.prompt}
        write_tensors(self.path(key), {"samples": samples.cpu().contiguous()}, metadata)


def segment_path(folder: Path, key: str) -> Path:
    """Where the writer keeps the encoded shot of this key."""
    segments = folder / "segments"
    os.makedirs(segments, exist_ok=True)
    return segments / f"{key[:40]}.mp4"
