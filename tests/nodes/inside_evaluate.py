"""The check of `inside.py` for the node that measures."""

from __future__ import annotations

import json
from typing import Any

from bodykit import fails, run

# isort: split
# bodykit has made these importable
import torch
from pack.diffilm_core.metrics.images import flicker, motion, psnr

LISTED = {
    "metrics": [""], "frames": [0], "rounds": [2], "real": None, "prompts": [""], "weights": [""], "source_fps": [8.0],
}  # fmt: skip


def check_evaluate() -> None:
    dice = torch.Generator().manual_seed(0)
    made, real = ([torch.rand(5, 24, 32, 3, generator=dice) for _ in range(2)] for _ in range(2))

    def told(**inputs: Any) -> dict[str, Any]:
        table, said = run("DiffilmEvaluate", **{**LISTED, **inputs})
        found = json.loads(said)
        assert all(name in table for name in found["left_out"])
        return found

    alone = told(generated=made[:1])["figures"]
    assert set(alone) == {"flicker", "motion"}
    assert abs(alone["motion"]["value"] - motion(made[0])) < 1e-6
    assert abs(alone["flicker"]["value"] - flicker(made[0], made[0])) < 1e-6
    both = told(generated=made, real=real, metrics=["psnr, fid"], frames=[3])
    wanted = sum(psnr(one[:3], other[:3]) for one, other in zip(made, real, strict=True)) / 2
    assert abs(both["figures"]["psnr"]["value"] - wanted) < 1e-6 and "Inception" in both["left_out"]["fid"]
    assert "clipsim" in told(generated=made, prompts=["a fox\nan owl"])["left_out"]
    lone = {**LISTED, "generated": made}
    fails("2 items: expected one for each", "DiffilmEvaluate", **{**lone, "prompts": ["a fox"]})
    fails("metric fvd needs a real set", "DiffilmEvaluate", **{**lone, "metrics": ["fvd"]})
    fails("no such folder", "DiffilmEvaluate", **{**lone, "weights": ["nowhere"]})
