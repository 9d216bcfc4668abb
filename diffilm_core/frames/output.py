"""Where a result goes, checked before the work starts."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from ..atomic import check_writable
from ..errors import DiffilmError
from .formats import FORMATS

SUFFIXES = tuple(FORMATS)
NUMBER = re.compile(r"%0?\d*d")
FRAME_NAME = "frame_%05d.png"


def check_output(path: str | os.PathLike[str], suffixes: Collection[str] = SUFFIXES) -> Path:
    """`path` as a Path when a result can be written there with a suffix we know; to be called before the slow part.

    Frames go into a folder of their own: `folder/` stands for `folder/frame_%05d.png`, and a name with `%05d` names its
    frames; the folder is to be new, empty, or one of such frames, which are replaced. Raises DiffilmError for an
    unknown suffix, a folder of that name, a name that cannot be, a missing folder or one without write access.
    """
    text = os.fspath(path)
    frames = any(FORMATS[suffix].kind == "frames" for suffix in suffixes if suffix in FORMATS)
    path = Path(text)
    if frames and text.endswith(("/", os.sep)):
        path = path / FRAME_NAME
    kinds = [s for s in suffixes if s not in FORMATS or FORMATS[s].kind != "frames"]
    if path.suffix.lower() not in suffixes:
        expected = ", ".join(sorted(kinds)) + (f", or a folder such as {path.stem}/ for frames" if frames else "")
        raise DiffilmError(
            f"output {path}: got suffix {path.suffix or '(none)'!r}, expected one of {expected}; rename the output"
        )
    if path.suffix.lower() not in kinds:
        return _check_frames(path)
    folder = path.absolute().parent
    try:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.stat()
        if path.is_dir():
            raise DiffilmError(f"output {path}: it is a folder, expected a file name; give the file another name")
        _check_folder(path, folder)
    except OSError as error:
        raise _unwritable(path, folder, error) from error
    return path


def _check_frames(path: Path) -> Path:
    if len(NUMBER.findall(path.name)) != 1 or path.name.count("%") != 1:
        raise DiffilmError(
            f"output {path}: a {path.suffix} is one picture, expected a number for each frame, such as "
            f"{path.stem.replace('%', '')}/{path.stem.replace('%', '')}_%05d{path.suffix}, or .apng for one that moves"
        )
    folder = path.absolute().parent
    pattern = frame_pattern(path)
    try:
        if folder.is_dir():
            other = next((entry.name for entry in folder.iterdir() if not pattern.fullmatch(entry.name)), None)
            if other is not None:
                raise DiffilmError(
                    f"output {path}: {folder} holds {other}, expected a new or empty folder for the frames; choose one"
                )
        _check_folder(path, folder.parent)
    except OSError as error:
        raise _unwritable(path, folder, error) from error
    return path


def frame_pattern(path: Path) -> re.Pattern[str]:
    """What matches the names that a pattern such as `name_%05d.png` stands for."""
    before, after = NUMBER.split(path.name)
    return re.compile(re.escape(before) + r"(\d+)" + re.escape(after))


def _check_folder(path: Path, folder: Path) -> None:
    if not folder.is_dir():
        raise DiffilmError(f"output {path}: there is no folder {folder}, expected one to write to; create it first")
    check_writable(folder)


def _unwritable(path: Path, folder: Path, error: OSError) -> DiffilmError:
    return DiffilmError(
        f"output {path}: cannot write to {folder} ({error.strerror or error}), expected a writable folder; "
        "choose another one"
    )
