"""A folder of frames: PNG of 8 or 16 bits (sRGB), OpenEXR of half or float (linear light, as its readers expect).

The first frame carries the metadata and, as `fps`, the frame rate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import DiffilmError
from .exr import add_attributes, read_attributes
from .formats import Encoding
from .output import NUMBER, frame_pattern
from .pixels import to_frame, to_rgb
from .png import add_chunks, read_texts
from .stream import CHUNK, FrameStream, as_fps

SUFFIXES = (".png", ".exr")
USUAL_FPS = 24
"""Frames a second of a folder that does not say."""


def write_frames(stream: FrameStream, pattern: Path, how: Encoding, metadata: Mapping[str, str]) -> None:
    """Each frame as a file named by `pattern`, counted from 1."""
    texts: Mapping[str, str] = {**metadata, "fps": str(stream.fps)}
    number = 0
    for chunk in stream:
        for frame in chunk:
            number += 1
            path = pattern.with_name(pattern.name % number)
            path.write_bytes(encoded(frame, how))
            (add_chunks if how.codec.name == "png" else add_attributes)(path, texts)
            texts = {}


def encoded(frame: Tensor, how: Encoding) -> bytes:
    """The file of one frame."""
    import av

    context: Any = av.CodecContext.create(how.codec.encoder, "w")
    context.width, context.height, context.pix_fmt = frame.shape[1], frame.shape[0], how.pixels
    context.time_base, context.options = Fraction(1, 25), how.options()
    exr = how.codec.name == "exr"
    picture = to_frame(frame, how.pixels, linear=exr, half=exr and how.bits == 16)
    picture.pts = 0
    return b"".join(bytes(packet) for packet in [*context.encode(picture), *context.encode(None)])


def is_frames(path: Path) -> bool:
    """Whether `path` is a folder, or the pattern of frames in one."""
    return path.is_dir() or (path.suffix.lower() in SUFFIXES and bool(NUMBER.search(path.name)))


def frame_files(path: Path) -> list[Path]:
    """The pictures of a folder or a pattern, by their numbers. Raises DiffilmError where there is none."""
    folder = path if path.is_dir() else path.parent
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    if path.is_dir():
        files = [each for each in there if each.suffix.lower() in SUFFIXES and not each.name.startswith(".")]
        kinds = {each.suffix.lower() for each in files}
        if len(kinds) > 1:
            raise DiffilmError(f"folder {path}: it holds .png and .exr frames, expected one kind; name them, as with "
                               "frame_%05d.png")  # fmt: skip
        files.sort(key=lambda each: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", each.name)])
    else:
        pattern = frame_pattern(path)
        numbered = [(int(found[1]), each) for each in there if (found := pattern.fullmatch(each.name))]
        files = [each for _, each in sorted(numbered)]
    if not files:
        raise DiffilmError(f"frames {path}: there is none, expected .png or .exr frames; check the name")
    return files


def read_frame(path: Path) -> Tensor:
    """One picture `(h, w, 3)` in [0, 1]. Raises DiffilmError for what is none."""
    from .read import _opened

    with _opened(path) as (container, video):
        for frame in container.decode(video):
            return to_rgb(frame, linear=path.suffix.lower() == ".exr")
    raise DiffilmError(f"frame {path}: it holds no picture, expected one; make it again")


def read_frames(path: Path, fps: Fraction | None = None, longest: int | None = None) -> FrameStream:
    """The frames of a folder or pattern at `fps`, None: at what the first one says, or 24 a second.

    longest: pixels of the longer side, to which larger frames are reduced.
    """
    files = frame_files(path)
    first = read_frame(files[0])
    rate = as_fps(fps or metadata_of_frame(files[0]).get("fps") or USUAL_FPS)

    def make() -> Iterator[Tensor]:
        for start in range(0, len(files), CHUNK):
            chunk = [read_frame(each) for each in files[start : start + CHUNK]]
            for each, frame in zip(files[start:], chunk, strict=False):
                if frame.shape != first.shape:
                    raise DiffilmError(
                        f"frame {each}: it is {frame.shape[1]}x{frame.shape[0]}, expected {first.shape[1]}x"
                        f"{first.shape[0]} like {files[0].name}; make them alike"
                    )
            yield torch.stack(chunk)

    stream = FrameStream(make, width=first.shape[1], height=first.shape[0], fps=rate, frames=len(files))
    height, width = first.shape[:2]
    if longest is None or max(width, height) <= longest:
        return stream
    size = max(1, height * longest // max(width, height)), max(1, width * longest // max(width, height))
    area = lambda frame: F.interpolate(frame.permute(2, 0, 1)[None], size, mode="area")[0].permute(1, 2, 0)  # noqa: E731
    return stream.map(area, width=size[1], height=size[0])


def metadata_of_frame(path: Path) -> dict[str, str]:
    """The texts in a PNG or EXR file."""
    return (read_texts if path.suffix.lower() == ".png" else read_attributes)(path)
