"""How much a shot moves, how much of it stands still, and whether the camera shakes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

SIDE = 256
"""The longer side, in pixels, of the pictures that the flow is taken on."""
RATE = 25.0
"""Frames a second that are compared; of a faster clip every second, third ... frame."""
STILL_FLOW, STILL_CHANGE = 0.1, 2.0
"""A pair stands still whose fastest percent moves by less pixels (of `SIDE`) and changes by less levels."""
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
        self.count += 1

    def _pair(self, before: Grey, here: Grey) -> None:
        import cv2

        change = cv2.absdiff(cv2.blur(before, (3, 3)), cv2.blur(here, (3, 3)))
        if not change.any():
            self.flows.append(0.0)
            self.still.append(True)
            self.camera.append(np.zeros(4))
            return
        flow = self.search.calc(before, here, None)
        length = np.sqrt(np.square(flow).sum(-1))
        self.flows.append(float(length.mean()))
        fastest, changed = np.percentile(length, 99), np.percentile(change, 99)
        self.still.append(bool(fastest < STILL_FLOW or changed < STILL_CHANGE))
        self.camera.append(_camera(flow))

    def motion(self) -> float | None:
        """Mean length of the flow in % of the longer side a second; None for a single frame."""
        return float(np.mean(self.flows)) / SIDE * self.rate * 100 if self.flows else None

    def static(self) -> float | None:
        """The share of the time in which nothing moves."""
        return float(np.mean(self.still)) if self.still else None

    def shake(self) -> float | None:
        """How far the camera is off its own smooth path: root mean square, in % of the longer side."""
        if len(self.camera) < 8:
            return None
        path = np.cumsum(np.stack(self.camera), 0)
        count = min(len(path), max(7, round(WINDOW * self.rate) | 1))
        return float(np.sqrt(np.square(_off_parabola(path, count)).sum(1).mean())) / SIDE * 100


def _grey(frame: NDArray[np.uint8]) -> Grey:
    import cv2

    height, width = frame.shape[:2]
    scale = SIDE / max(height, width)
    size = max(32, round(width * scale)), max(32, round(height * scale))  # DIS needs some pixels
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR))


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
