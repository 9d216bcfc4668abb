"""Files that appear whole or not at all."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import DiffilmError

STEM_BYTES = 100  # of the final name in the temporary one, which is longer and must fit into 255
STALE_SECONDS = 3600


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, renamed to it at the end; removed on any error, cancel or Ctrl-C.

    OSErrors, the body's among them, come out as DiffilmError.
    """
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{_short(path.stem)}.", suffix=f".part{path.suffix}", dir=path.absolute().parent
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        raise DiffilmError(
            f"cannot write {path} ({error.strerror or error}): expected a writable folder with room; choose another "
            "one or free space there"
        ) from error
    finally:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()


@contextmanager
def folder_written_whole(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder` that takes its name at the end; removed on any error, cancel or Ctrl-C.

    A folder of that name goes away at the end. OSErrors, the body's among them, come out as DiffilmError.
    """
    temporary: Path | None = None
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{_short(folder.name)}.", suffix=".part", dir=folder.parent))
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{_short(folder.name)}.", suffix=".part", dir=folder.parent))
            os.replace(folder, old / "old")
            try:
                os.replace(temporary, folder)
            except OSError:
                os.replace(old / "old", folder)
                raise
            finally:
                shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(temporary, folder)
    except OSError as error:
        raise DiffilmError(
            f"cannot write {folder} ({error.strerror or error}): expected a writable place with room; choose another "
            "one or free space there"
        ) from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def remove_stale(folder: Path, stem: str = "") -> None:
    """Removes what killed runs left: temporary files and folders for `stem` (any where it is "") that nobody wrote to
    for an hour."""
    name = f".{glob.escape(_short(stem))}." if stem else "."
    for path in folder.glob(f"{name}*.part*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def check_writable(folder: Path) -> None:
    """Raises OSError where no file can be made in `folder`."""
    with tempfile.TemporaryFile(dir=folder):
        pass


def _short(stem: str) -> str:
    return stem.encode("utf-8", "surrogateescape")[:STEM_BYTES].decode("utf-8", "ignore")
