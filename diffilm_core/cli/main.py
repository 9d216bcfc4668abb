"""What the command understands, and how it ends: 0 done, 1 failed on the way, 2 wrong input, 130 Ctrl-C."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NoReturn

from .. import __version__
from ..errors import Cancelled, DiffilmError
from . import curate, describe, evaluate, export, finish, train
from .movie import add_movie_options, add_reshoot_options
from .output import CommandFailed, complain, say
from .plan import add_plan_options

MAX_SEED = 2**64 - 1
EPILOG = """examples:
  diffilm movie stories/the_fox.txt -o movie.mp4 --style watercolor
  diffilm movie stories/the_fox.txt --dry-run
  diffilm reshoot movie.mp4 --shot 3 --seed 7
  diffilm plan stories/the_fox.txt
  diffilm clip "a fox in the snow"
  diffilm walk "a fox in the snow" "an owl at night" --music song.mp3 -o walk.mp4
  diffilm export movie.mp4 -o movie.srt
  diffilm fetch modelscope
  diffilm curate clips -o curated
  diffilm train configs/motion.toml -o runs/motion --set data.clips=FOLDER
  diffilm inspect text2video_pytorch_model.pth
  diffilm run workflows/api/story_to_movie.json --server http://127.0.0.1:8188 -o out
"""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; the usage is a `--help` away."""

    def error(self, message: str) -> NoReturn:
        complain(f"{message} (`{self.prog} --help` tells more)")
        raise SystemExit(2)


def _size(text: str) -> tuple[int, int] | None:
    from ..movie import parse_size

    try:
        return parse_size(text)
    except DiffilmError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None


def _count(text: str) -> int:
    value = _whole(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} given, expected a whole number of at least 1")
    return value


def _seed(text: str) -> int:
    value = _whole(text)
    if not 0 <= value <= MAX_SEED:
        raise argparse.ArgumentTypeError(f"{value} given, expected 0 to 2**64 - 1")
    return value


def _rate(text: str) -> Fraction:
    try:
        rate = Fraction(text.strip())
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:
        raise argparse.ArgumentTypeError(f"{text!r} given, expected frames a second above 0, such as 8 or 30000/1001")
    return rate


def _text(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty, expected a few words")
    return text


def _add_shot_options(parser: argparse.ArgumentParser) -> None:
    """What decides the plan."""
    parser.add_argument("--seed", type=_seed, default=0, metavar="N", help="the same seed gives the same frames (0)")
    parser.add_argument("--frames", type=_count, metavar="N", help="frames of a shot (the model's: 16)")
    parser.add_argument("--fps", type=_rate, metavar="N", help="frames a second that are sampled (the model's: 8)")
    parser.add_argument("--style", default="", metavar="TEXT", help="words added to every prompt: watercolor, ...")


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    """What decides the pixels besides."""
    parser.add_argument(
        "--size", type=_size, metavar="WxH", help="of a sampled frame, in pixels (the model's: 128x128)"
    )
    parser.add_argument("--steps", type=_count, metavar="N", help="sampling steps (the model's)")
    parser.add_argument("--model", metavar="PATH", help="a Diffilm model file (the one that ships)")
    parser.add_argument("--device", metavar="D", help="cpu, cuda, cuda:1, mps, ... (a GPU where there is one)")


def _seeds(text: str) -> list[int]:
    return [_seed(part) for part in text.split(",")]


def _add_walk(commands: Any) -> None:
    walk = commands.add_parser("walk", help="a walk from prompt to prompt, in step with music")
    walk.add_argument("prompts", type=_text, nargs="+", metavar="PROMPT", help="two or more, each a station")
    walk.add_argument("-o", "--output", default="walk.mp4", metavar="FILE", help=".mp4, .gif or .webp (walk.mp4)")
    walk.add_argument("--seeds", type=_seeds, metavar="N,N", help="one for each prompt, with commas (0,1,2 ...)")
    walk.add_argument("--frames", type=_count, metavar="N", help="from each prompt to the next (two seconds)")
    walk.add_argument("--fps", type=_rate, default=Fraction(12), metavar="N", help="frames a second (12)")
    walk.add_argument("--music", metavar="FILE", help="a sound file that moves the walk and is heard in the movie")
    walk.add_argument("--smooth", type=float, default=0.0, metavar="X", help="0 follows the drums, 1 walks evenly (0)")
    walk.add_argument("--batch", type=_count, default=8, metavar="N", help="frames made together (8)")
    _add_model_options(walk)


def _add_inspect(commands: Any) -> None:
    inspect = commands.add_parser("inspect", help="what is in a model file")
    inspect.add_argument("file", metavar="FILE", help="a weight file, an index of shards, or a folder")
    inspect.add_argument("--json", action="store_true", help="everything, as JSON")
    inspect.add_argument("--verify", action="store_true", help="find a truncated or altered file; reads all of it")


def _add_fetch(commands: Any) -> None:
    fetch = commands.add_parser("fetch", help="list the published models, or download one")
    fetch.add_argument("name", nargs="?", metavar="NAME", help="a model of the list, which is shown without a name")
    fetch.add_argument(
        "--to", metavar="FOLDER", help="the models folder ($COMFYUI_PATH/models, or ./models where that is not set)"
    )
    fetch.add_argument("--accept-licence", action="store_true", help="you have read the model's licence and accept it")


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="diffilm",
        description="Turns a story into a movie.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"diffilm {__version__}")
    parser.add_argument("-v", "--verbose", action="store_true", help="tell what is being done")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    movie = commands.add_parser("movie", help="a story into a movie of many shots")
    add_movie_options(movie, _count, _rate)
    _add_shot_options(movie)
    _add_model_options(movie)
    add_reshoot_options(commands.add_parser("reshoot", help="one shot of a movie again"), _count, _seed, _text)

    plan = commands.add_parser("plan", help="the shots that a story would give, without filming them")
    add_plan_options(plan)
    _add_shot_options(plan)

    clip = commands.add_parser("clip", help="one clip from one prompt")
    clip.add_argument("prompt", type=_text, metavar="PROMPT", help="what the clip shows")
    clip.add_argument("-o", "--output", metavar="FILE", help=".mp4, .gif or .webp (a GIF named after the prompt)")
    _add_shot_options(clip)
    _add_model_options(clip)

    _add_walk(commands)
    finish.add_parsers(commands, _rate, _size)
    describe.add_parser(commands)
    evaluate.add_parser(commands, _count, _rate, _size, _seed)
    curate.add_parser(commands, _count)
    train.add_parser(commands)

    export.add_parser(commands)
    _add_inspect(commands)
    _add_fetch(commands)

    run = commands.add_parser("run", help="an API-format workflow on a ComfyUI server")
    run.add_argument("workflow", metavar="WORKFLOW.json", help="exported from ComfyUI with Export (API)")
    run.add_argument("--server", default="http://127.0.0.1:8188", metavar="URL", help="(http://127.0.0.1:8188)")
    run.add_argument(
        "--set",
        action="append",
        default=[],
        dest="changes",
        metavar="NODE.INPUT=VALUE",
        help="change an input; NODE is an id, a title or a class; VALUE is JSON or text; may be given many times",
    )
    run.add_argument("-o", "--output", default=".", metavar="DIR", help="where what it made goes (this folder)")
    return parser


def _dispatch(arguments: argparse.Namespace) -> int:
    if arguments.command == "run":
        from .run import run

        return run(arguments)
    if arguments.command == "inspect":
        from . import inspect

        return inspect.run(arguments)
    if arguments.command == "fetch":
        from . import fetch

        return fetch.run(arguments)
    if arguments.command == "plan":
        from . import plan

        return plan.plan(arguments)
    if arguments.command in ("interpolate", "upscale"):
        return finish.run(arguments)
    if arguments.command == "export":
        return export.run(arguments)
    if arguments.command == "curate":
        return curate.run(arguments)
    if arguments.command == "train":
        return train.run(arguments)
    if arguments.command == "describe":
        return describe.run(arguments)
    if arguments.command == "evaluate":
        return evaluate.run(arguments)
    if arguments.command in ("movie", "reshoot"):
        from . import movie

        return {"movie": movie.movie, "reshoot": movie.reshoot}[arguments.command](arguments)
    from . import film

    return {"clip": film.clip, "walk": film.walk}[arguments.command](arguments)


def _wait_briefly() -> None:
    """OpenMP's threads spin at most some 50 microseconds at a barrier, unless the user set it otherwise.

    libgomp's default is milliseconds: on a machine with other work the threads that spin take the cores from those
    that compute, and a small network runs 3 to 10 times slower. Read when torch is imported.
    """
    if not os.environ.keys() & {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}:
        os.environ["GOMP_SPINCOUNT"] = "10000"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    _wait_briefly()
    try:
        arguments = build_parser().parse_args(argv)
        logging.basicConfig(level=logging.INFO if arguments.verbose else logging.WARNING, format="diffilm: %(message)s")
        return _dispatch(arguments)
    except DiffilmError as error:
        complain(str(error))
        return 2
    except CommandFailed as error:
        complain(str(error))
        return 1
    except (KeyboardInterrupt, Cancelled):
        say("diffilm: stopped", error=True)
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as with `diffilm plan story.txt | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
