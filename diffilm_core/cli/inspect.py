"""`inspect`: what is in a model file, and is it whole?"""

from __future__ import annotations

import argparse
import json
from typing import Any

from ..checkpoints import CheckpointInfo, inspect
from ..checkpoints.layout import ROLES, SYSTEMS
from .output import Progress, say

SHOWN = 10  # tensors that are named of those that are missing or unexpected


def run(arguments: argparse.Namespace) -> int:
    info = inspect(arguments.file)
    verdict = _verify(arguments.file) if arguments.verify else None
    if arguments.json:
        values = info.to_dict() | ({"verified": verdict} if verdict else {})
        say(json.dumps(values, indent=2, default=str))
    else:
        for line in [*lines(info), *([verdict] if verdict else [])]:
            say(line)
    return 0


def _verify(file: str) -> str:
    from ..checkpoints.verify import verify

    with Progress("reading the file") as progress:
        return verify(file, progress)


def lines(info: CheckpointInfo) -> list[str]:
    """The system; a line for each part with its layout, numbers, storage and configuration; what does not fit."""
    said = [SYSTEMS[info.system]]
    for part in info.parts:
        what = ROLES[part.role] if part.system == info.system else f"{ROLES[part.role]} of {SYSTEMS[part.system]}"
        said.append(f"  {what}: {part.layout} layout, {part.parameters:,} parameters, {part.dtype}")
        if part.role != "lora":
            said.append(f"    {_words(info.config[part.role])}")
    for title, names in (("missing", info.missing), ("unexpected", info.unexpected)):
        if names:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            said.append(f"  {title}: {', '.join(names[:SHOWN])}{more}")
    return said


def _words(config: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in config.items() if value not in (None, {}, ""))
