"""Animated WebP (WebP Container Specification), each frame coded by libwebp, the container written here.

Lossy frames are Y'CbCr of BT.601 in limited range with chroma in the middle of its four pixels, as WebP decoders read
it; converted here and not by libwebp, whose means of neighbours fade colours from copy to copy. Of libwebp's presets
"icon" is the one without loop filter and spatial noise shaping: both blur every copy anew, without them the second copy
of a picture is nearly the first. Qualities whose chroma steps are 4, 12 or 20 (crf 0, 1, 10, 19, 20) still shift
colours a little with each copy, as VP8's inverse transform (RFC 6386, 14.3) rounds halves up.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from .colour import centred_planes
from .formats import Encoding
from .pixels import filled, padded, to_frame
from .stream import FrameStream, to_uint8

ANIMATED, WITH_EXIF = 0x02, 0x08
OVERWRITE = 0x02  # of a frame: do not blend
DESCRIPTION = 0x010E  # EXIF's ImageDescription
HOST_TAGS = {0x0110: "prompt", 0x010F: "workflow"}
"""Where ComfyUI writes and reads them, as `prompt:JSON` and `workflow:JSON`: EXIF's Model and Make."""


def write_webp(stream: FrameStream, path: Path, how: Encoding, metadata: Mapping[str, str]) -> None:
    """Frame by frame, each cut to what changed; equal neighbours become one longer frame. It loops.

    The metadata are an EXIF chunk: ImageDescription holds them as JSON.
    """
    flags = ANIMATED | (WITH_EXIF if metadata else 0)
    with path.open("wb") as file:
        file.write(b"RIFF\0\0\0\0WEBP")
        size = _three(stream.width - 1) + _three(stream.height - 1)
        _chunk(file, b"VP8X", bytes([flags, 0, 0, 0]) + size)
        _chunk(file, b"ANIM", b"\0\0\0\0" + b"\0\0")
        for frame, before, start, end in _changes(stream):
            milliseconds = [round(at * 1000 / stream.fps) for at in (start, end)]
            left, top, right, bottom = _box(frame, before)
            part = frame[top:bottom, left:right]
            head = [left // 2, top // 2, right - left - 1, bottom - top - 1, milliseconds[1] - milliseconds[0]]
            data = b"".join(_three(value) for value in head) + bytes([OVERWRITE])
            _chunk(file, b"ANMF", data + _coded(part.float() / 255, how))
        if metadata:
            _chunk(file, b"EXIF", _exif(metadata))
        end_of_file = file.tell()
        file.seek(4)
        file.write(struct.pack("<I", end_of_file - 8))


def _changes(stream: FrameStream) -> Iterator[tuple[Tensor, Tensor | None, int, int]]:
    """8-bit frames that differ from the one before: the frame, the one before, and where it starts and ends."""
    shown: tuple[Tensor, Tensor | None, int] | None = None
    count = 0
    for chunk in stream:
        for frame in to_uint8(chunk):
            if shown is None:
                shown = frame, None, 0
            elif not torch.equal(frame, shown[0]):
                yield *shown, count
                shown = frame, shown[0], count
            count += 1
    assert shown is not None
    yield *shown, count


def _box(frame: Tensor, before: Tensor | None) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what changed, with even left and top, as the format has them."""
    if before is None:
        return 0, 0, frame.shape[1], frame.shape[0]
    changed = (frame != before).any(-1)
    rows, columns = changed.any(1).nonzero(), changed.any(0).nonzero()
    return int(columns[0]) & ~1, int(rows[0]) & ~1, int(columns[-1]) + 1, int(rows[-1]) + 1


def _coded(rgb: Tensor, how: Encoding) -> bytes:
    """The VP8 or VP8L chunk of one picture."""
    import av

    context: Any = av.CodecContext.create(how.codec.encoder, "w")
    context.width, context.height, context.pix_fmt = rgb.shape[1], rgb.shape[0], how.pixels
    context.time_base, context.options = Fraction(1, 25), how.options()
    picture = to_frame(rgb, how.pixels) if how.codec.lossless else _yuv(rgb)
    picture.pts = 0
    data = b"".join(bytes(packet) for packet in [*context.encode(picture), *context.encode(None)])
    at = 12
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], struct.unpack("<I", data[at + 4 : at + 8])[0]
        if kind in (b"VP8 ", b"VP8L"):
            return data[at : at + 8 + size + size % 2]
        at += 8 + size + size % 2
    raise OSError("libwebp gave no picture")


def _yuv(rgb: Tensor) -> Any:
    height, width = rgb.shape[:2]
    luma, cb, cr = centred_planes(padded(rgb, 2, 2))
    planes = [plane.numpy() for plane in (luma[:height, :width], cb, cr)]
    return filled(planes, width, height, "yuv420p", np.dtype("u1"))


def _exif(metadata: Mapping[str, str]) -> bytes:
    from PIL import Image

    exif = Image.Exif()
    exif[DESCRIPTION] = json.dumps(dict(metadata))
    for tag, key in HOST_TAGS.items():
        if key in metadata:
            exif[tag] = f"{key}:{metadata[key]}"
    return exif.tobytes().removeprefix(b"Exif\x00\x00")


def _chunk(file: IO[bytes], kind: bytes, data: bytes) -> None:
    file.write(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2))


def _three(value: int) -> bytes:
    return value.to_bytes(3, "little")
