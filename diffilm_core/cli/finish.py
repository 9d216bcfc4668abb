"""`interpolate` and `upscale`: more frames a second and more pixels for any clip."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DiffilmError
from .output import Progress, say

if TYPE_CHECKING:
    from ..frames import FrameStream

PLAIN = {"interpolate": "blend", "upscale": "bicubic"}
"""What needs no network."""


def run(arguments: argparse.Namespace) -> int:
    from ..frames import check_output, read, write
    from .export import output_options

    output = output_options(arguments)
    check_output(arguments.output)
    if Path(arguments.output).exists() and Path(arguments.output).samefile(arguments.input):
        raise DiffilmError(f"output {arguments.output} is the input: expected another name; nothing was changed")
    with Progress("reading the clip") as progress:
        stream = read(arguments.input)
        made = {"interpolate": _interpolated, "upscale": _upscaled}[arguments.command](stream, arguments, progress)
        path = write(made, arguments.output, progress=progress, **output)
    say(str(path))
    return 0


def _interpolated(stream: FrameStream, arguments: argparse.Namespace, progress: Progress) -> FrameStream:
    from ..finishing import load_interpolator
    from ..frames import interpolate

    fps = stream.fps * arguments.factor if arguments.fps is None else arguments.fps
    model: Any = None
    if arguments.model != PLAIN["interpolate"]:
        model = load_interpolator(arguments.model, device=arguments.device)
    return interpolate(_with_cuts(stream, arguments, progress), fps, model=model, fit=_fit(arguments, stream, model))


def _upscaled(stream: FrameStream, arguments: argparse.Namespace, progress: Progress) -> FrameStream:
    from ..finishing import load_upscaler
    from ..frames import steady, upscale

    size: dict[str, Any] = {"scale": arguments.scale} if arguments.size is None else {"size": arguments.size}
    model: Any = None
    if arguments.model != PLAIN["upscale"]:
        model = load_upscaler(arguments.model, device=arguments.device)
    if arguments.steady or getattr(model, "radius", 0):
        stream = _with_cuts(stream, arguments, progress)
    made = upscale(stream, **size, model=model, fit=_fit(arguments, stream, model))
    return steady(made, stream, arguments.steady) if arguments.steady else made


def _with_cuts(stream: FrameStream, arguments: argparse.Namespace, progress: Progress) -> FrameStream:
    from ..frames.cuts import with_cuts

    return stream if arguments.cuts == "none" else with_cuts(stream, progress=progress)
