"""Bytes put into a file in place, however long it is."""

from __future__ import annotations

from pathlib import Path

BLOCK = 1 << 20


def insert(path: Path, at: int, data: bytes) -> None:
    """`data` at byte `at`; what was there moves on, a block at a time from the end."""
    with path.open("rb+") as file:
        end = file.seek(0, 2)
        while end > at:
            start = max(at, end - BLOCK)
            file.seek(start)
            block = file.read(end - start)
            file.seek(start + len(data))
            file.write(block)
            end = start
        file.seek(at)
        file.write(data)
