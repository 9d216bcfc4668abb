"""Where things go in clips: dense optical flow, from the pixels alone, followed from frame to frame to the middle one.

ways = measured(clips)                                          # uint8 (n, 3, t, h, w) -> (n, t, 2, h / 8, w / 8)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from ..models.motion_prior import CELL


def followed(clip: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Where in the middle frame of a clip `(t, h, w, 3)` each pixel of each frame is to be looked up, `(t, 2, h, w)`,
    x then y, in pixels: frame[t](p) is about middle(p + flow[t](p)).

    The flow between neighbours is DIS (Kroeger et al. 2016); those on the way to the middle are added up along it.
    """
    import cv2

    search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    frames, height, width = clip.shape[:3]
    grey = [cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY) for frame in clip]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    out = np.zeros((frames, height, width, 2), np.float32)
    at = frames // 2
    for here, there in _pairs(frames, at):  # `there` is nearer to the middle, and done
        step = search.calc(grey[here], grey[there], None)
        onto = x + step[..., 0], y + step[..., 1]
        out[here] = step + cv2.remap(out[there], *onto, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return out.transpose(0, 3, 1, 2)


def _pairs(frames: int, at: int) -> Iterable[tuple[int, int]]:
    yield from ((here, here - 1) for here in range(at + 1, frames))
    yield from ((here, here + 1) for here in range(at - 1, -1, -1))


def measured(clips: Tensor) -> Tensor:
    """The ways of the cells of uint8 clips `(n, 3, t, h, w)`, float32 `(n, t, 2, h / CELL, w / CELL)`, on the CPU."""
    found = []
    for clip in rearrange(clips, "n c t h w -> n t h w c").cpu().numpy():
        found.append(F.avg_pool2d(torch.from_numpy(followed(clip)), CELL))
    return torch.stack(found)
