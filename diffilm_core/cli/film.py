"""`clip` and `walk`, and what a story file holds."""

from __future__ import annotations

import argparse
import logging
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from ..story import Shot, Storyboard, read_story
from ..story.formats import form_of, open_storyboard
from .output import Progress, say

if TYPE_CHECKING:
    from ..bundle import VideoModel
    from ..frames import FrameStream

NAME_LENGTH = 60
log = logging.getLogger(__name__)


def read(arguments: argparse.Namespace) -> str | Storyboard:
    """The story's text, or the storyboard of a screenplay, a list or a table of shots, or a .json file."""
    path = Path(arguments.story)
    form = form_of(path)
    if form == "story":
        return read_story(path)
    if form == "json" and (arguments.style or arguments.seed or arguments.frames):
        log.warning("%s has prompts, seeds and lengths of its own: --style, --seed and --frames change nothing", path)
    return open_storyboard(
        path, form, style=arguments.style, seed=arguments.seed, frames=arguments.frames, fps=arguments.fps
    )


def clip(arguments: argparse.Namespace) -> int:
    from ..frames.output import check_output

    prompt = ", ".join(" ".join(part.split()) for part in (arguments.prompt, arguments.style) if part.strip())
    output = check_output(arguments.output or f"{slug(prompt)}.gif")
    with Progress("loading the model") as progress:
        from ..bundle import load_model
        from ..frames import write

        model = load_model(arguments.model, device=arguments.device)
        stream = film_clip(model, prompt, arguments, progress)
        path = write(stream, output, progress=progress, metadata={"title": prompt})
    say(str(path))
    return 0


def film_clip(model: VideoModel, prompt: str, arguments: argparse.Namespace, progress: Progress) -> FrameStream:
    """One shot of the prompt, as a movie's shots are sampled; what was not given is the model's default."""
    import torch

    from ..frames import decode
    from ..movie import ModelSampler, SampleSettings

    settings = SampleSettings.for_model(model, size=arguments.size, fps=arguments.fps, steps=arguments.steps)
    frames = arguments.frames or model.defaults.frames
    shot = Shot(index=0, prompt=prompt, duration=float(frames / settings.fps), seed=arguments.seed)
    sampler = ModelSampler(model, settings, 1, progress)
    with torch.inference_mode():
        latents = sampler(shot)
    sampler.report(shot, sampler.steps)
    return decode(model.vae, latents, settings.fps)


def walk(arguments: argparse.Namespace) -> int:
    with Progress("preparing the walk") as progress:
        from ..walk import make_walk

        path = make_walk(
            arguments.prompts,
            arguments.output,
            seeds=arguments.seeds or 0,
            frames=arguments.frames,
            fps=arguments.fps,
            music=arguments.music,
            smooth=arguments.smooth,
            batch=arguments.batch,
            model=arguments.model,
            size=arguments.size,
            steps=arguments.steps,
            device=arguments.device,
            progress=progress,
        )
    say(str(path))
    return 0


def slug(prompt: str) -> str:
    """A file name of the prompt's words: letters and digits of any script, joined with `-`."""
    plain = unicodedata.normalize("NFC", prompt).lower()
    name = "-".join(re.findall(r"[^\W_]+", plain.replace("'", "")))
    if len(name) > NAME_LENGTH:
        name = name[: NAME_LENGTH + 1].rpartition("-")[0] or name[:NAME_LENGTH]
    while len(name.encode("utf-8", "replace")) > 200:
        name = name[:-1]
    return name or "clip"
