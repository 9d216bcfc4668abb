"""Files measured by the workers of a Ray cluster, which all see the folder under the same path."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from ...cluster import POLL_SECONDS, connected
from .probe import FAILED
from .settings import Settings
from .work import stamp_of
from .workers import Line, measured

RETRIES = 3
"""How often a file is measured again whose worker is lost. One that ends so many is named."""


def measured_on_ray(
    folder: Path, names: Iterable[str], settings: Settings, address: str
) -> Generator[Line, None, None]:
    """A line for each name, as they get done, a file a core. What a lost worker had in hand others take up.

    Raises DiffilmError where Ray is not installed or not reached.
    """
    folder, names = folder.resolve(), iter(names)
    ray = connected(address)
    try:
        work = ray.remote(num_cpus=1, max_retries=RETRIES)(measured)
        running: dict[Any, str] = {}
        while True:
            ahead = 2 * int(ray.cluster_resources().get("CPU", 1))
            for name in islice(names, max(0, ahead - len(running))):
                running[work.remote(folder, name, settings)] = name
            if not running:
                return
            for task in ray.wait(list(running), timeout=POLL_SECONDS)[0]:
                yield _line(ray, task, folder, running.pop(task))
    finally:
        ray.shutdown()  # which ends this run's tasks


def _line(ray: Any, task: Any, folder: Path, name: str) -> Line:
    try:
        made: Line = ray.get(task)
        return made
    except ray.exceptions.RayError as error:
        reason = f"{RETRIES + 1} processes that measured it were lost ({' '.join(str(error).split())[:100]})"
        return {"file": name, "stamp": stamp_of(folder / name), "kind": FAILED, "reason": reason}
