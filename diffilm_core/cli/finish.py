"""`interpolate` and `upscale`: more frames a second and more pixels for any clip."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DiffilmError
from .output import Progress, say

if TYPE_CHECKING:
    from ..frames import FrameStream
    from ..frames.fit import Fit

PLAIN = {"interpolate": "blend", "upscale": "bicubic"}
"""What needs no network."""
CALM = 0.3
"""How much of the frame before a network's frame takes; with it ours flickers no more than BasicVSR's, or little."""


def add_parsers(commands: Any, rate: Any, size: Any) -> None:
    """`rate` and `size`: what reads frames a second and WxH."""
    from .export import add_output_options

    more = commands.add_parser("interpolate", help="more frames a second for any clip")
    how = more.add_mutually_exclusive_group(required=True)
    how.add_argument("--fps", type=rate, metavar="N", help="frames a second of the result")
    how.add_argument("--factor", type=rate, metavar="N", help="how many times the frames a second")
    _add_common(more, "interpolate", "RIFE 3.1 to 4.26")
    larger = commands.add_parser("upscale", help="a larger picture for any clip")
    how = larger.add_mutually_exclusive_group(required=True)
    how.add_argument("--scale", type=float, metavar="X", help="how many times wider and higher")
    how.add_argument("--size", type=size, metavar="WxH", help="width and height in pixels")
    larger.add_argument(
        "--strength", type=float, default=0.0, metavar="X",
        help="how much damage ours repairs: 0 (the clip is clean) to 1",
    )  # fmt: skip
    larger.add_argument(
        "--steady", type=float, metavar="X", help="against flicker: 0 (off) to below 1 (0.3 with a network, else 0)"
    )
    _add_common(larger, "upscale", "all that spandrel reads")
    for parser in (more, larger):
        add_output_options(parser)


def _add_common(parser: argparse.ArgumentParser, command: str, others: str) -> None:
    parser.add_argument("input", metavar="IN", help="a video, or a folder of frames")
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help="a file or a folder of frames")
    parser.add_argument(
        "--model", metavar="FILE", help=f"{PLAIN[command]}, or a network's file: ours, {others} (the one that ships)"
    )
    parser.add_argument("--cuts", choices=("detect", "none"), default="detect", help="look for cuts first (detect)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--tile", type=int, metavar="N", help="pixels of a tile, to save memory (whole frames)")
    how.add_argument("--memory", metavar="SIZE", help="a bound such as 4GB, which chooses batch and tiles (none)")
    parser.add_argument("--device", metavar="D", help="cpu, cuda, cuda:1, mps, ... (a GPU where there is one)")


def run(arguments: argparse.Namespace) -> int:
    from ..frames import check_output, read, write
    from .export import output_options

    target = check_output(arguments.output)
    if target.exists() and Path(arguments.input).exists() and target.samefile(arguments.input):
        raise DiffilmError(f"output {target} is the input: expected another name; nothing was changed")
    output = output_options(arguments)
    make = {"interpolate": _interpolated, "upscale": _upscaled}[arguments.command]
    with Progress("reading the clip") as progress:
        made = make(read(arguments.input), arguments, progress)
        path = write(made, target, progress=progress, **output)
    say(str(path))
    return 0


def _interpolated(stream: FrameStream, arguments: argparse.Namespace, progress: Progress) -> FrameStream:
    from ..frames import interpolate
    from ..models.interpolation import load_interpolator

    model: Any = None
    if arguments.model != PLAIN["interpolate"]:
        model = load_interpolator(arguments.model, device=arguments.device)
    fps = stream.fps * arguments.factor if arguments.fps is None else arguments.fps
    fit = _fit(stream, arguments, interpolator=model)
    return interpolate(_with_cuts(stream, arguments, progress), fps, model=model, fit=fit)


def _upscaled(stream: FrameStream, arguments: argparse.Namespace, progress: Progress) -> FrameStream:
    from ..frames import upscale
    from ..frames.steady import steady
    from ..models.upscaling import load_upscaler, own_scale

    scale = own_scale(stream, arguments.scale, arguments.size)
    model: Any = None
    if arguments.model != PLAIN["upscale"]:
        own = {"scale": scale, "strength": arguments.strength} if arguments.model is None else {}
        model = load_upscaler(arguments.model, device=arguments.device, **own)
    calm = (0.0 if model is None else CALM) if arguments.steady is None else arguments.steady
    if calm or getattr(model, "radius", 0):
        stream = _with_cuts(stream, arguments, progress)
    fit = _fit(stream, arguments, upscaler=model)
    made = upscale(stream, arguments.scale, arguments.size, model=model, fit=fit)
    return steady(made, calm)


def _fit(stream: FrameStream, arguments: argparse.Namespace, **models: Any) -> Fit:
    """The stage's batch and tiles, as asked for or as the bound on memory allows."""
    from ..frames.fit import Fit
    from ..frames.memory import plan_memory
    from ..frames.upscale import target_size

    if arguments.memory is None:
        return Fit(tile=arguments.tile)
    upscaled = arguments.command == "upscale"
    size = target_size(stream, arguments.scale, arguments.size) if upscaled else None
    return plan_memory(stream, arguments.memory, size=size, **models)[upscaled]


def _with_cuts(stream: FrameStream, arguments: argparse.Namespace, progress: Progress) -> FrameStream:
    from ..frames.cuts import with_cuts

    return stream if arguments.cuts == "none" else with_cuts(stream, progress=progress)
