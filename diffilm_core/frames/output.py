"""Where a result goes: checked before the work starts, written under a temporary name, renamed when whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import DiffilmError

SUFFIXES = (".mp4", ".gif", ".webp")


def check_output(path: str | os.PathLike[str], suffixes: Collection[str] = SUFFIXES) -> Path:
    """`path` as a Path when a file can be written there with a suffix we know; to be called before the slow part.

    Raises DiffilmError for an unknown suffix, a folder of that name, a missing folder or one without write access.
    """
    path = Path(path)
    if path.suffix.lower() not in suffixes:
        raise DiffilmError(
            f"output {path}: got suffix {path.suffix or '(none)'!r}, expected one of {', '.join(sorted(suffixes))}; "
            "rename the output"
        )
    if path.is_dir():
        raise DiffilmError(f"output {path}: it is a folder, expected a file name; give the file another name")
    folder = path.absolute().parent
    if not folder.is_dir():
        raise DiffilmError(f"output {path}: there is no folder {folder}, expected one to write to; create it first")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DiffilmError(
            f"output {path}: cannot write to {folder} ({error.strerror or error}), expected a writable folder; "
            "choose another one"
        ) from error
    return path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, renamed to it at the end; removed on any error, cancel or Ctrl-C.

    OSErrors of the body come out as DiffilmError.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}.", suffix=f".part{path.suffix}", dir=path.absolute().parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        raise DiffilmError(
            f"cannot write {path} ({error.strerror or error}): expected a folder with room; free space there"
        ) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
