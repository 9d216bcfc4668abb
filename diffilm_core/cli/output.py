"""What the command says: results on stdout, everything else on stderr, a bar on what takes long."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Any

SLOW = 2.0  # seconds of the command after which bars are shown
BRIEF = 0.5  # seconds that a stage must last to be shown at all


class CommandFailed(Exception):
    """The input was right but the work failed; the command says why and exits with status 1."""


def say(line: str, *, error: bool = False) -> None:
    stream = sys.stderr if error else sys.stdout
    stream.write(line + "\n")
    stream.flush()


def complain(message: str) -> None:
    """One line on stderr, whatever the message holds."""
    say(f"diffilm: error: {' '.join(message.split())}", error=True)


class Progress:
    """A bar on stderr once the command has run for two seconds; call it with (stage, done, total, message).

    A new stage is a new bar; a total of 0 is one that nobody knows. On a terminal, what runs before the first call
    is shown by its name and a clock.
    """

    def __init__(self, preparing: str = "") -> None:
        self.start = time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.stage: str | None = None
        self.bar: Any = None
        self.visible = 0.0
        self.ready = threading.Event()
        self.clock = threading.Thread(target=self._tick, args=(preparing,), daemon=True)
        if preparing and self.terminal:
            self.clock.start()

    def _tick(self, preparing: str) -> None:
        """The seconds since the start, twice a second, until the first bar."""
        if self.ready.wait(SLOW):
            return
        while not self.ready.wait(0.5):
            sys.stderr.write(f"\r{preparing}: {time.monotonic() - self.start:.0f} s")
            sys.stderr.flush()
        sys.stderr.write("\r" + " " * (len(preparing) + 10) + "\r")

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self.ready.set()
        if self.clock.is_alive():
            self.clock.join(1)
        if self.bar is not None:
            if time.monotonic() >= self.visible:
                self.bar.delay = 0  # ends its line even where Ctrl-C came in the middle of drawing it
            self.bar.close()
            self.bar = None

    def __call__(self, stage: str, done: int, total: int, message: str = "") -> None:
        if stage != self.stage or self.bar is None:
            self.close()
            self.stage = stage
            self.bar = self._bar(stage, done, total)
        elif (total or None) != self.bar.total:
            self.bar.total = total or None
        if message:
            self.bar.set_postfix_str(message[:60], refresh=False)
        self.bar.update(done - self.bar.n)
        if total and done >= total:
            self.close()
            self.stage = None

    def _bar(self, stage: str, done: int, total: int) -> Any:
        from tqdm import tqdm

        delay = max(BRIEF, self.start + SLOW - time.monotonic())
        self.visible = time.monotonic() + delay
        return tqdm(
            total=total or None,
            desc=stage,
            initial=done,
            delay=delay,
            file=sys.stderr,
            mininterval=0.1 if self.terminal else SLOW,
            dynamic_ncols=True,
        )
