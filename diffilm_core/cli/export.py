"""`export`: a finished movie in another format, as subtitles or as a timeline; and what every output may be asked."""

from __future__ import annotations

import argparse
from fractions import Fraction
from typing import Any

from .output import Progress, say

CODECS = ("h264", "hevc", "av1", "prores", "prores4444", "vp9", "ffv1", "webp", "webp-lossless")
"""`frames.formats.codec_names()`, here because importing that takes a second."""
WEB = ("h264", "av1", "vp9", "webp", "webp-lossless")
"""Those of them that browsers play."""


def add_output_options(parser: argparse.ArgumentParser) -> None:
    """How a file is coded; `output_options` reads them."""
    group = parser.add_argument_group("the file")
    group.add_argument(
        "--codec", default="", metavar="NAME",
        help=f"{', '.join(CODECS)} (what the suffix usually has); browsers play {', '.join(WEB)}",
    )  # fmt: skip
    group.add_argument("--bits", type=int, default=0, metavar="N", help="of a value: 8, 10, 16, 32 (the codec's)")
    group.add_argument("--crf", type=int, metavar="N", help="quality, 0 is the best (the codec's own usual one)")


def add_sound_options(parser: argparse.ArgumentParser) -> None:
    """What is heard; `sound_of` reads them."""
    group = parser.add_argument_group("the sound")
    group.add_argument("--music", metavar="FILE", help="any sound or video file, looped or cut to the film")
    group.add_argument("--music-volume", type=float, default=0.0, metavar="DB", help="louder or softer (0)")
    group.add_argument("--narration", metavar="FILE", help="speech, under which the music goes down")
    group.add_argument("--duck", type=float, default=12.0, metavar="DB", help="how far the music goes down (12)")
    group.add_argument("--fade", type=float, default=1.0, metavar="S", help="seconds of fade in and out (1)")


def output_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `frames.write` takes for these options, checked against the output's name."""
    from ..frames import check_output
    from ..frames.formats import encoding

    encoding(check_output(arguments.output), arguments.codec, arguments.bits, arguments.crf)
    return {"codec": arguments.codec, "bits": arguments.bits, "crf": arguments.crf}


def sound_of(arguments: argparse.Namespace, duration: Fraction, own: Any = None) -> Any:
    """The mix of the film's `own` sound, music and narration, as long as the film; None where there is none."""
    from ..frames import Track, mix, open_audio

    tracks = [] if own is None else [Track(own)]
    if arguments.narration:
        tracks.append(Track(open_audio(arguments.narration)))
    if arguments.music:
        duck = arguments.duck if tracks else 0.0
        tracks.append(
            Track(
                open_audio(arguments.music), volume=arguments.music_volume, loop=True, fade_in=arguments.fade,
                fade_out=arguments.fade, duck=duck,
            )
        )  # fmt: skip
    return mix(tracks, duration) if tracks else None


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("export", help="a movie in another format, its subtitles, or a timeline for an editor")
    parser.add_argument("movie", metavar="MOVIE", help="a movie file, a folder of frames, or MOVIE.diffilm")
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE",
        help=".srt, .vtt, .otio, .edl, .fcpxml, .mp4, .mov, .webm, .mkv, .gif, .webp, .apng, frames/ or "
        "frames/%%05d.exr; with --codec copy the packets stay as they are",
    )  # fmt: skip
    add_output_options(parser)
    add_sound_options(parser)


def run(arguments: argparse.Namespace) -> int:
    from ..export.movie import export

    with Progress("reading the movie") as progress:
        asked = arguments.music or arguments.narration
        path = export(
            arguments.movie, arguments.output, codec=arguments.codec, bits=arguments.bits, crf=arguments.crf,
            sound=(lambda duration, own: sound_of(arguments, duration, own)) if asked else None, progress=progress,
        )  # fmt: skip
    say(str(path))
    return 0
