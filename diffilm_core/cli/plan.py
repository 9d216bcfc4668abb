"""`plan`: the shots that a story would give, as a table, as JSON or as a page."""

from __future__ import annotations

import argparse
import json
import logging
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from ..atomic import written_whole
from ..errors import DiffilmError
from ..story import Storyboard, read_story
from ..story.formats import FORMS, form_of, storyboard_from
from ..story.page import storyboard_page
from ..story.prompts import PHRASINGS
from .output import say

log = logging.getLogger(__name__)
WIDEST = 18  # characters of a column of the table but the last


def add_plan_options(plan: argparse.ArgumentParser) -> None:
    """What is `plan`'s alone; the seed, frames, fps and style are the movie's too."""
    plan.add_argument("story", metavar="STORY", help="a text file; .fountain, .csv, .shots and .json are told by name")
    plan.add_argument("--as", choices=FORMS, dest="form", help="what the file is, where its name does not tell")
    plan.add_argument(
        "--length", type=seconds, metavar="TIME", help="of the whole: 60s, 1.5m, 1:30; auto: as long as each shot wants"
    )
    plan.add_argument(
        "--phrasing",
        choices=tuple(PHRASINGS),
        default="plain",
        help="plain for the model that ships, sentence for ModelScope and others, tags for Stable Diffusion 1.5",
    )
    plan.add_argument("--negative", default="", metavar="TEXT", help="what no shot may show")
    plan.add_argument("--llm", metavar="FOLDER", help="a local transformers language model that directs")
    plan.add_argument("--json", action="store_true", help="the storyboard as JSON")
    plan.add_argument("--html", metavar="FILE", help="write it as a page: the story with its shots as coloured spans")


def seconds(text: str) -> float | str:
    """ "60", "60s", "1.5m", "1:30" or "auto"."""
    plain = text.strip().lower()
    if plain == "auto":
        return plain
    if found := re.fullmatch(r"(\d+):(\d{1,2}(?:\.\d+)?)", plain):
        return int(found[1]) * 60 + float(found[2])
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|sec|m|min)?", plain):
        return float(found[1]) * (60 if (found[2] or "s")[0] == "m" else 1)
    raise argparse.ArgumentTypeError(f"{text!r} given, expected a time such as 60s, 1.5m or 1:30, or auto")


def plan(arguments: argparse.Namespace) -> int:
    text, board = storyboard_of(arguments)
    if arguments.html:
        page = storyboard_page(board, text)
        with written_whole(Path(arguments.html)) as temporary:
            temporary.write_text(page, encoding="utf-8")
        say(arguments.html)
        return 0
    if arguments.json:
        ascii_only = "utf" not in (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
        say(json.dumps(board.to_dict(), ensure_ascii=ascii_only, indent=2))
        return 0
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    for line in table(board, width):
        say(line)
    return 0


def storyboard_of(arguments: argparse.Namespace) -> tuple[str, Storyboard]:
    """The story's text and its storyboard."""
    path = Path(arguments.story)
    form = arguments.form or form_of(path)
    text = read_story(path)
    options: dict[str, Any] = {
        "style": arguments.style, "seed": arguments.seed, "frames": arguments.frames, "fps": arguments.fps,
        "length": arguments.length, "phrasing": arguments.phrasing, "negative": arguments.negative,
    }  # fmt: skip
    if form == "json":
        if arguments.llm:
            raise DiffilmError(f"{path} is a storyboard already; --llm takes a story, so give that, or leave out --llm")
        if any(options[key] for key in ("style", "seed", "frames", "length", "negative")):
            log.warning("%s has prompts, seeds and lengths of its own: --style, --seed and such change nothing", path)
        return "", storyboard_from(text, form)
    board = storyboard_from(text, form, **options)
    if arguments.llm:
        from ..story.director import direct
        from ..story.writer import load_writer

        writer = load_writer(arguments.llm)
        board, reason = direct(text, board, writer, phrasing=arguments.phrasing, seed=arguments.seed)
        if reason:
            say(f"diffilm: {reason}", error=True)
    return text, board


def table(board: Storyboard, width: int = 0) -> list[str]:
    """The storyboard as lines; prompts are cut to the width where one is given. A column without words is left out."""
    names = {member.id: member.name or member.id for member in board.cast}
    rows = []
    start = 0.0
    for shot in board.shots:
        when = ", ".join(part for part in (shot.time, shot.weather) if part)
        cast = ", ".join(names[who] for who in shot.cast)
        clock = f"{int(start // 60)}:{start % 60:05.2f}"
        rows.append([str(shot.index + 1), clock, f"{shot.duration:.2f}s", when, shot.place, cast, shot.prompt])
        start += shot.duration
    heads = ["shot", "start", "length", "time", "place", "cast", "prompt"]
    shown = [at for at in range(len(heads)) if any(row[at] for row in rows)]
    widths = {at: min(WIDEST, max(len(row[at]) for row in [heads, *rows])) for at in shown[:-1]}

    def line(cells: list[str]) -> str:
        parts = []
        for at in shown[:-1]:
            cell = cells[at] if len(cells[at]) <= widths[at] else cells[at][: widths[at] - 1] + "…"
            parts.append(cell.rjust(widths[at]) if at < 3 else cell.ljust(widths[at]))
        return "  ".join([*parts, cells[-1]])

    head = line(heads)
    lines = [board.title, ""] if board.title else []
    lines += [head, "-" * max(len(head), 60)]
    for full in map(line, rows):
        lines.append(full if not width or len(full) <= width else full[: max(width - 3, 20)] + "...")
    count = "1 shot" if len(board) == 1 else f"{len(board)} shots"
    return [*lines, "", f"{count}, {board.duration:.2f} seconds"]
