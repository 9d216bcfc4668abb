"""Files to lines of the work file, in this process or in several."""

from __future__ import annotations

import signal
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from .measure import measure
from .probe import FAILED, Unusable
from .settings import Settings
from .work import stamp_of

Line = dict[str, Any]


def measured(folder: Path, name: str, settings: Settings) -> Line:
    """The line of a file: its rows, or why there are none."""
    path = folder / name
    line: Line = {"file": name, "stamp": stamp_of(path)}
    try:
        rows = measure(path, settings)
        return {**line, "rows": [{**row.to_json(), "file": name} for row in rows]}
    except Unusable as error:
        return {**line, "kind": error.kind, "reason": str(error)}
    except Exception as error:  # one strange file must not end the measuring of a million
        return {**line, "kind": FAILED, "reason": f"{type(error).__name__}: {error}"}


def all_measured(folder: Path, names: Iterable[str], settings: Settings, workers: int) -> Generator[Line, None, None]:
    """A line for each name, as they get done. A file whose process dies is named and the others go on."""
    if workers <= 1:
        for name in names:
            yield measured(folder, name, settings)
        return
    names = iter(names)
    suspects: list[str] = []
    while True:
        pool = _Pool(folder, settings, workers)
        try:
            yield from pool.run(names)
            return
        except BrokenProcessPool:
            suspects = list(pool.running.values())
        finally:
            pool.close()
        for name in suspects:
            yield _alone(folder, name, settings)


def _alone(folder: Path, name: str, settings: Settings) -> Line:
    """The line of a file that may end its process."""
    pool = _Pool(folder, settings, 1)
    try:
        return next(pool.run(iter([name])))
    except BrokenProcessPool:
        reason = "the process that measured it died"
        return {"file": name, "stamp": stamp_of(folder / name), "kind": FAILED, "reason": reason}
    finally:
        pool.close()


class _Pool:
    def __init__(self, folder: Path, settings: Settings, workers: int) -> None:
        self.folder, self.settings, self.ahead = folder, settings, 2 * workers
        self.running: dict[Future[Line], str] = {}
        self.pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_ignore_interrupts)

    def run(self, names: Iterator[str]) -> Iterator[Line]:
        self._submit(names, self.ahead)
        while self.running:
            done, _ = wait(self.running, return_when=FIRST_COMPLETED)
            for future in done:
                line = future.result()
                del self.running[future]
                yield line
            self._submit(names, self.ahead - len(self.running))

    def _submit(self, names: Iterator[str], count: int) -> None:
        for name in islice(names, count):
            self.running[self.pool.submit(measured, self.folder, name, self.settings)] = name

    def close(self) -> None:
        """Ends at once: what is being measured is not waited for."""
        processes = list((getattr(self.pool, "_processes", None) or {}).values())
        self.pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the first process's to answer
