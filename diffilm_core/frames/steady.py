"""A calmer film out of frames that a network made one by one: each is blended with the last one, carried along."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import DiffilmError
from .stream import FrameStream, stacked

Picture = NDArray[np.float32]

FLOW_SIDE = 640
"""The longer side of the frames that the motion is estimated on, in pixels; larger frames are reduced to it."""
SAME = 50.0
"""How fast trust falls with the squared difference of a frame and its carried neighbour (Lai et al. 2018, eq. 5)."""


def steady(stream: FrameStream, weight: float = 0.5) -> FrameStream:
    """Frame by frame, `weight` of the last result, moved along the optical flow, where both are known to agree.

    They agree where the flow there and back ends within Sundaram et al.'s bound (2010, eq. 5) and the two frames differ
    little; elsewhere, and at the first frame of a shot, the frame stays as it is. The flow is DIS (Kroeger et al. 2016)
    on one thread, so the same frames give the same result. Raises DiffilmError unless 0 <= weight < 1.
    """
    if not 0 <= weight < 1:
        raise DiffilmError(f"steady with weight {weight}: expected 0 (nothing happens) to below 1; 0.5 is usual")
    if weight == 0:
        return stream
    return stream.with_frames(lambda: stacked(_steadied(stream, weight), stream.width, stream.height))


def _steadied(stream: FrameStream, weight: float) -> Iterator[Tensor]:
    firsts = {0, *stream.cuts}
    before = result = np.empty(0, np.float32)
    for index, frame in enumerate(frame for chunk in stream for frame in chunk):
        here = np.ascontiguousarray(frame.numpy())
        if index in firsts:
            result = here
        else:
            share = weight * trust(before, here, back := flow(here, before), flow(before, here))
            result = here + share[..., None] * (carried(result, back) - here)
        before = here
        yield torch.from_numpy(result).clamp(0, 1)


def flow(first: Picture, second: Picture) -> Picture:
    """For each pixel of `first` where it is in `second`: `(h, w, 2)`, x and y in pixels. Pictures are (h, w, 3)."""
    import cv2

    height, width = first.shape[:2]
    small = min(1.0, FLOW_SIDE / max(height, width))
    # DIS needs some pixels for its coarsest level
    size = max(32, round(width * small)), max(32, round(height * small))
    grey = [_grey(picture, size) for picture in (first, second)]
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # its stripes, and with them its result, follow the number of threads
    try:
        search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
        found = search.calc(*grey, None)
    finally:
        cv2.setNumThreads(threads)
    if size != (width, height):
        found = cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR)
        found *= np.array([width / size[0], height / size[1]], np.float32)
    return found


def _grey(picture: Picture, size: tuple[int, int]) -> NDArray[np.uint8]:
    import cv2

    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    if size != (grey.shape[1], grey.shape[0]):
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return np.rint(grey * 255).clip(0, 255).astype(np.uint8)


def carried(picture: Picture, there: Picture) -> Picture:
    """What `picture` shows where `there` points, `(h, w, c)`; bicubic, edges repeated."""
    import cv2

    height, width = there.shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved = cv2.remap(picture, x + there[..., 0], y + there[..., 1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.float32)


def trust(before: Picture, here: Picture, back: Picture, forth: Picture) -> Picture:
    """How far the carried `before` may stand in for `here`, `(h, w)` in [0, 1]; 0 where the flows contradict."""
    import cv2

    returned = carried(forth, back)
    gap = np.square(back + returned).sum(-1)
    bound = 0.01 * (np.square(back).sum(-1) + np.square(returned).sum(-1)) + 0.5
    other = np.square(carried(before, back) - here).sum(-1)
    near = np.exp(-SAME * cv2.blur(other, (3, 3), borderType=cv2.BORDER_REFLECT_101))
    return np.where(gap < bound, near, 0).astype(np.float32)
