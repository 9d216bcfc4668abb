"""Clips longer than the training length: overlapping context windows over the frames."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import DiffilmError
from .noise import check_window

FRAMES_AXIS = 2


def _flat(length: int) -> Tensor:
    return torch.ones(length)


def _pyramid(length: int) -> Tensor:
    """1, 2, 3 ... 3, 2, 1: the nearer to the window's edge, the less a frame counts (the window
    fusion of FreeNoise, Qiu et al. 2023)."""
    ramp = torch.arange(1, length + 1)
    return torch.minimum(ramp, ramp.flip(0)).float()


FUSES: dict[str, Callable[[int], Tensor]] = {"flat": _flat, "pyramid": _pyramid}


def window_ranges(frames: int, length: int, overlap: int) -> list[range]:
    """Windows of `length` frames that together cover all: one every length - overlap frames, the last one
    moved back to end with the clip (ComfyUI's "standard static"). One shorter window where the clip fits
    into it.
    """
    check_window(length, overlap)
    if frames < 1:
        raise DiffilmError(f"a clip of {frames} frames; expected at least 1")
    if frames <= length:
        return [range(frames)]
    starts = [*range(0, frames - length, length - overlap), frames - length]
    return [range(start, start + length) for start in starts]


class ContextWindows:
    """`(x, sigma) -> x0` of a clip (b, c, t, h, w) of any length, from a model that is called on windows
    over t.

    x0 of a frame is the weighted mean over the windows that hold it; `fuse` names the weights. Where one
    window covers the clip, the model is called on it as it is. `before_window(index, count)` is called
    before each window and may raise `Cancelled`. `overlap` defaults to half the window.
    """

    def __init__(
        self,
        model: Callable[[Tensor, Tensor], Tensor],
        length: int,
        overlap: int | None = None,
        fuse: str = "pyramid",
        *,
        before_window: Callable[[int, int], None] | None = None,
    ) -> None:
        if fuse not in FUSES:
            raise DiffilmError(f"unknown window weights {fuse!r}; choose one of {', '.join(FUSES)}")
        self.overlap = length // 2 if overlap is None else overlap
        check_window(length, self.overlap)
        self.model = model
        self.length = length
        self.fuse = fuse
        self.before_window = before_window

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        windows = window_ranges(x.shape[FRAMES_AXIS], self.length, self.overlap)
        if len(windows) == 1:
            return self.model(x, sigma)
        weights = FUSES[self.fuse](self.length).to(x).view(1, 1, -1, 1, 1)
        total = torch.zeros_like(x)
        weight = x.new_zeros((1, 1, x.shape[FRAMES_AXIS], 1, 1))
        for index, window in enumerate(windows):
            if self.before_window is not None:
                self.before_window(index, len(windows))
            frames = slice(window.start, window.stop)
            total[:, :, frames] += self.model(x[:, :, frames], sigma) * weights
            weight[:, :, frames] += weights
        return total / weight
