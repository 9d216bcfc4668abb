"""Where a result goes, checked before the work starts."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from ..atomic import check_writable
from ..errors import DiffilmError

SUFFIXES = (".mp4", ".gif", ".webp")


def check_output(path: str | os.PathLike[str], suffixes: Collection[str] = SUFFIXES) -> Path:
    """`path` as a Path when a file can be written there with a suffix we know; to be called before the slow part.

    Raises DiffilmError for an unknown suffix, a folder of that name, a name that cannot be, a missing folder or one
    without write access.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise DiffilmError(
            f"output {path}: got suffix {path.suffix or '(none)'!r}, expected one of {', '.join(sorted(suffixes))}; "
            "rename the output"
        )
    folder = path.absolute().parent
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.stat()
        if path.is_dir():
            raise DiffilmError(f"output {path}: it is a folder, expected a file name; give the file another name")
        if not folder.is_dir():
            raise DiffilmError(f"output {path}: there is no folder {folder}, expected one to write to; create it first")
        check_writable(folder)
    except OSError as error:
        raise DiffilmError(
            f"output {path}: cannot write to {folder} ({error.strerror or error}), expected a writable folder; "
            "choose another one"
        ) from error
    return path
