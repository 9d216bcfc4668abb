"""What single frames tell: black bars, sharpness, and the perceptual hash by which duplicates are found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

DARK = 30
"""Luma up to which a pixel of a bar may go: black and the ringing of codecs about it."""
SIDE = 320
"""The longer side, in pixels, at which sharpness is measured; larger frames are reduced to it."""
ROUNDING = 20 / 12
"""Variance of the Laplacian of what rounding to 8 bits adds."""
PLAIN = 4.0
"""Standard deviation of luma, in levels, below which a frame shows nothing that a hash could tell."""


def luma(frame: Picture) -> NDArray[np.uint8]:
    import cv2

    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))


def inner(frames: Sequence[Picture]) -> tuple[float, float, float, float]:
    """The picture without its black bars: left, top, right, bottom as shares of width and height.

    A bar is a run of lines along an edge that are dark in every frame and end all at once; a dark picture, which ends
    here and there, has none.
    """
    brightest = np.max([luma(frame) for frame in frames], 0)
    left, right = _bars(brightest.T)
    top, bottom = _bars(brightest)
    height, width = brightest.shape
    if left + right >= width or top + bottom >= height:
        return 0.0, 0.0, 1.0, 1.0
    return left / width, top / height, 1 - right / width, 1 - bottom / height


def _bars(brightest: NDArray[np.uint8]) -> tuple[int, int]:
    """Lines of bar at the first and at the last edge of `(lines, pixels)`."""
    dark = (brightest <= DARK).mean(1)
    return _bar(dark), _bar(dark[::-1])


def _bar(dark: NDArray[np.float64]) -> int:
    """Lines of bar, from the share of each line that is dark."""
    black = dark >= 0.98
    count = len(black) if black.all() else int(np.argmin(black))
    if count == 0 or count == len(black):
        return 0
    beyond = dark[count + 1 : count + 3]  # the line on the edge may be mixed
    return count if len(beyond) and beyond.max() < 0.7 else 0


def sharpness(frames: Sequence[Picture]) -> float | None:
    """Variance of the Laplacian over that of the gradient, at one size (`SIDE`; smaller ones as they are): the median.

    The ratio goes neither by contrast nor by how much of the picture is smooth: an edge w pixels wide gives about 1 /
    w^2. None where there is nothing to see in any frame.
    """
    import cv2

    found = []
    for frame in frames:
        grey = luma(frame)
        scale = min(1.0, SIDE / max(grey.shape))
        size = max(1, round(grey.shape[1] * scale)), max(1, round(grey.shape[0] * scale))
        grey = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA))
        if float(grey.std()) >= PLAIN:
            slopes = [np.diff(grey.astype(np.float32), axis=axis) for axis in (0, 1)]
            slope = sum(float(np.square(each).mean()) for each in slopes)
            found.append(max(0.0, float(cv2.Laplacian(grey, cv2.CV_32F).var()) - ROUNDING) / slope)
    return float(np.median(found)) if found else None


def hashes(frames: Sequence[Picture]) -> list[int]:
    """A 64-bit perceptual hash (the signs of the lowest frequencies of the DCT) of every frame that shows something."""
    import imagehash
    from PIL import Image

    found = []
    for frame in frames:
        if float(luma(frame).std()) >= PLAIN:
            bits = imagehash.phash(Image.fromarray(frame)).hash.flatten()
            found.append(int("".join("1" if bit else "0" for bit in bits), 2))
    return found


def thumbnail(frames: Sequence[Picture], height: int = 72, quality: int = 70) -> bytes:
    """A JPEG of the first, the middle and the last of the frames side by side."""
    import cv2

    chosen = [frames[0], frames[len(frames) // 2], frames[-1]]
    width = max(1, round(frames[0].shape[1] * height / frames[0].shape[0]))
    strip = np.concatenate(
        [cv2.resize(each, (min(width, 3 * height), height), interpolation=cv2.INTER_AREA) for each in chosen], 1
    )
    done, data = cv2.imencode(".jpg", strip[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError("a thumbnail could not be made")
    return data.tobytes()
