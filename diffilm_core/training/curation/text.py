"""How much of a frame is text, by RapidOCR, whose models are in its package.

Its detector alone also finds fences, stones and what is out of focus; what counts is what can be read.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 640
"""The longer side, in pixels, at which text is looked for."""
SURE, LEAST = 0.7, 2
"""A box counts whose text is recognised with this score and has as many characters."""


def available() -> bool:
    return find_spec("rapidocr") is not None and find_spec("onnxruntime") is not None


@lru_cache(maxsize=1)
def _reader() -> Any:
    from rapidocr import RapidOCR

    threads = "EngineConfig.onnxruntime"
    found = RapidOCR(
        params={
            "Global.use_cls": False,
            "Global.text_score": SURE,
            "Global.log_level": "error",
            f"{threads}.intra_op_num_threads": 1,
            f"{threads}.inter_op_num_threads": 1,
            "Det.limit_type": "max",
            "Det.limit_side_len": SIDE,
        }
    )
    logging.getLogger("RapidOCR").setLevel(logging.ERROR)
    return found


def area(frames: Sequence[NDArray[np.uint8]]) -> float:
    """The share of the frame that text covers: the median of RGB frames `(h, w, 3)`."""
    shares = []
    for frame in frames:
        found = _reader()(np.ascontiguousarray(frame[..., ::-1]))
        read = [] if found.boxes is None else zip(found.boxes, found.txts, strict=True)
        covered = sum(_area(box) for box, words in read if len("".join(words.split())) >= LEAST)
        shares.append(min(1.0, covered / (frame.shape[0] * frame.shape[1])))
    return float(np.median(shares))


def _area(box: NDArray[np.float32]) -> float:
    """Of a polygon `(corners, 2)`, by the shoelace formula."""
    x, y = np.asarray(box, np.float64).T
    return float(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2
