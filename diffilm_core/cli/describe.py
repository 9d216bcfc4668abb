"""`describe`: a film in words, by a captioning model of the user's own."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from .output import Progress, say


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("describe", help="a film in words, shot by shot, by a local captioning model")
    parser.add_argument("video", metavar="VIDEO", help="any file that ffmpeg reads")
    parser.add_argument(
        "--captioner", required=True, metavar="FOLDER", help="a transformers model that captions: BLIP, GIT, ..."
    )
    parser.add_argument("--against", metavar="STORY", help="a story or a plan (.json): how well each shot matches it")
    parser.add_argument("--json", action="store_true", help="everything, as JSON")
    parser.add_argument("--plan", metavar="FILE.json", help="write a storyboard that films it again")
    parser.add_argument("--device", metavar="D", help="cpu, cuda, ... (a GPU where there is one)")


def run(arguments: argparse.Namespace) -> int:
    from ..frames import read
    from ..frames.cuts import with_cuts
    from ..story import write_storyboard
    from ..story.describe import describe, load_captioner, matches
    from ..story.formats import form_of, open_storyboard

    story = arguments.against
    against = None if story is None else open_storyboard(Path(story), form_of(story))
    stream = read(arguments.video)
    captioner = load_captioner(arguments.captioner, device=arguments.device)
    with Progress("looking for cuts") as progress:
        found = describe(with_cuts(stream), captioner, progress=progress)
    scores = None if against is None else matches(found, against)
    if arguments.plan:
        write_storyboard(found.storyboard(), arguments.plan)
    if arguments.json:
        say(json.dumps(found.to_dict() | ({"matches": scores} if scores is not None else {}), indent=2))
        return 0
    for at, shot in enumerate(found.shots):
        said = f"  matches {scores[at]:.0%}" if scores is not None and at < len(scores) else ""
        say(f"{shot.seconds[0]:>8.2f} s  {shot.text}{said}")
    say("")
    say(found.text)
    return 0
