"""`movie`, `plan`, `clip` and `walk`: what needs no server."""

from __future__ import annotations

import argparse
import json
import logging
import re
import shutil
import sys
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from ..story import Shot, Storyboard, read_story, read_storyboard, split_story
from .output import Progress, say

if TYPE_CHECKING:
    from ..bundle import VideoModel
    from ..frames import FrameStream

NAME_LENGTH = 60
log = logging.getLogger(__name__)


def read(arguments: argparse.Namespace) -> str | Storyboard:
    """The story's text, or the storyboard that a .json file holds."""
    path = Path(arguments.story)
    if path.suffix.lower() != ".json":
        return read_story(path)
    if arguments.style or arguments.seed or arguments.frames:
        log.warning("%s has prompts, seeds and lengths of its own: --style, --seed and --frames change nothing", path)
    return read_storyboard(path)


def movie(arguments: argparse.Namespace) -> int:
    story = read(arguments)
    with Progress("preparing the movie") as progress:
        from ..movie import make_movie

        path = make_movie(
            story,
            arguments.output,
            model=arguments.model,
            style=arguments.style,
            size=arguments.size,
            frames=arguments.frames,
            fps=arguments.fps,
            steps=arguments.steps,
            seed=arguments.seed,
            device=arguments.device,
            progress=progress,
        )
    say(str(path))
    return 0


def plan(arguments: argparse.Namespace) -> int:
    board = read(arguments)
    if isinstance(board, str):
        board = split_story(
            board, style=arguments.style, seed=arguments.seed, frames=arguments.frames, fps=arguments.fps
        )
    if arguments.json:
        ascii_only = "utf" not in (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
        say(json.dumps(board.to_dict(), ensure_ascii=ascii_only, indent=2))
        return 0
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    for line in table(board, width):
        say(line)
    return 0


def table(board: Storyboard, width: int = 0) -> list[str]:
    """The storyboard as lines; prompts are cut to the width where one is given."""
    seed_width = max(4, *(len(str(shot.seed)) for shot in board.shots))
    head = f"{'shot':>4}  {'start':>7}  {'length':>6}  {'seed':>{seed_width}}  prompt"
    lines = [board.title, ""] if board.title else []
    lines += [head, "-" * max(len(head), 60)]
    start = 0.0
    for shot in board.shots:
        clock = f"{int(start // 60)}:{start % 60:05.2f}"
        line = f"{shot.index + 1:>4}  {clock:>7}  {shot.duration:>5.2f}s  {shot.seed:>{seed_width}}  {shot.prompt}"
        lines.append(line if not width or len(line) <= width else line[: max(width - 3, 20)] + "...")
        start += shot.duration
    count = "1 shot" if len(board) == 1 else f"{len(board)} shots"
    return [*lines, "", f"{count}, {board.duration:.2f} seconds"]


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
