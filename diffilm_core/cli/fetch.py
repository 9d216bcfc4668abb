"""`fetch`: list the published models, or download one."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..checkpoints.fetch import DownloadFailed, fetch, models_folder
from ..checkpoints.published import PUBLISHED, PublishedModel, published, size_text
from ..errors import DiffilmError
from .output import CommandFailed, Progress, say


def run(arguments: argparse.Namespace) -> int:
    if arguments.name is None:
        for line in table():
            say(line)
        return 0
    model = published(arguments.name)
    folder = models_folder(arguments.to)
    for line in describe(model, folder):
        say(line, error=True)
    accept(model, arguments.accept_licence)
    try:
        with Progress(f"asking the hub for {model.name}") as progress:
            paths = fetch(model, folder, progress=progress)
    except DownloadFailed as error:
        raise CommandFailed(str(error)) from error
    for path in paths:
        say(str(path))
    return 0


def table() -> list[str]:
    """Every published model: name, size, licence, and the folder of its files under the models folder."""
    width = max(map(len, PUBLISHED))
    licences = max(len(model.licence.name) for model in PUBLISHED.values())
    lines = [f"{'name':<{width}}  {'size':>8}  {'licence':<{licences}}  folder", "-" * (width + licences + 40)]
    for model in PUBLISHED.values():
        folders = ", ".join(dict.fromkeys(file.folder for file in model.files))
        lines.append(f"{model.name:<{width}}  {size_text(model.size):>8}  {model.licence.name:<{licences}}  {folders}")
    return [*lines, "", f"`diffilm fetch NAME` downloads one into {models_folder()} (--to FOLDER: into another)"]


def describe(model: PublishedModel, folder: Path) -> list[str]:
    """What would be downloaded, from where, under which licence."""
    lines = [f"{model.title}, {size_text(model.size)}", f"licence: {model.licence.name}, {model.licence.url}"]
    lines += [f"  {f.repository}/{f.path}, {size_text(f.size)} -> {folder / f.target}" for f in model.files]
    return lines


def accept(model: PublishedModel, given: bool) -> None:
    """The user's yes to the licence. Raises DiffilmError without one."""
    if given:
        return
    asked = sys.stdin is not None and sys.stdin.isatty()
    if asked:
        sys.stderr.write(f"Do you accept the licence ({model.licence.name})? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
    what = "was not accepted" if asked else "has to be accepted"
    raise DiffilmError(
        f"the licence of {model.name} ({model.licence.name}, {model.licence.url}) {what}: read it, then give "
        "--accept-licence"
    )
