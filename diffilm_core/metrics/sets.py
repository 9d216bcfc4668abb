"""What is measured: a file, a folder of pictures, or a folder of clips, one item in memory at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import DiffilmError
from ..frames import FrameStream, read
from ..frames.images import USUAL_FPS
from ..frames.progress import Progress

VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".gif", ".apng")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
FRAMES = 16
"""Frames of a clip that are measured, of folders."""
STARTS = ("first", "middle")


@dataclass(frozen=True)
class Cut:
    """What is taken of each clip: `frames` (None: all) at `fps` (None: its own) from its start or its middle; and of
    each frame: `size` (width, height), the middle of it scaled (None: as it is)."""

    frames: int | None = FRAMES
    fps: Fraction | None = None
    start: str = "first"
    size: tuple[int, int] | None = None

    def indices(self, stream: FrameStream) -> range | list[int]:
        """The numbers of the frames that are taken. Fewer than `frames` where the clip is too short."""
        step = stream.fps / self.fps if self.fps else Fraction(1)
        there = int((stream.frames - 1) / step) + 1
        count = there if self.frames is None else min(self.frames, there)
        first = int((stream.frames - step * (count - 1)) / 2) if self.start == "middle" else 0
        return [min(stream.frames - 1, first + int(step * at)) for at in range(count)]


@dataclass(frozen=True)
class MediaSet:
    """Items to measure. `moving`: they are clips, else pictures; a picture is a clip of one frame.

    streams: the clips themselves where they are in no file; then `items` are only their names.
    """

    path: Path
    items: tuple[Path, ...]
    moving: bool
    cut: Cut
    streams: tuple[FrameStream, ...] = ()

    @property
    def names(self) -> list[str]:
        """Each item's name within the folder, without its suffix: what pairs one set with another."""
        if self.path not in self.items and not self.streams:
            return [item.relative_to(self.path).with_suffix("").as_posix() for item in self.items]
        return [item.stem for item in self.items]

    def limited(self, count: int | None) -> MediaSet:
        return self if count is None else replace(self, items=self.items[:count], streams=self.streams[:count])

    def stream(self, index: int) -> FrameStream:
        """A clip, whole. Raises DiffilmError for a file that cannot be read."""
        return self.streams[index] if self.streams else _opened(self.items[index])

    def load(self, index: int) -> Tensor:
        """Frames `(t, h, w, 3)` in [0, 1]. Raises DiffilmError, naming the file, for what cannot be read."""
        if self.moving:
            stream = self.stream(index)
            frames = _pulled(stream, self.cut.indices(stream))
        else:
            frames = read_picture(self.items[index])[None]
        return frames if self.cut.size is None else fitted(frames, self.cut.size)

    def check(self, progress: Progress | None = None) -> None:
        """Raises DiffilmError for a clip with fewer frames than are taken of each, before anything is measured."""
        if not self.moving or self.cut.frames is None:
            return
        for at, item in enumerate(self.items):
            found = len(self.cut.indices(self.stream(at)))
            if found < self.cut.frames:
                rate = f" at {float(self.cut.fps):g} a second" if self.cut.fps else ""
                raise DiffilmError(
                    f"{item} has {found} frames{rate}, expected {self.cut.frames} of every clip: take fewer "
                    f"(--frames {found}) or remove it"
                )
            if progress is not None:
                progress("looking at the clips", at + 1, len(self.items), item.name)


def open_set(path: str | Path, cut: Cut | None = None) -> MediaSet:
    """A video or picture; a folder of videos or of folders of frames (clips); or a folder of pictures.

    Folders are searched to the bottom, hidden files left out. cut: None takes 16 frames of each clip of a folder and
    all of a single one. Raises DiffilmError for a path that is missing, holds neither, or both.
    """
    path = Path(path)
    if path.is_file():
        moving = path.suffix.lower() in VIDEOS or not _is_picture(path)
        return MediaSet(path, (path,), moving, cut or Cut(frames=None))
    if not path.is_dir():
        raise DiffilmError(f"{path}: no such file or folder, expected clips or pictures; check the name")
    there = [each for each in path.rglob("*") if each.is_file() and not _hidden(each.relative_to(path))]
    videos = [each for each in there if each.suffix.lower() in VIDEOS]
    pictures = [each for each in there if each.suffix.lower() in PICTURES]
    animated = {each for each in pictures if each.suffix.lower() == ".webp" and not _is_picture(each)}
    videos, pictures = [*videos, *animated], [each for each in pictures if each not in animated]
    if videos and pictures:
        raise DiffilmError(
            f"folder {path} holds {len(videos)} videos and {len(pictures)} pictures, expected one kind: name a folder "
            "with one"
        )
    if not videos and not pictures:
        raise DiffilmError(f"folder {path} holds no clip and no picture: expected {', '.join(VIDEOS + PICTURES)}")
    if pictures and not any(each.parent == path for each in pictures) and _numbered(pictures):
        return MediaSet(path, _sorted({each.parent for each in pictures}), True, cut or Cut())
    return MediaSet(path, _sorted(videos or pictures), bool(videos), cut or Cut())


def of_streams(name: str, streams: Sequence[FrameStream], cut: Cut | None = None) -> MediaSet:
    """Clips that are in no file; cut: None takes all of a single one, 16 frames of each of several. Raises DiffilmError
    where there is none."""
    if not streams:
        raise DiffilmError(f"{name}: there is no clip, expected at least one")
    items = tuple(Path(f"{name} {at + 1}") for at in range(len(streams)))
    return MediaSet(Path(name), items, True, cut or Cut(frames=None if len(streams) == 1 else FRAMES), tuple(streams))


def pairs(made: MediaSet, real: MediaSet) -> list[tuple[int, int]]:
    """Which item of `made` belongs to which of `real`: those of one name; two single files; streams in their order.

    Raises DiffilmError where a name of `made` has none in `real`.
    """
    if made.streams and real.streams and len(made.items) == len(real.items):
        return [(at, at) for at in range(len(made.items))]
    if len(made.items) == len(real.items) == 1:
        return [(0, 0)]
    there = {name: index for index, name in enumerate(real.names)}
    missing = [name for name in made.names if name not in there]
    if missing:
        raise DiffilmError(
            f"{len(missing)} of {len(made.items)} in {made.path} have no partner of the same name in {real.path} "
            f"(the first: {missing[0]}): PSNR, SSIM and LPIPS compare pairs; name them alike, or leave these out"
        )
    return [(index, there[name]) for index, name in enumerate(made.names)]


def read_picture(path: Path) -> Tensor:
    """`(h, w, 3)` in [0, 1]. Raises DiffilmError for what is none."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            return torch.from_numpy(np.array(ImageOps.exif_transpose(image).convert("RGB"))).float() / 255
    except (OSError, SyntaxError, ValueError) as error:
        raise DiffilmError(f"picture {path}: cannot be read ({error}), expected a whole one; make it again") from error


def fitted(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle of frames `(t, h, w, 3)` with the shape of `size` (width, height), scaled to it (bicubic,
    antialiased)."""
    width, height = size
    h, w = frames.shape[1:3]
    if (w, h) == (width, height):
        return frames
    across, down = (round(h * width / height), h) if w * height > h * width else (w, round(w * height / width))
    x, y = (w - across) // 2, (h - down) // 2
    middle = frames[:, y : y + down, x : x + across].permute(0, 3, 1, 2)
    return F.interpolate(middle, (height, width), mode="bicubic", antialias=True).clamp(0, 1).permute(0, 2, 3, 1)


def _opened(item: Path) -> FrameStream:
    """A clip of a file, or of a folder of frames of any kind (at what the first says, or 24 a second)."""
    if not item.is_dir():
        return read(item)
    files = _sorted(each for each in item.glob("[!.]*") if each.suffix.lower() in PICTURES)
    if files[0].suffix.lower() == ".png":
        return read(item)
    height, width = read_picture(files[0]).shape[:2]
    return FrameStream(
        lambda: (read_picture(each)[None] for each in files),
        width=width, height=height, fps=Fraction(USUAL_FPS), frames=len(files),
    )  # fmt: skip


def _pulled(stream: FrameStream, wanted: Iterable[int]) -> Tensor:
    """The frames of these rising numbers; a number may come again."""
    left = list(wanted)
    found: list[Tensor] = []
    for at, frame in enumerate(islice((frame for chunk in stream for frame in chunk), left[-1] + 1)):
        while left and left[0] == at:
            found.append(frame)
            left.pop(0)
    return torch.stack(found)


def _is_picture(path: Path) -> bool:
    """Whether PIL reads it, and as one frame."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return getattr(image, "n_frames", 1) == 1
    except (OSError, SyntaxError, ValueError):
        return path.suffix.lower() in PICTURES


def _numbered(pictures: list[Path]) -> bool:
    """Whether most pictures are named by numbers, as frames of clips are."""
    return sum(bool(re.search(r"\d+$", each.stem)) for each in pictures) > len(pictures) / 2


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def _sorted(paths: Iterable[Path]) -> tuple[Path, ...]:
    """By name, numbers as numbers."""
    return tuple(sorted(paths, key=lambda path: [
        (1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"(\d+)", str(path))
    ]))  # fmt: skip
