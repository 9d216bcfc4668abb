"""A story from a file: what a person saved as text, and a clear error for everything else."""

from __future__ import annotations

import codecs
import os
import re
from pathlib import Path

from ..errors import DiffilmError

# The marks that a file's first bytes may carry, the longest first: UTF-32's begins with UTF-16's.
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MOST_BYTES = 32 << 20  # ten times War and Peace
NO_TEXT = re.compile("[\x00-\x08\x0e-\x19\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")  # \x1a ends old text files


def check_text(text: str, name: str) -> str:
    """The text itself, or DiffilmError when it is blank or not text. name: what to call it in the message."""
    if not isinstance(text, str):
        raise DiffilmError(f"{name} is a {type(text).__name__}, not text; give a string")
    if not text.strip():
        raise DiffilmError(f"{name} is empty: a story of at least one sentence is needed; write one")
    if found := NO_TEXT.search(text):
        raise DiffilmError(
            f"{name} is not text: character {found.start()} is U+{ord(found[0]):04X}, which no text holds; "
            "give a plain text file in UTF-8"
        )
    return text


def read_story(path: str | Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 or UTF-32 with a byte-order mark.

    Raises DiffilmError: no such file, a folder, unreadable, endless, blank, not text.
    """
    path = Path(path)
    if os.path.isdir(path):
        raise DiffilmError(f"story {path} is a folder; give a text file")
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise DiffilmError(f"no story at {path}; give the path of a text file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DiffilmError(f"story {path} cannot be read ({reason}); give a text file that can be") from None
    if len(data) > MOST_BYTES:
        raise DiffilmError(f"story {path} has more than {MOST_BYTES >> 20} MiB, too long for a story; give a text file")
    encoding = next((name for mark, name in MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise DiffilmError(
            f"story {path} is not text in {encoding.removesuffix('-sig').upper()}: byte {error.start} is "
            f"0x{data[error.start]:02X}; save it as plain text in UTF-8"
        ) from None
    return check_text(text.replace("\r\n", "\n").replace("\r", "\n"), f"story {path}")
