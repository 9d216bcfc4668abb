"""`diffilm train`: one stage of training, as a configuration says."""

from __future__ import annotations

import argparse
import json
import logging
from typing import Any

from ..errors import DiffilmError
from .output import Progress, say


def add_parser(commands: Any) -> None:
    train = commands.add_parser("train", help="train a stage, such as motion from clips without text")
    train.add_argument("config", metavar="CONFIG.toml", help="as configs/motion.toml")
    train.add_argument("-o", "--output", required=True, metavar="DIR", help="checkpoints and the result; goes on there")
    train.add_argument(
        "--set", action="append", default=[], dest="changes", metavar="SECTION.KEY=VALUE",
        help="instead of the configuration's; VALUE is JSON or text; may be given many times",
    )  # fmt: skip
    train.add_argument("--device", metavar="D", help="cpu, cuda, cuda:1, mps, ... (a GPU where there is one)")


def run(arguments: argparse.Namespace) -> int:
    from ..bundle import as_device
    from ..training.table import train

    logging.getLogger("diffilm_core.training").setLevel(logging.INFO)  # its lines are the progress
    with Progress("looking through the data") as progress:
        path = train(
            arguments.config, _settings(arguments.changes), arguments.output, as_device(arguments.device), progress
        )
    say(str(path))
    return 0


def _settings(changes: list[str]) -> dict[str, Any]:
    found = {}
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise DiffilmError(f"--set {change}: expected SECTION.KEY=VALUE, such as train.steps=2000")
        try:
            found[key] = json.loads(text)
        except ValueError:
            found[key] = text
    return found
