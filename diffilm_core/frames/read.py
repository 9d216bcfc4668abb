"""A file to a stream: any video that FFmpeg knows, pictures that move, folders of frames. Nothing is decoded before it
is pulled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import DiffilmError
from .audio import audio_stream
from .images import frame_files, is_frames, metadata_of_frame, read_frames
from .pixels import reduced, to_rgb
from .png import read_texts
from .stream import CHUNK, FrameStream, stacked

ANIMATIONS = (".gif", ".webp")
THEIRS = ("major_brand", "minor_version", "compatible_brands", "encoder", "creation_time")
"""What containers say of themselves."""


def read(path: str | PathLike[str], *, fps: Fraction | None = None, longest: int | None = None) -> FrameStream:
    """The pictures of a video file at its frame rate, and its sound, where it has some, in `audio`.

    The frames are counted in the file, not taken from its header. Colours go by the file's own matrix and range
    tags; untagged Y'CbCr is taken as limited-range BT.709 from 720 lines up and BT.601 below. A variable rate becomes
    the mean one (GIF and WebP frames that last longer are repeated). A folder or a pattern such as `name_%05d.png`:
    PNG or EXR frames at `fps`, None: as they say, or 24 a second. `longest`: pixels of the longer side, to which larger
    frames are reduced before their colours are converted, which is quicker by as much. Raises DiffilmError for a file
    that is missing, is no video, or (while iterating) ends early.
    """
    path = Path(path)
    if is_frames(path):
        return read_frames(path, fps, longest)
    _check_there(path)
    return (_read_animation if path.suffix.lower() in ANIMATIONS else _read_video)(path, longest)


def _fitted(width: int, height: int, longest: int | None) -> tuple[int, int]:
    """Width and height within a square of `longest` pixels, in the same shape; as they are where they fit."""
    if longest is None or max(width, height) <= longest:
        return width, height
    return max(1, round(width * longest / max(width, height))), max(1, round(height * longest / max(width, height)))


def read_window(path: str | PathLike[str], first: int, frames: int, stride: int = 1) -> Tensor:
    """`(frames, h, w, 3)` in [0, 1]: every `stride`-th frame of a file from `first` on, without decoding what is far
    before it.

    The place is found by time, at the file's mean rate. Raises DiffilmError as `read` does, and where the file ends
    before.
    """
    path = Path(path)
    wanted = {first + stride * number for number in range(frames)}
    if path.suffix.lower() in ANIMATIONS or is_frames(path):
        rows = [frame for at, frame in enumerate(f for chunk in read(path) for f in chunk) if at in wanted]
    else:
        rows = list(_from(path, first, wanted))
    if len(rows) != frames:
        raise DiffilmError(f"video {path}: got {len(rows)} of {frames} frames from {first} on; the file is damaged")
    return torch.stack(rows)


def _from(path: Path, first: int, wanted: set[int]) -> Iterator[Tensor]:
    with _opened(path) as (container, video):
        video.thread_type = "AUTO"
        fps = video.average_rate or video.guessed_rate or Fraction(25)
        origin = video.start_time or 0
        container.seek(origin + int(first / fps / video.time_base), stream=video)
        for frame in container.decode(video):
            at = round((frame.pts - origin) * video.time_base * fps)
            if at in wanted:
                yield to_rgb(frame)
            if at >= max(wanted):
                return


def read_metadata(path: str | PathLike[str]) -> dict[str, str]:
    """The texts that `write` put into a file: `title`, `comment` and others; empty when there is none."""
    path = Path(path)
    if is_frames(path):
        return metadata_of_frame(frame_files(path)[0])
    _check_there(path)
    suffix = path.suffix.lower()
    if suffix in (".png", ".apng", ".exr"):
        return read_texts(path) if suffix != ".exr" else metadata_of_frame(path)
    if suffix not in ANIMATIONS:
        with _opened(path) as (container, _):
            return {key.lower(): text for key, text in container.metadata.items() if key.lower() not in THEIRS}
    from PIL import Image

    with Image.open(path) as image:
        text = image.getexif().get(0x010E, "{}") if suffix == ".webp" else image.info.get("comment", b"{}")
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _check_there(path: Path) -> None:
    if not path.is_file():
        raise DiffilmError(f"video {path}: no such file, expected a video; check the name")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its first video stream; FFmpeg's errors come out as DiffilmError."""
    import av

    _check_there(path)
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise DiffilmError(f"video {path}: it holds no pictures, expected a video; choose another file")
            yield container, container.streams.video[0]
    except av.error.FFmpegError as error:
        raise DiffilmError(
            f"video {path}: cannot be read ({error.strerror or error}), expected a whole video file; "
            "check it in a player or make it again"
        ) from error


def _read_video(path: Path, longest: int | None = None) -> FrameStream:
    with _opened(path) as (container, video):
        width, height = _fitted(video.codec_context.width, video.codec_context.height, longest)
        fps = video.average_rate or video.guessed_rate or video.base_rate or Fraction(25)
        audio = audio_stream(path, container)
        frames = sum(1 for packet in container.demux(video) if packet.size and not packet.is_discard)
    if not frames:
        raise DiffilmError(f"video {path}: it holds no frames, expected at least one; choose another file")

    def decoded() -> Iterator[Tensor]:
        left = frames
        with _opened(path) as (container, video):
            video.thread_type = "AUTO"
            for frame in container.decode(video):
                if left == 0:
                    break
                left -= 1
                yield to_rgb(frame if longest is None else reduced(frame, width, height))
        if left:
            raise DiffilmError(
                f"video {path}: got {frames - left} of its {frames} frames; the file is damaged, make it again"
            )

    def make() -> Iterator[Tensor]:
        return stacked(decoded(), width, height)

    return FrameStream(make, width=width, height=height, fps=fps, frames=frames, audio=audio)


def _read_animation(path: Path, longest: int | None = None) -> FrameStream:
    from PIL import Image

    try:
        with Image.open(path) as image:
            width, height = _fitted(image.width, image.height, longest)
            times = [0.0]
            for index in range(getattr(image, "n_frames", 1)):
                image.seek(index)
                image.load()
                times.append(times[-1] + (image.info.get("duration") or 100))
    except (OSError, SyntaxError, ValueError) as error:
        raise DiffilmError(
            f"video {path}: cannot be read ({error}), expected a whole {path.suffix[1:].upper()}; make it again"
        ) from error
    fps, repeats = _constant_rate(times)

    def make() -> Iterator[Tensor]:
        ready: list[Tensor] = []
        with Image.open(path) as image:
            for index, count in enumerate(repeats):
                image.seek(index)
                shown = image.convert("RGB")
                if shown.size != (width, height):
                    shown = shown.resize((width, height), Image.Resampling.BOX)
                pixels = torch.from_numpy(np.array(shown)).float().div(255)
                for _ in range(count):
                    ready.append(pixels)
                    if len(ready) == CHUNK:
                        yield torch.stack(ready)
                        ready = []
        if ready:
            yield torch.stack(ready)

    return FrameStream(make, width=width, height=height, fps=fps, frames=sum(repeats))


def _constant_rate(times: list[float]) -> tuple[Fraction, list[int]]:
    """From the frames' start times (ms, the end last): a constant rate, and how often each frame is shown.

    GIF rounds times to 10 ms and WebP to 1 ms, so the unit is the mean over the frames near the shortest time.
    """
    lasts = [after - before for before, after in pairwise(times)]
    near = [last for last in lasts if last <= min(lasts) + 10]
    unit = sum(near) / len(near)
    total = max(1, round(times[-1] / unit))
    fps = Fraction(total * 1000) / Fraction(times[-1])
    marks = [round(time * total / times[-1]) for time in times]
    repeats = [after - before for before, after in pairwise(marks)]
    whole = max(1, round(fps))
    rounded = abs(total * 1000 / whole - times[-1]) <= min(10, times[-1] / 8)
    return (Fraction(whole) if rounded else fps.limit_denominator(1001)), repeats
