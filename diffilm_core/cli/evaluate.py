"""`evaluate`: figures of generated clips or pictures, of a model with a list of prompts, alone or against real ones."""

from __future__ import annotations

import argparse
import json
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ..errors import DiffilmError
from .output import Progress, say

if TYPE_CHECKING:
    from ..metrics.options import Options
    from ..metrics.protocol import Protocol
    from ..metrics.sets import Cut, MediaSet

EPILOG = """examples:
  diffilm evaluate made/ real/                                  all that these folders allow
  diffilm evaluate made/ real/ --metrics fvd,fid --frames 16 --size 128x128
  diffilm evaluate made.mp4 true.mp4 --metrics psnr,ssim,lpips
  diffilm evaluate made/ --prompts prompts.txt --metrics clipsim,motion,flicker
  diffilm evaluate real/ --model FOLDER --prompts prompts.txt --samples made/
  diffilm evaluate UCF-101/ --model FOLDER --protocol configs/protocols/ucf101.toml --samples made/
metrics: fvd, fid, is, is-video, clipsim, psnr, ssim, lpips, flicker, motion, probe. Networks: docs/evaluation.md
"""


def add_parser(commands: Any, count: Any, rate: Any, size: Any, seed: Any) -> None:
    """`count`, `rate`, `size` and `seed`: what reads these from the command line."""
    parser = commands.add_parser(
        "evaluate",
        help="FVD, FID and other figures of clips, pictures or a model",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "first", nargs="?", metavar="A", help="what was generated: a clip, or a folder of clips or pictures"
    )
    parser.add_argument(
        "second", nargs="?", metavar="B", help="real ones to compare with (with --model: A is the real set)"
    )
    parser.add_argument("--metrics", metavar="NAMES", help="with commas (all that the input allows)")
    parser.add_argument(
        "--prompts", metavar="FILE", help="one a line, .csv, .jsonl, or MSR-VTT's .json (.txt beside clips)"
    )
    parser.add_argument(
        "--model", metavar="PATH", help="film the prompts with this model (`shipped`: the one that ships)"
    )
    parser.add_argument("--samples", metavar="FOLDER", help="keep the model's clips here, and go on with those there")
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="of the first clip, and of the draws (0)")
    parser.add_argument("--steps", type=count, metavar="N", help="sampling steps (the model's)")
    parser.add_argument("--protocol", metavar="FILE.toml", help="a published way to measure, as in configs/protocols")
    parser.add_argument(
        "--weights", metavar="FOLDER", help="of the networks ($DIFFILM_WEIGHTS, ComfyUI's models/metrics)"
    )
    parser.add_argument("--frames", metavar="N", help="of each clip, or `all` (16 of folders, all of a single clip)")
    parser.add_argument("--fps", type=rate, metavar="N", help="take frames at this rate (each clip's own)")
    parser.add_argument("--start", choices=("first", "middle"), help="which frames of a longer clip (first)")
    parser.add_argument("--size", type=size, metavar="WxH", help="cut and scale frames to this first (as they are)")
    parser.add_argument("--limit", type=count, metavar="N", help="only the first N of each set")
    parser.add_argument("--rounds", type=int, default=50, metavar="N", help="of the bootstrap; 0 for no intervals (50)")
    parser.add_argument("--splits", type=count, metavar="N", help="of the inception score (10)")
    parser.add_argument("--resize", choices=("tensorflow", "clean"), help="how FID scales pictures (tensorflow)")
    parser.add_argument("--device", metavar="D", help="cpu, cuda, ... (a GPU where there is one)")
    parser.add_argument("--json", action="store_true", help="everything, as JSON")


def run(arguments: argparse.Namespace) -> int:
    from ..metrics.captions import captions_of
    from ..metrics.evaluate import evaluate
    from ..metrics.sets import open_set

    protocol = _protocol(arguments)
    cut, options = _cut(arguments, protocol), _options(arguments, protocol)
    names = arguments.metrics.split(",") if arguments.metrics else list(protocol.metrics) if protocol else None
    captions: list[str] | None
    with ExitStack() as stack:
        progress = stack.enter_context(Progress("looking at the clips"))
        if arguments.model:
            if arguments.second:
                raise DiffilmError(
                    f"--model, {arguments.first} and {arguments.second}: expected at most one, the real set"
                )
            real = None if arguments.first is None else open_set(arguments.first, cut).limited(arguments.limit)
            folder = arguments.samples or stack.enter_context(tempfile.TemporaryDirectory(prefix="diffilm-"))
            made, captions = _film(arguments, protocol, real, folder, cut, progress)
        else:
            made, real = _given(arguments, cut)
            captions = captions_of(made, arguments.prompts)
        report = evaluate(
            made,
            real,
            metrics=None if names is None else [name.strip().lower() for name in names],
            captions=captions,
            folder=arguments.weights,
            device=arguments.device,
            options=options,
            progress=progress,
        )
    if protocol is not None:
        report = replace(report, settings={**report.settings, "protocol": asdict(protocol)})
    if arguments.json:
        say(json.dumps(report.to_dict(), indent=2))
        return 0
    for line in report.lines():
        say(line)
    for line in protocol.differs if protocol is not None else ():
        say(f"unlike the papers: {line}")
    return 0


def _given(arguments: argparse.Namespace, cut: Cut | None) -> tuple[MediaSet, MediaSet | None]:
    from ..metrics.sets import open_set

    if arguments.first is None:
        raise DiffilmError("nothing to measure: give a file or a folder, or --model with --prompts")
    if arguments.samples or arguments.steps:
        raise DiffilmError("--samples and --steps are for filming: give --model too, or leave them out")
    made = open_set(arguments.first, cut).limited(arguments.limit)
    return made, None if arguments.second is None else open_set(arguments.second, cut).limited(arguments.limit)


def _film(
    arguments: argparse.Namespace,
    protocol: Protocol | None,
    real: MediaSet | None,
    folder: str,
    cut: Cut | None,
    progress: Progress,
) -> tuple[MediaSet, list[str]]:
    """The model's clips, as a set, and their words."""
    from ..bundle import load_model
    from ..metrics.captions import read_prompts
    from ..metrics.samples import sample_clips
    from ..metrics.sets import open_set

    classes = protocol is not None and protocol.choose == "classes"
    if arguments.prompts is None and not classes:
        raise DiffilmError("--model films prompts: give --prompts FILE, one a line")
    rows = [] if arguments.prompts is None else read_prompts(arguments.prompts)
    prompts = [words for _, words in rows] if protocol is None else protocol.prompts(rows, real)
    prompts = prompts[: arguments.limit]
    model = load_model(None if arguments.model == "shipped" else arguments.model, device=arguments.device)
    frames = None if cut is None else cut.frames
    sample_clips(model, prompts, folder, seed=arguments.seed, frames=frames, steps=arguments.steps, progress=progress)
    made = open_set(folder, None if cut is None else replace(cut, fps=None, start="first"))
    if len(made.items) != len(prompts):
        raise DiffilmError(f"samples folder {folder} holds {len(made.items)} clips for {len(prompts)} prompts: choose "
                           "another folder")  # fmt: skip
    return made, prompts


def _protocol(arguments: argparse.Namespace) -> Protocol | None:
    from ..metrics.protocol import read_protocol

    return None if arguments.protocol is None else read_protocol(arguments.protocol)


def _cut(arguments: argparse.Namespace, protocol: Protocol | None) -> Cut | None:
    """What is taken of each clip; None where nothing was said."""
    from ..metrics.sets import Cut

    given: dict[str, Any] = {
        name: getattr(arguments, name) for name in ("fps", "start", "size") if getattr(arguments, name) is not None
    }
    if arguments.frames is not None:
        given["frames"] = _frames(arguments.frames)
    if protocol is None and not given:
        return None
    return replace(protocol.cut if protocol is not None else Cut(), **given)


def _frames(text: str) -> int | None:
    if text == "all":
        return None
    try:
        frames = int(text)
    except ValueError:
        frames = 0
    if frames < 1:
        raise DiffilmError(f"--frames {text}: expected a whole number of at least 1, or all")
    return frames


def _options(arguments: argparse.Namespace, protocol: Protocol | None) -> Options:
    from ..metrics.options import Options

    options = protocol.options(arguments.rounds) if protocol is not None else Options(rounds=arguments.rounds)
    given = {name: getattr(arguments, name) for name in ("splits", "resize") if getattr(arguments, name) is not None}
    return replace(options, seed=arguments.seed, **given)
