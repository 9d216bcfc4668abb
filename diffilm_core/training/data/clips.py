"""A folder of clips without any text: every sample is a window of one shot, decoded when it is asked for.

    files = index_clips("clips", "runs/motion/clips.json")           # decodes each file once, for its cuts
    clips = Clips(files, frames=16, size=(128, 128), fps=(4, 16), seed=0)
    pixels, fps = clips[12]                                          # uint8 (t, h, w, 3) RGB, and its frame rate

A sample depends on nothing but the seed and its number, so a stopped run sees what it would have seen. Which side of
the split a file is on depends on nothing but its name and the seed: frames of one clip are never on both.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ...atomic import written_whole
from ...errors import DiffilmError
from ...frames import read
from ...frames.cuts import detect_cuts
from ...frames.progress import Progress
from ...frames.read import read_window

log = logging.getLogger(__name__)
CURATED = "shots.parquet"
SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".gif", ".webp")


@dataclass(frozen=True)
class ClipFile:
    """A video file: `name` under its folder, its size in pixels, frames a second, and its shots `[first, end)`."""

    folder: str
    name: str
    stamp: str
    width: int
    height: int
    fps: float
    shots: tuple[tuple[int, int], ...]

    @property
    def path(self) -> Path:
        return Path(self.folder, self.name)

    def caption(self) -> str:
        """What stands in the .txt of its name beside it; "" where there is none."""
        try:
            return self.path.with_suffix(".txt").read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return ""


def index_clips(
    folder: str | Path, index: str | Path | None = None, progress: Progress | None = None
) -> list[ClipFile]:
    """The videos in a folder and those below it, with their cuts; a file that cannot be read is named and left out.

    A data set of `diffilm curate` gives the shots that it kept.

    index: a JSON file of what was found, for the next time; files that changed are read again. `progress("clips", files
    done, files, name)`. Raises DiffilmError where the folder is missing or holds no video that can be read.
    """
    root = Path(folder)
    if not root.is_dir():
        raise DiffilmError(f"clips folder {root}: no such folder, expected one with videos; check the name")
    if (root / CURATED).is_file():
        from .curated import curated_clips

        return curated_clips(root)
    paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    known = _known(Path(index)) if index is not None else {}
    files: list[ClipFile] = []
    for number, path in enumerate(paths):
        name, stamp = path.relative_to(root).as_posix(), f"{path.stat().st_size} {path.stat().st_mtime_ns}"
        found = known.get(name)
        try:
            if found is None or found.stamp != stamp:
                stream = read(path)
                shots = _shots(stream.frames, detect_cuts(stream))
                found = ClipFile("", name, stamp, stream.width, stream.height, float(stream.fps), shots)
            files.append(replace(found, folder=str(root)))
        except DiffilmError as error:
            log.warning("left out: %s", error)
        if progress is not None:
            progress("clips", number + 1, len(paths), name)
    if not files:
        raise DiffilmError(
            f"clips folder {root}: {len(paths)} files end in {', '.join(SUFFIXES)}, none can be read; expected videos"
        )
    if index is not None:
        with written_whole(Path(index)) as temporary:
            temporary.write_text(json.dumps([asdict(replace(each, folder="")) for each in files], indent=1))
    return files


def _shots(frames: int, cuts: Sequence[int]) -> tuple[tuple[int, int], ...]:
    return tuple(pairwise((0, *cuts, frames)))


def _known(index: Path) -> dict[str, ClipFile]:
    try:
        rows = [ClipFile(**{**row, "shots": tuple(map(tuple, row["shots"]))}) for row in json.loads(index.read_text())]
    except (OSError, ValueError, TypeError, KeyError):
        return {}
    return {row.name: row for row in rows}


def split(files: Sequence[ClipFile], validation: float, seed: int = 0) -> tuple[list[ClipFile], list[ClipFile]]:
    """(training, validation): a share of the files by a hash of their names, at least one where there are two."""
    if not 0 <= validation < 1:
        raise DiffilmError(f"validation {validation}: expected a share of the files from 0 to below 1; 0.05 is usual")
    order = sorted(files, key=lambda each: hashlib.sha256(f"{seed} {each.name}".encode()).digest())
    held = min(len(order) - 1, max(1, round(validation * len(order)))) if validation else 0
    return order[held:], order[:held]


class Clips(Dataset[tuple[Tensor, float]]):
    """Windows of `frames` frames at a rate drawn from `fps` (lowest, highest), cut to the shape of `size` (width,
    height) at a random place, reduced to it, mirrored half of the time. Files are drawn by how much they hold.

    Raises DiffilmError where no shot is long enough.
    """

    def __init__(
        self,
        files: Sequence[ClipFile],
        *,
        frames: int,
        size: tuple[int, int],
        fps: tuple[float, float],
        seed: int = 0,
    ) -> None:
        self.frames, self.size, self.fps, self.seed = frames, size, fps, seed
        self.shots = [
            (file, first, end)
            for file in files
            for first, end in file.shots
            if end - first >= (frames - 1) * self._stride(file, fps[1]) + 1
        ]
        if not self.shots:
            longest = max((end - first for file in files for first, end in file.shots), default=0)
            raise DiffilmError(
                f"none of {len(files)} clips has a shot of {frames} frames at {fps[1]:g} frames a second or fewer (the "
                f"longest shot has {longest} frames): train on fewer frames or give longer clips"
            )
        lengths = np.array([end - first for _, first, end in self.shots], np.float64)
        self.weights = lengths / lengths.sum()

    @staticmethod
    def _stride(file: ClipFile, rate: float) -> int:
        """Every how many of a file's frames are taken for about this rate, never above the file's own."""
        return max(1, round(file.fps / rate))

    def __getitem__(self, number: int) -> tuple[Tensor, float]:
        return self.sample(number)[1:]

    def sample(self, number: int) -> tuple[ClipFile, Tensor, float]:
        """The file that the window is of, its pixels and its frame rate."""
        rng = np.random.default_rng([self.seed, number])
        file, first, end = self.shots[rng.choice(len(self.shots), p=self.weights)]
        most = (end - first - 1) // max(1, self.frames - 1)
        stride = min(most, self._stride(file, rng.uniform(*self.fps)))
        start = int(rng.integers(first, end - (self.frames - 1) * stride))
        pixels = read_window(file.path, start, self.frames, stride)
        pixels = fitted(pixels, self.size, rng)
        return file, pixels.flip(2) if rng.random() < 0.5 else pixels, file.fps / stride


def fitted(pixels: Tensor, size: tuple[int, int], rng: np.random.Generator) -> Tensor:
    """`(t, h, w, 3)` in [0, 1], cut to the shape of `size` (width, height) at a random place, to uint8 of that size."""
    width, height = size
    scale = min(pixels.shape[2] / width, pixels.shape[1] / height)
    wide, high = round(width * scale), round(height * scale)
    x, y = (int(rng.integers(0, room + 1)) for room in (pixels.shape[2] - wide, pixels.shape[1] - high))
    pixels = pixels[:, y : y + high, x : x + wide].permute(0, 3, 1, 2)
    pixels = torch.nn.functional.interpolate(pixels, (height, width), mode="bicubic", antialias=True)
    return pixels.clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous()
