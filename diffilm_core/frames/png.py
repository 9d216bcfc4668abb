"""Text and colour in the chunks of a PNG (ISO/IEC 15948, third edition), still or animated."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from .patch import insert

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER_END = 33  # signature and IHDR
COLOUR = (b"sRGB", b"gAMA", b"cHRM", b"iCCP", b"cICP")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def add_chunks(path: Path, texts: Mapping[str, str]) -> None:
    """Marks the pictures as sRGB, unless they are tagged, and adds a text chunk for each of `texts`.

    A text is a tEXt chunk where Latin-1 holds it, as ComfyUI reads its workflows, else iTXt. Keywords are cut to 79
    bytes of Latin-1.
    """
    with path.open("rb") as file:
        tagged = any(kind in COLOUR for kind, _ in _chunks(file.read(1 << 16)))
    added = b"" if tagged else _chunk(b"sRGB", b"\x00")
    for key, text in texts.items():
        keyword = key.encode("latin-1", "replace")[:79] or b"comment"
        try:
            added += _chunk(b"tEXt", keyword + b"\x00" + text.encode("latin-1"))
        except UnicodeEncodeError:
            added += _chunk(b"iTXt", keyword + b"\x00\x00\x00\x00\x00" + text.encode("utf-8", "replace"))
    if added:
        insert(path, HEADER_END, added)


def read_texts(path: Path) -> dict[str, str]:
    """The texts before the pictures of a PNG; empty for what is none."""
    found: dict[str, str] = {}
    with path.open("rb") as file:
        if file.read(8) != SIGNATURE:
            return {}
        while len(head := file.read(8)) == 8 and (kind := head[4:]) not in (b"IDAT", b"IEND"):
            size = struct.unpack(">I", head[:4])[0]
            if kind not in (b"tEXt", b"iTXt", b"zTXt"):
                file.seek(size + 4, 1)
                continue
            keyword, _, value = file.read(size).partition(b"\x00")
            file.seek(4, 1)
            found[keyword.decode("latin-1")] = _text(kind, value)
    return found


def _text(kind: bytes, value: bytes) -> str:
    if kind == b"tEXt":
        return value.decode("latin-1")
    if kind == b"zTXt":
        return zlib.decompress(value[1:]).decode("latin-1")
    rest = value[2:].split(b"\x00", 2)[2]
    return (zlib.decompress(rest) if value[0] else rest).decode("utf-8", "replace")


def _chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Kind and place of the chunks that start in `data`, up to the first picture."""
    at = len(SIGNATURE)
    while at + 8 <= len(data) and (kind := data[at + 4 : at + 8]) != b"IDAT":
        yield kind, at
        at += 12 + int(struct.unpack(">I", data[at : at + 4])[0])
