"""Text attributes in the header of an OpenEXR file (OpenEXR File Layout, 2.0: magic, version, attributes, offsets)."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

from .patch import insert

MAGIC = b"\x76\x2f\x31\x01"
START = 8  # after magic and version
LINES = {0: 1, 1: 1, 2: 1, 3: 16, 4: 32, 5: 16, 6: 32, 7: 32, 8: 32, 9: 256}
"""Lines of a block, by compression."""


def add_attributes(path: Path, texts: Mapping[str, str]) -> None:
    """A `string` attribute for each text (names cut to 31 letters of ASCII); the offsets of the blocks move on."""
    if not texts:
        return
    added = b"".join(_attribute(key, text.encode("utf-8", "replace")) for key, text in texts.items())
    header = path.read_bytes()
    attributes = {name: (at, size) for name, _, at, size in _attributes(header)}
    table = max(at + size for at, size in attributes.values()) + 1
    window = struct.unpack_from("<4i", header, attributes["dataWindow"][0])
    lines = LINES[header[attributes["compression"][0]]]
    blocks = -(-(window[3] - window[1] + 1) // lines)
    offsets = struct.unpack_from(f"<{blocks}Q", header, table)
    with path.open("rb+") as file:
        file.seek(table)
        file.write(struct.pack(f"<{blocks}Q", *(offset + len(added) for offset in offsets)))
    insert(path, START, added)


def read_attributes(path: Path) -> dict[str, str]:
    """The texts in its header; empty for a file that is none."""
    data = path.read_bytes()
    if data[:4] != MAGIC:
        return {}
    return {
        name: data[at : at + size].decode("utf-8", "replace")
        for name, kind, at, size in _attributes(data)
        if kind == "string"
    }


def _attribute(name: str, value: bytes) -> bytes:
    short = name.encode("ascii", "replace")[:31] or b"comment"
    return short + b"\x00string\x00" + struct.pack("<I", len(value)) + value


def _attributes(data: bytes) -> Iterator[tuple[str, str, int, int]]:
    """Name, type, place and size of each."""
    at = START
    while at < len(data) and data[at]:
        name, kind, _ = data[at : at + 600].split(b"\x00", 2)
        at += len(name) + len(kind) + 2
        size = struct.unpack_from("<I", data, at)[0]
        at += 4
        yield name.decode("ascii", "replace"), kind.decode("ascii", "replace"), at, size
        at += size
