"""One file to its rows: a pure function of the file and the settings, in one pass and with a bounded memory."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DiffilmError
from ...frames import read, to_uint8
from ...frames.cuts import marked
from . import look, text
from .motion import Motion
from .probe import DAMAGED, check
from .probe import Unusable as Unusable
from .row import Row, motion_bucket
from .settings import SAMPLES, SIDE, Settings

Picture = NDArray[np.uint8]
HASH_RATE, HASHES = 8, 32
"""Frames a second that are hashed, until there are so many; of a longer shot half as many a second, and so on."""
CLOSE = 3
"""Frames of a shot in which text is looked for and that CLIP sees."""


def measure(path: str | Path, settings: Settings | None = None) -> list[Row]:
    """The shots of a file and their scores. `file` of each is the path as given.

    Raises Unusable for a file that is no whole video.
    """
    path, settings = Path(path), settings or Settings()
    check(path)
    _one_thread()
    caption = caption_of(path)
    rows: list[Row] = []
    try:
        stream = read(path, longest=SIDE)
        size = _size(path)
        shot = _Shot(float(stream.fps))
        start = 0
        for at, (frame, new) in enumerate(marked(stream)):
            if new:
                rows.append(
                    replace(shot.row(settings, caption, *size), file=str(path), shot=len(rows), first=start, end=at)
                )
                shot, start = _Shot(float(stream.fps)), at
            shot.add(np.asarray(to_uint8(frame)))
        last = replace(
            shot.row(settings, caption, *size), file=str(path), shot=len(rows), first=start, end=stream.frames
        )
    except (DiffilmError, RuntimeError) as error:
        raise Unusable(DAMAGED, str(error)) from error
    return [*rows, last]


class _Shot:
    """What is known of a shot so far. Of its frames some are kept, evenly spread, less than `2 * SAMPLES`."""

    def __init__(self, fps: float) -> None:
        self.fps, self.motion = fps, Motion(fps)
        self.kept: list[Picture] = []
        self.every, self.count = 1, 0
        self.hashes: list[list[int]] = []
        self.hash_every = max(1, round(fps / HASH_RATE))

    def add(self, frame: Picture) -> None:
        self.motion.add(frame)
        if self.count % self.every == 0:
            self.kept.append(frame)
            if len(self.kept) == 2 * SAMPLES:
                self.kept, self.every = self.kept[::2], self.every * 2
        if self.count % self.hash_every == 0:
            self.hashes.append(look.hashes([frame]))
            if len(self.hashes) == HASHES:
                self.hashes, self.hash_every = self.hashes[::2], self.hash_every * 2
        self.count += 1

    def row(self, settings: Settings, caption: str | None, width: int, height: int) -> Row:
        """Its scores; `width` and `height` are the file's own."""
        frames = _spread(self.kept, SAMPLES)
        close = _spread(frames, CLOSE)
        motion, edges = self.motion.motion(), look.inner(frames)
        left, top, right, bottom = edges
        aesthetic = match = None
        if settings.clip:
            from .likeness import load

            clip = load(settings.clip, settings.aesthetic)
            embedded = clip.embed(close)
            aesthetic = clip.aesthetic(embedded)
            match = clip.match(embedded, caption) if caption else None
        return Row(
            file="", shot=0, first=0, end=0, fps=self.fps, width=width, height=height,
            motion=motion, motion_bucket=None if motion is None else motion_bucket(motion),
            static=self.motion.static(), shake=self.motion.shake(),
            text=text.area(close) if settings.text and text.available() else None,
            bars=1 - (right - left) * (bottom - top), left=left, top=top, right=right, bottom=bottom,
            sharpness=look.sharpness([_cropped(frame, edges) for frame in frames]),
            aesthetic=aesthetic, match=match, caption=caption, hashes=[each for found in self.hashes for each in found],
            thumb=look.thumbnail(frames),
        )  # fmt: skip


def caption_of(path: Path) -> str | None:
    """The text beside a clip, in a file of its name that ends in .txt; None where there is none."""
    try:
        return path.with_suffix(".txt").read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def _spread(frames: list[Picture], count: int) -> list[Picture]:
    """`count` of the frames, or all where there are fewer: the middles of as many equal parts."""
    if len(frames) <= count:
        return frames
    return [frames[int((at + 0.5) * len(frames) / count)] for at in range(count)]


def _cropped(frame: Picture, edges: tuple[float, float, float, float]) -> Picture:
    height, width = frame.shape[:2]
    left, top, right, bottom = edges
    return frame[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]


def _size(path: Path) -> tuple[int, int]:
    """Width and height of the file's own frames."""
    import av

    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        return context.width, context.height


@cache
def _one_thread() -> None:
    """Files are measured side by side, each on one thread: threads within would only wait for each other."""
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
