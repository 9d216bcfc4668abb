"""`movie` and `reshoot`: a story filmed, and one shot of a finished movie filmed again."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .output import Progress, say

if TYPE_CHECKING:
    from ..movie.takes import Take

Type = Callable[[str], Any]
NETWORK = "diffilm (our network that ships), NAME, or a weight file (diffilm)"


def add_movie_options(movie: argparse.ArgumentParser, count: Type, rate: Type) -> None:
    """What is `movie`'s alone; the shots' and the model's options are others' too."""
    movie.add_argument("story", metavar="STORY.txt", help="a plain text file, or the JSON of `diffilm plan --json`")
    movie.add_argument(
        "-o", "--output", default="movie.mp4", metavar="FILE",
        help=".mp4, .mov, .mkv, .webm, .gif, .webp, ... or frames/%%05d.png (movie.mp4)",
    )  # fmt: skip
    movie.add_argument(
        "--resume", action="store_true", default=True,
        help="go on with what OUTPUT.diffilm holds of the movie: the default",
    )  # fmt: skip
    movie.add_argument("--fresh", dest="resume", action="store_false", help="make all of it again")
    movie.add_argument("--dry-run", action="store_true", help="say what it takes and check the weights; make nothing")
    movie.add_argument("--interpolate", type=rate, metavar="N", help="frames a second of the movie (twice --fps)")
    movie.add_argument("--upscale", type=float, default=2.0, metavar="X", help="factor to the movie's size (2)")
    _add_networks(movie)
    movie.add_argument("--memory", metavar="SIZE", help="a bound such as 4GB, which chooses batches and tiles (none)")
    movie.add_argument("--codec", default="", metavar="NAME", help="h264, hevc, av1, prores, ... (the suffix's)")
    movie.add_argument("--bits", type=count, default=0, metavar="N", help="8 or 10 bits a colour (the codec's usual)")
    movie.add_argument("--crf", type=int, metavar="N", help="quality, 0 is the best (the codec's usual)")
    movie.add_argument("--music", metavar="FILE", help="sound under the whole movie, looped")
    movie.add_argument("--fade", type=float, default=0.0, metavar="S", help="seconds in which it comes and goes (0)")
    movie.add_argument("--check", action="store_true", help="look for black, frozen, strobing, ... shots and say so")
    movie.add_argument(
        "--reroll", type=count, default=0, metavar="N",
        help="check, and sample shots with findings again with up to N other seeds, keeping the best",
    )  # fmt: skip
    movie.add_argument("--scorer", metavar="FOLDER", help="a local CLIP folder that judges the prompts")
    movie.add_argument(
        "--ray", metavar="ADDRESS", help="sample shots on a Ray cluster: auto, host:port, or local (this machine)"
    )


def _add_networks(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--interpolator", metavar="PATH", help=NETWORK.replace("NAME", "blend"))
    parser.add_argument("--upscaler", metavar="PATH", help=NETWORK.replace("NAME", "bicubic"))


def add_reshoot_options(reshoot: argparse.ArgumentParser, count: Type, seed: Type, text: Type) -> None:
    reshoot.add_argument("movie", metavar="MOVIE", help="a file that `diffilm movie` made")
    reshoot.add_argument("--shot", type=count, required=True, metavar="N", help="which one, from 1")
    reshoot.add_argument("--prompt", type=text, metavar="TEXT", help="what it shows (as before)")
    reshoot.add_argument("--negative", metavar="TEXT", help="what it may not show (as before)")
    reshoot.add_argument("--seed", type=seed, metavar="N", help="another seed gives another take (as before)")
    reshoot.add_argument("-o", "--output", metavar="FILE", help="the new movie (MOVIE.shot-N beside it)")
    reshoot.add_argument("--model", metavar="PATH", help="the model that it was made with (the one that ships)")
    _add_networks(reshoot)
    reshoot.add_argument("--device", metavar="D", help="cpu, cuda, cuda:1, mps, ... (a GPU where there is one)")


def movie(arguments: argparse.Namespace) -> int:
    from .film import read

    story = read(arguments)
    options = {
        name: getattr(arguments, name)
        for name in ("style", "size", "frames", "fps", "steps", "seed", "interpolate", "upscale", "interpolator",
                     "upscaler", "codec", "bits", "crf", "music", "fade", "check", "scorer", "memory")
    }  # fmt: skip
    options["rerolls"] = arguments.reroll
    where = {"model": arguments.model, "device": arguments.device, "fresh": not arguments.resume}
    if arguments.dry_run:
        return _dry_run(story, arguments.output, options, where)
    lines: list[str] = []
    with Progress("preparing the movie") as progress:
        from .. import movie as movies

        def checked(takes: Sequence[Take]) -> None:
            from ..movie.takes import in_words

            lines.extend(in_words(takes))

        path = movies.make_movie(
            story, arguments.output, progress=progress, on_checked=checked, ray=arguments.ray, **where, **options
        )
    for line in lines:
        say(line, error=True)
    say(str(path))
    return 0


def _dry_run(story: Any, output: str, options: dict[str, Any], where: dict[str, Any]) -> int:
    from tempfile import TemporaryDirectory

    from ..movie.estimate import estimate, report
    from ..movie.make import Options, prepare
    from ..movie.store import movie_folder

    kept = movie_folder(output)
    with TemporaryDirectory() as empty, Progress("looking at the movie") as progress:
        folder = kept if kept.is_dir() else empty
        where = {**where, "fresh": False}
        production, target = prepare(story, output, Options(**options), folder=folder, progress=progress, **where)
        lines = report(estimate(production, target), production, kept)
    for line in lines:
        say(line)
    return 0


def reshoot(arguments: argparse.Namespace) -> int:
    with Progress("reading the movie") as progress:
        from .. import movie as movies

        path = movies.reshoot(
            arguments.movie,
            arguments.shot,
            arguments.output,
            prompt=arguments.prompt,
            negative=arguments.negative,
            seed=arguments.seed,
            model=arguments.model,
            interpolator=arguments.interpolator,
            upscaler=arguments.upscaler,
            device=arguments.device,
            progress=progress,
        )
    say(str(path))
    return 0
