"""How much a shot moves, how much of it stands still, and whether the camera shakes."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

SIDE = 256
"""The longer side, in pixels, of the pictures that the flow is taken on."""
RATE = 25.0
"""Frames a second that are compared; of a faster clip every second, third ... frame."""
STILL_SIDE, STILL_SECONDS, STILL_CHANGE = 64, 0.5, 2.0
"""A picture stands still whose most changed percent is within so many levels of the picture half a second before, both
reduced to so many pixels, where noise and coding no longer show."""
LEEWAY = 0.2
"""How much of its own smooth speed a camera may be off its path: on the move a tremble is not seen, and flow errs."""
WINDOW = 0.7
"""Seconds over which a camera's path is taken to be smooth: a parabola is fitted to each such piece."""
GRID = 8


class Motion:
    """Takes the frames of one shot in turn; the figures are for all of it."""

    def __init__(self, fps: float) -> None:
        import cv2

        self.stride = max(1, round(fps / RATE))
        self.rate = fps / self.stride
        self.search: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self.before: Grey | None = None
        self.count = 0
        self.reduced: deque[NDArray[np.float32]] = deque(maxlen=max(1, round(STILL_SECONDS * self.rate)))
        self.flows: list[float] = []
        self.still: list[bool] = []
        self.camera: list[NDArray[np.float64]] = []

    def add(self, frame: NDArray[np.uint8]) -> None:
        """frame: RGB `(h, w, 3)`, all of one size."""
        if self.count % self.stride == 0:
            grey = _grey(frame)
            if self.before is not None:
                self._pair(self.before, grey)
            self.before = grey
            reduced = _reduced(grey)
            if len(self.reduced) == self.reduced.maxlen:
                self.still.append(_same(self.reduced[0], reduced))
            self.reduced.append(reduced)
        self.count += 1

    def _pair(self, before: Grey, here: Grey) -> None:
        if np.array_equal(before, here):
            self.flows.append(0.0)
            self.camera.append(np.zeros(4))
            return
        flow = self.search.calc(before, here, None)
        self.flows.append(float(np.sqrt(np.square(flow).sum(-1)).mean()))
        self.camera.append(_camera(flow))

    def motion(self) -> float | None:
        """Mean length of the flow in % of the longer side a second; None for a single frame."""
        return float(np.mean(self.flows)) / SIDE * self.rate * 100 if self.flows else None

    def static(self) -> float | None:
        """The share of the time in which nothing moves; None for less than half a second."""
        return float(np.mean(self.still)) if self.still else None

    def shake(self) -> float | None:
        """How far the camera is off its own smooth path, in % of the longer side.

        The median over time, so that one jolt or one fast action is none.
        """
        if len(self.camera) < 8:
            return None
        path = np.cumsum(np.stack(self.camera), 0)
        count = min(len(path), max(7, round(WINDOW * self.rate) | 1))
        off = _off_parabola(path, count)
        speed = np.linalg.norm(np.gradient(path - off, axis=0), axis=1)
        return float(np.median((np.linalg.norm(off, axis=1) - LEEWAY * speed).clip(min=0))) / SIDE * 100


def _grey(frame: NDArray[np.uint8]) -> Grey:
    import cv2

    height, width = frame.shape[:2]
    scale = SIDE / max(height, width)
    size = max(32, round(width * scale)), max(32, round(height * scale))  # DIS needs some pixels
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR))


def _reduced(grey: Grey) -> NDArray[np.float32]:
    import cv2

    height, width = grey.shape
    scale = STILL_SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.blur(cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32), (3, 3)))


def _same(before: NDArray[np.float32], here: NDArray[np.float32]) -> bool:
    """Whether two reduced pictures show the same, be it brighter or darker."""
    centred = before - before.mean()
    gain = float((centred * here).sum() / max(1e-6, float(np.square(centred).sum())))
    change = here - here.mean() - min(1.25, max(0.8, gain)) * centred
    return bool(np.percentile(np.abs(change), 99) < STILL_CHANGE)


def _camera(flow: NDArray[np.float32]) -> NDArray[np.float64]:
    """What most of the picture does: shift in x and y, and at its edge by turning and by zooming, in pixels `(4,)`.

    A similarity fitted to the flow on a grid by RANSAC, so that what moves by itself counts little.
    """
    import cv2

    height, width = flow.shape[:2]
    y, x = np.mgrid[GRID // 2 : height : GRID, GRID // 2 : width : GRID]
    here = np.stack([x - width / 2, y - height / 2], -1).reshape(-1, 2).astype(np.float32)
    there = here + flow[y, x].reshape(-1, 2)
    fitted, _ = cv2.estimateAffinePartial2D(here, there, method=cv2.RANSAC, ransacReprojThreshold=0.5)
    if fitted is None:
        return np.zeros(4)
    cos, sin = fitted[0, 0], fitted[1, 0]
    reach = max(width, height) / 4
    return np.array([fitted[0, 2], fitted[1, 2], np.arctan2(sin, cos) * reach, (np.hypot(cos, sin) - 1) * reach])


def _off_parabola(path: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The path `(t, d)` less, at each point, the parabola through the `count` points around it (Savitzky & Golay 1964);
    at the ends the first and the last such parabola."""
    powers = np.linspace(-1, 1, count)[:, None] ** np.arange(3)
    smooth = powers @ np.linalg.pinv(powers)
    pieces = np.lib.stride_tricks.sliding_window_view(path, count, axis=0)  # (t - count + 1, d, count)
    half = count // 2
    middle = pieces[..., half] - pieces @ smooth[half]
    first = (pieces[0] - pieces[0] @ smooth.T).T[:half]
    last = (pieces[-1] - pieces[-1] @ smooth.T).T[half + 1 :]
    return np.concatenate([first, middle, last])
