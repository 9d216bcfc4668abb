"""Where a foreign clip's shots begin: hard cuts, found from the frames.

A frame is compared with the one before in small blocks, each against the best place near by (block matching), so that
motion explains itself and a new scene does not; a cut is where the unexplained part leaps above its neighbours and is
nearly everywhere. So fast motion and noise (all high), a flash (two leaps side by side) and what pops into the picture
(a part of it) are none. The leap is large on one side only where the other shot moves fast. In idea after the adaptive
detector of PySceneDetect, on a motion-compensated difference.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from .progress import Progress
from .stream import FrameStream

SIZE = (36, 64)
BLOCKS = (6, 8)
REACH = 4
LEAST = 0.03
LEAP, LEAP_EITHER = 3.0, 1.5
"""How far a cut's score is above the larger of the two on its calmer side, and above those on either side."""
CHANGED, WIDE = 0.005, 0.6
"""A block counts as changed from here on, in values of [0, 1]; the share of blocks that a cut changes."""


def with_cuts(stream: FrameStream, *, progress: Progress | None = None) -> FrameStream:
    """`stream` with the cuts that `detect_cuts` finds; as it is where it already knows some."""
    if stream.cuts:
        return stream
    return stream.with_frames(lambda: iter(stream), cuts=detect_cuts(stream, progress=progress))


def detect_cuts(stream: FrameStream, *, progress: Progress | None = None) -> tuple[int, ...]:
    """The first frames of new shots, ascending, without 0; dissolves and fades are none. Pulls the stream once.

    `progress("cuts", frames done, frames, "")` is called for every chunk.
    """

    def watched() -> Iterator[Tensor]:
        done = 0
        for chunk in stream:
            yield chunk
            done += chunk.shape[0]
            if progress is not None:
                progress("cuts", done, stream.frames, "")

    return tuple(at for at, leap in enumerate(_leaps(change for _, change in _scored(watched()))) if leap)


def marked(stream: FrameStream) -> Iterator[tuple[Tensor, bool]]:
    """Each frame `(h, w, 3)`, and whether a new shot begins with it. Pulls the stream once, two frames ahead."""
    waiting: deque[Tensor] = deque()

    def changes() -> Iterator[tuple[float, bool]]:
        for frame, change in _scored(stream):
            waiting.append(frame)
            yield change

    for leap in _leaps(changes()):
        yield waiting.popleft(), leap


def _scored(chunks: Iterable[Tensor]) -> Iterator[tuple[Tensor, tuple[float, bool]]]:
    """Each frame with what the one before leaves unexplained of it, as `_unexplained` has it; none for the first."""
    before: Tensor | None = None
    for chunk in chunks:
        small = F.adaptive_avg_pool2d(rearrange(chunk, "t h w c -> t c h w"), SIZE)
        for frame, reduced in zip(chunk, small, strict=True):
            yield frame, (0.0, False) if before is None else _unexplained(before, reduced)
            before = reduced


def _unexplained(before: Tensor, frame: Tensor) -> tuple[float, bool]:
    """Mean difference of the blocks of `(3, h, w)` from the best place within `REACH` pixels in the frame before, and
    whether nearly all of them differ.

    Where the plain difference is too small to make or to hide a cut, that stands for it.
    """
    height, width = SIZE
    plain = float((frame - before).abs().mean())
    if plain < LEAST / LEAP:
        return plain, False
    padded = F.pad(before[None], (REACH,) * 4, mode="replicate")
    places = rearrange(F.unfold(padded, SIZE), "1 (c h w) s -> s c h w", h=height, w=width)
    difference = (places - frame).abs().mean(1, keepdim=True)
    blocks = F.avg_pool2d(difference, BLOCKS).amin(0)
    return float(blocks.mean()), float((blocks > CHANGED).float().mean()) >= WIDE


def _leaps(changes: Iterable[tuple[float, bool]]) -> Iterator[bool]:
    """For each score whether it is wide, `LEAST`, and a leap above the two before and the two after it."""
    near = deque([(0.0, False)] * 3, maxlen=5)
    for count, change in enumerate(chain(changes, [(0.0, False)] * 2)):
        near.append(change)
        if count >= 2:
            (one, _), (two, _), (here, wide), (four, _), (five, _) = near
            calm, busy = sorted((max(one, two), max(four, five)))
            yield wide and here >= max(LEAST, LEAP * calm, LEAP_EITHER * busy)
