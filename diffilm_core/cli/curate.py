"""`diffilm curate`: a folder of clips to a data set worth training on."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DiffilmError
from .output import Progress, say

if TYPE_CHECKING:
    from ..training.curation import Summary


def add_parser(commands: Any, count: Any) -> None:
    """`count`: what reads whole numbers of at least 1."""
    curate = commands.add_parser("curate", help="a folder of clips to a data set worth training on, with a report")
    curate.add_argument(
        "folder", nargs="?", metavar="FOLDER", help="videos, in folders or not; .txt beside are captions"
    )
    curate.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="DATASET",
        help="folder of shots.parquet and report.html; goes on there",
    )
    curate.add_argument("--report", action="store_true", help="decide and report again, without measuring")
    curate.add_argument("--thresholds", metavar="FILE.toml", help="what falls (the bounds that the report lists)")
    curate.add_argument(
        "--set", action="append", default=[], dest="changes", metavar="NAME=VALUE",
        help="one bound, such as max_text=0.1 or max_shake=none; may be given many times",
    )  # fmt: skip
    curate.add_argument(
        "--clip", default="", metavar="FOLDER", help="a CLIP of transformers: aesthetic, text-image score"
    )
    curate.add_argument(
        "--aesthetic", default="", metavar="FILE", help="LAION's aesthetic head for that CLIP (zero-shot)"
    )
    curate.add_argument("--no-text", action="store_true", help="do not look for text")
    curate.add_argument("--workers", type=count, metavar="N", help="files measured at a time (the number of cores)")
    curate.add_argument(
        "--ray", default="", metavar="ADDRESS",
        help="measure on a Ray cluster (auto, local, HOST:PORT); its machines see the folder under the same path",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> int:
    from ..training.curation import Settings, curate, decide, read_thresholds

    thresholds = read_thresholds(arguments.thresholds, arguments.changes)
    if arguments.report == (arguments.folder is not None):
        raise DiffilmError("expected a FOLDER to measure, or --report to decide again; give one of them")
    if arguments.aesthetic and not arguments.clip:
        raise DiffilmError("--aesthetic without --clip: the head needs the CLIP that it was made with; give both")
    if arguments.ray and (arguments.workers or arguments.report):
        raise DiffilmError("--ray with --workers or --report: the cluster's workers measure; leave one of them out")
    with Progress("looking through the folder") as progress:
        if arguments.report:
            summary = decide(arguments.output, thresholds, progress)
        else:
            settings = Settings(
                text=not arguments.no_text, clip=_absolute(arguments.clip), aesthetic=_absolute(arguments.aesthetic)
            )
            summary = curate(
                arguments.folder, arguments.output, settings=settings, thresholds=thresholds,
                workers=arguments.workers or os.cpu_count() or 1, ray=arguments.ray, progress=progress,
            )  # fmt: skip
    _tell(summary, Path(arguments.output))
    return 0


def _absolute(path: str) -> str:
    return str(Path(path).resolve()) if path else ""


def _tell(summary: Summary, dataset: Path) -> None:
    minutes, whole = summary.kept_seconds / 60, summary.seconds / 60
    say(f"{summary.kept} of {summary.shots} shots stay ({minutes:.1f} of {whole:.1f} minutes), {summary.files} files")
    for name, count in summary.fell.most_common():
        say(f"  {name} {count}")
    for name, kind, reason in summary.broken[:10]:
        say(f"  {name}: {kind}: {reason}")
    if sum(summary.broken_count.values()) > 10:
        say(f"  and {sum(summary.broken_count.values()) - 10} more files that could not be measured")
    for name, need in summary.missing.items():
        say(f"  {name} was not measured: it needs {need}")
    say(str(dataset / "report.html"))
