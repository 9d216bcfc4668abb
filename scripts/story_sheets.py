"""Film stories with the model that ships, and draw each as a contact sheet: every shot's frames, its sentence beneath.

    python scripts/story_sheets.py stories/the_*.txt -o docs/story-sheets

The movies stay in --movies (.runs/stories), from where a second run goes on: only shots that changed are made again.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from diffilm_core.frames import read
from diffilm_core.movie import make_movie
from diffilm_core.movie.record import read_record
from diffilm_core.training.sheet import contact_sheet


def shots_of(movie: Path, each: int) -> tuple[list[Tensor], list[str]]:
    """Of every shot `each` frames side by side, `(3, h, each * w)` uint8, spread over it, and its sentence."""
    record = read_record(movie)
    frames = read(movie).collect()
    strips, at = [], 0
    for piece in record.pieces:
        if not piece.transition:
            where = [at + (2 * part + 1) * piece.frames // (2 * each) for part in range(each)]
            strip = torch.cat([frames[index] for index in where], 1)
            strips.append((strip * 255).round().byte().permute(2, 0, 1))
        at += piece.frames
    title = record.board.title
    texts = [" ".join(shot.text.removeprefix(title).split()) for shot in record.board.shots]
    return strips, [f"{number}. {text}" for number, text in enumerate(texts, start=1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stories", nargs="+", type=Path)
    parser.add_argument("-o", "--out", type=Path, default=Path("docs/story-sheets"))
    parser.add_argument("--movies", type=Path, default=Path(".runs/stories"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="sampling steps (the model's)")
    parser.add_argument("--frames", type=int, default=2, help="frames of each shot on the sheet (2)")
    parser.add_argument("--columns", type=int, default=2)
    arguments = parser.parse_args()
    for folder in (arguments.out, arguments.movies):
        folder.mkdir(parents=True, exist_ok=True)
    for story in tqdm(arguments.stories, desc="films"):
        movie = make_movie(
            story,
            arguments.movies / f"{story.stem}.mp4",
            seed=arguments.seed,
            steps=arguments.steps,
            upscale=1.5,
        )
        strips, sentences = shots_of(movie, arguments.frames)
        contact_sheet(strips, arguments.out / f"{story.stem}.jpg", columns=arguments.columns, labels=sentences, lines=2)


if __name__ == "__main__":
    main()
