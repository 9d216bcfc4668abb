"""The work file of a curation: a line of JSON for every file that was measured, so that it can be stopped and goes on.

The first line says what was measured and how. A line that a kill cut short is dropped at the next start; of two lines
of one file the last counts. Names are known by 64 bits of their hash, so that a million files cost 24 MB.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ...errors import DiffilmError
from .settings import Settings

NAME = "files.jsonl"
VERSION = 1
BESIDE = (".txt", ".json", ".jsonl", ".csv", ".tsv", ".srt", ".vtt", ".md", ".toml", ".html", ".parquet")
"""Endings of what lies beside clips; such files are passed over without a word."""


def files_in(folder: Path) -> Iterator[str]:
    """The names under `folder`, with slashes, folder by folder in order; nothing hidden, nothing of `BESIDE`."""
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and not name.lower().endswith(BESIDE):
                yield Path(at, name).relative_to(folder).as_posix()


def stamp_of(path: Path) -> str:
    """Size and time of a file: what says that it is still the one that was measured. "" where it has gone."""
    try:
        found = path.stat()
    except OSError:
        return ""
    return f"{found.st_size} {found.st_mtime_ns}"


def digest(*parts: str) -> int:
    return int.from_bytes(
        hashlib.blake2b("\0".join(parts).encode("utf-8", "surrogateescape"), digest_size=8).digest(), "big"
    )


class WorkFile:
    """`knows` says what need not be measured again, `append` adds a line, `lines` gives those that count.

    Raises DiffilmError where the file is of another folder or of other settings, or another process has it.
    """

    def __init__(self, dataset: Path, folder: Path | None, settings: Settings | None) -> None:
        self.path = dataset / NAME
        self.file: BinaryIO | None = None
        if folder is not None:
            dataset.mkdir(parents=True, exist_ok=True)
            self.file = self.path.open("ab+")
            _lock(self.file)
        self.head = self._head(folder, settings)
        self.names, self.stamps = self._index()
        self.order = np.argsort(self.names, kind="stable")

    def __enter__(self) -> WorkFile:
        return self

    def __exit__(self, *_: object) -> None:
        if self.file is not None:
            self.file.close()

    def _head(self, folder: Path | None, settings: Settings | None) -> dict[str, Any]:
        try:
            with self.path.open("rb") as file:
                first = file.readline()
        except OSError as error:
            raise DiffilmError(f"{self.path}: nothing was measured there; give the folder of clips too") from error
        if not first.endswith(b"\n") and self.file is not None and folder is not None and settings is not None:
            head = {"curation": VERSION, "folder": str(folder.resolve()), "settings": asdict(settings)}
            self.file.truncate(0)
            self._write(head)
            return head
        try:
            head = json.loads(first)
            found = head["folder"], head["settings"], head["curation"]
        except (ValueError, KeyError, TypeError) as error:
            raise DiffilmError(f"{self.path} is no work file of a curation: choose another data set") from error
        if found[2] != VERSION:
            raise DiffilmError(f"{self.path} is of version {found[2]}, expected {VERSION}: choose another data set")
        if folder is not None and settings is not None:
            wanted = str(folder.resolve()), asdict(settings)
            for name, was, now in zip(("folder", "settings"), found, wanted, strict=False):
                if was != now:
                    raise DiffilmError(
                        f"{self.path} was measured with {name} {was}, now {now}: choose another data set, or delete it"
                    )
        return head

    def _index(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Hashes of the names and stamps of the whole lines; what follows the last of them is cut off."""
        names, stamps, whole = [], [], 0
        with self.path.open("rb") as file:
            for number, line in enumerate(file):
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                if number:
                    found = self._parsed(line)
                    names.append(digest(found["file"]))
                    stamps.append(digest(found["file"], found["stamp"]))
        if self.file is not None and whole < self.path.stat().st_size:
            self.file.truncate(whole)
        return np.array(names, np.uint64), np.array(stamps, np.uint64)

    def _parsed(self, line: bytes) -> dict[str, Any]:
        try:
            return dict(json.loads(line))
        except ValueError as error:
            raise DiffilmError(f"{self.path} holds a broken line: delete that line, or the file") from error

    def knows(self, name: str, stamp: str) -> bool:
        """Whether this very file was measured, when the work file was opened."""
        end = int(np.searchsorted(self.names, digest(name), "right", sorter=self.order))
        return end > 0 and int(self.stamps[self.order[end - 1]]) == digest(name, stamp)

    def append(self, line: dict[str, Any]) -> None:
        self._write(line)

    def _write(self, line: dict[str, Any]) -> None:
        assert self.file is not None
        self.file.write(json.dumps(line).encode() + b"\n")
        self.file.flush()

    def lines(self) -> Iterator[dict[str, Any]]:
        """The last line of every file, in the order of the work file. Index again after `append` by `refresh`."""
        last: dict[int, int] | None = None
        unique, first = np.unique(self.names[::-1], return_index=True)
        if len(unique) < len(self.names):
            last = {int(name): len(self.names) - 1 - int(at) for name, at in zip(unique, first, strict=True)}
        with self.path.open("rb") as file:
            next(file)
            for number, line in enumerate(file):
                found = self._parsed(line)
                if last is None or last[digest(found["file"])] == number:
                    yield found

    def refresh(self) -> None:
        self.names, self.stamps = self._index()
        self.order = np.argsort(self.names, kind="stable")


def _lock(file: BinaryIO) -> None:
    """Keeps the file to this process, where the system can."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DiffilmError(f"another process is curating into {file.name}: wait for it, or end it") from error
    except OSError:  # a file system without locks
        return
