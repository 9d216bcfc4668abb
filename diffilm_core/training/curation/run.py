"""A folder of clips to a curated data set: measured file by file, decided afterwards, with a table and a report.

summary = curate("clips", "curated", workers=4)                        # goes on where it was stopped
summary = decide("curated", Thresholds(max_text=0.1))                  # other thresholds, nothing measured again
for shot in kept_shots("curated", ["file", "first", "end"]): ...
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ...errors import DiffilmError
from ...frames.progress import Progress
from . import text
from .cluster import measured_on_ray
from .decide import Duplicates, reasons
from .report import Report
from .row import Row
from .settings import Settings, Thresholds
from .table import TableWriter, need_libraries
from .work import WorkFile, files_in, stamp_of
from .workers import all_measured

log = logging.getLogger(__name__)


@dataclass
class Summary:
    """What came out. `fell` counts each shot once for every reason; `broken`: (file, kind, reason), the first hundred;
    `missing`: scores that no shot has, and what they need."""

    shots: int = 0
    kept: int = 0
    seconds: float = 0.0
    kept_seconds: float = 0.0
    files: int = 0
    fell: Counter[str] = field(default_factory=Counter)
    broken_count: Counter[str] = field(default_factory=Counter)
    broken: list[tuple[str, str, str]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)


def curate(
    folder: str | Path,
    dataset: str | Path,
    *,
    settings: Settings | None = None,
    thresholds: Thresholds | None = None,
    workers: int = 1,
    ray: str = "",
    progress: Progress | None = None,
) -> Summary:
    """Measures what is new in `folder` into `dataset`, then `decide`s.

    ray: instead of `workers` here, those of the cluster at this address (`cluster.connected`), which see the folder
    under the same path. `progress("measuring", files done, files, name)`. Raises DiffilmError for a folder that is
    missing or empty, a CLIP or head that cannot be loaded, a data set of another folder or other settings, missing
    libraries and a cluster that is not reached.
    """
    need_libraries()
    folder, dataset = Path(folder), Path(dataset)
    if not folder.is_dir():
        raise DiffilmError(f"clips folder {folder}: no such folder, expected one with videos; check the name")
    total = sum(1 for _ in files_in(folder))
    if not total:
        raise DiffilmError(f"clips folder {folder}: it holds no files, expected videos; check the name")
    settings = settings or Settings()
    if settings.text and not text.available():
        log.warning("text is not looked for: pip install 'diffilm[ocr]'")
        settings = replace(settings, text=False)
    if settings.clip:
        from .likeness import load

        load(settings.clip, settings.aesthetic)
    with WorkFile(dataset, folder, settings) as work:
        done = 0

        def names() -> Iterator[str]:
            nonlocal done
            for name in files_in(folder):
                if work.knows(name, stamp_of(folder / name)):
                    done += 1
                else:
                    yield name

        found = measured_on_ray(folder, names(), settings, ray) if ray else None
        with closing(found or all_measured(folder, names(), settings, workers)) as lines:
            for line in lines:
                work.append(line)
                done += 1
                if "kind" in line:
                    log.warning("left out: %s: %s: %s", line["file"], line["kind"], line["reason"])
                if progress is not None:
                    progress("measuring", done, total, line["file"])
        work.refresh()
        return _decided(work, dataset, thresholds or Thresholds(), progress)


def decide(dataset: str | Path, thresholds: Thresholds | None = None, progress: Progress | None = None) -> Summary:
    """Table and report again, from what was measured. Raises DiffilmError where nothing was."""
    need_libraries()
    with WorkFile(Path(dataset), None, None) as work:
        return _decided(work, Path(dataset), thresholds or Thresholds(), progress)


def _decided(work: WorkFile, dataset: Path, thresholds: Thresholds, progress: Progress | None) -> Summary:
    leaders = _duplicates(work, thresholds)
    named = _names(work, set(leaders.values()))
    summary, report = Summary(), Report(thresholds)
    metadata = {**work.head, "thresholds": asdict(thresholds)}
    with TableWriter(dataset, metadata) as table:
        number = 0
        for line in work.lines():
            summary.files += 1
            if "kind" in line:
                summary.broken_count[line["kind"]] += 1
                if len(summary.broken) < 100:
                    summary.broken.append((line["file"], line["kind"], line["reason"]))
            for values in line.get("rows", ()):
                row = Row.from_json(values)
                fell = reasons(row, thresholds)
                other = named.get(leaders.get(number, -1))
                if other is not None:
                    fell.append("duplicate")
                number += 1
                table.add(row, fell, other)
                report.add(row, fell, other)
                _count(summary, row, fell)
            if progress is not None:
                progress("deciding", summary.files, 0, "")
    summary.missing = report.missing(work.head["settings"])
    report.write(dataset / "report.html", summary, work.head)
    return summary


def _count(summary: Summary, row: Row, fell: list[str]) -> None:
    summary.shots += 1
    summary.seconds += row.seconds
    summary.fell.update(fell)
    if not fell:
        summary.kept += 1
        summary.kept_seconds += row.seconds


def _rows(work: WorkFile) -> Iterator[Row]:
    for line in work.lines():
        yield from (Row.from_json({**values, "thumb": ""}) for values in line.get("rows", ()))


def _duplicates(work: WorkFile, thresholds: Thresholds) -> dict[int, int]:
    """By the number of a shot that repeats a better one: that one's."""
    if thresholds.duplicate_bits is None:
        return {}
    found = Duplicates(thresholds.duplicate_bits, thresholds.duplicate_share)
    for number, row in enumerate(_rows(work)):
        found.add(number, row, stays=not reasons(row, thresholds))
    return found.leaders()


def _names(work: WorkFile, wanted: set[int]) -> dict[int, str]:
    if not wanted:
        return {}
    return {number: f"{row.file}#{row.shot}" for number, row in enumerate(_rows(work)) if number in wanted}
