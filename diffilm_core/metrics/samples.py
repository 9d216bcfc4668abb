"""Clips of a model to measure: one a prompt, kept in a folder, so that a run that was stopped goes on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ..atomic import written_whole
from ..errors import DiffilmError
from ..frames import decode, write
from ..frames.progress import Progress
from ..story import Shot

if TYPE_CHECKING:
    from ..bundle import VideoModel

MANIFEST = "samples.json"


def sample_clips(
    model: VideoModel,
    prompts: Sequence[str],
    folder: str | Path,
    *,
    seed: int = 0,
    frames: int | None = None,
    steps: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Film each prompt with seed, seed + 1, ... at the model's own settings: lossless `00000.mkv`, its words in
    `00000.txt`. Clips that are in `folder` are kept.

    frames, steps: the model's where None. Raises DiffilmError for a folder with clips of another model, other prompts
    or settings.
    """
    from ..movie import ModelSampler, SampleSettings

    folder = Path(folder)
    settings = SampleSettings.for_model(model, steps=steps)
    duration = float((frames or model.defaults.frames) / settings.fps)
    sampler = ModelSampler(model, settings, len(prompts), progress)
    shots = [
        Shot(index=at, prompt=words, duration=duration, seed=(seed + at) % 2**64) for at, words in enumerate(prompts)
    ]
    about = sampler.about(replace(shots[0], prompt="")) | {"prompts": list(prompts)}
    _claim(folder, about)
    for shot in shots:
        target = folder / f"{shot.index:05d}.mkv"
        if not target.is_file():
            with torch.inference_mode():
                latents = sampler(shot)
                write(decode(model.vae, latents, settings.fps), target)
        target.with_suffix(".txt").write_text(shot.prompt + "\n", encoding="utf-8")
        sampler.report(replace(shot, index=shot.index), sampler.steps)
    return folder


def _claim(folder: Path, about: dict[str, object]) -> None:
    """Writes the manifest, or compares with the one that is there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        known = json.loads((folder / MANIFEST).read_text(encoding="utf-8")) if (folder / MANIFEST).exists() else None
    except (OSError, ValueError) as error:
        raise DiffilmError(f"samples folder {folder} cannot be used ({error}): choose another") from error
    if known is None:
        if any(folder.glob("*.mkv")):
            raise DiffilmError(f"samples folder {folder} holds clips but no {MANIFEST}: choose an empty one")
        with written_whole(folder / MANIFEST) as part:
            part.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    elif other := [key for key in sorted(about.keys() | known.keys()) if about.get(key) != known.get(key)]:
        raise DiffilmError(
            f"samples folder {folder} holds clips with other {', '.join(other)} than asked for: choose another folder"
        )
