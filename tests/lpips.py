"""A file of LPIPS weights, of AlexNet's shape and with random numbers."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np


def lpips_weights(path: Path) -> dict[str, dict]:
    """Written to `path`; returns what is in it."""
    rng = np.random.default_rng(2)
    sizes = [(11, 3, 64), (5, 64, 192), (3, 192, 384), (3, 384, 256), (3, 256, 256)]
    net = {
        f"Conv_{i}": {
            "kernel": (rng.normal(0, 1, (k, k, a, b)) / (k * k * a) ** 0.5).astype(np.float32),
            "bias": rng.normal(0, 0.1, b).astype(np.float32),
        }
        for i, (k, a, b) in enumerate(sizes)
    }
    whole: dict[str, dict] = {"AlexNet_0": net}
    for i, (_, _, b) in enumerate(sizes):
        whole[f"NetLinLayer_{i}"] = {"Conv_0": {"kernel": rng.random((1, 1, b, 1)).astype(np.float32)}}
    path.write_bytes(pickle.dumps(whole))
    return whole
