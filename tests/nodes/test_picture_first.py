"""Proves what guides the frames around a clip's picture in the host, and that the guider is left as it was."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from diffilm_core.sampling import NoiseSchedule, OverTime

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def picture_first(monkeypatch) -> Any:
    """The wrapper, without the host: its room imports it nowhere by itself."""
    for name, path in (("pack", ROOT), ("pack.nodes", ROOT / "nodes")):
        package = ModuleType(name)
        package.__path__ = [str(path)]
        monkeypatch.setitem(sys.modules, name, package)
    monkeypatch.setitem(sys.modules, "pack.diffilm_core", importlib.import_module("diffilm_core"))
    return importlib.import_module("pack.nodes.host_picture").picture_first


@pytest.mark.parametrize("fails", [False, True])
def test_the_guider_has_its_own_cfg_again_after_the_clip(picture_first, fails: bool) -> None:
    """Also where the clip is cancelled: a guider is kept for the next run."""
    over_time = OverTime(NoiseSchedule.create("scaled_linear"), "v", 10.0, cfg=1.5)
    network = SimpleNamespace(diffusion_model=SimpleNamespace(over_time=over_time))
    guider = SimpleNamespace(cfg=4.0, conds={}, inner_model=network)
    seen: list[tuple[int, float]] = []

    def execute(guider: Any, sigmas: Any, extra: Any, callback: Any, noise: torch.Tensor, *rest: Any) -> torch.Tensor:
        seen.append((len(noise), guider.cfg))
        if fails and len(noise) > 1:
            raise KeyboardInterrupt
        return noise

    wrapped = (execute, guider, torch.ones(2), {"model_options": {}}, None, torch.zeros(16, 4, 8, 8))
    if fails:
        with pytest.raises(KeyboardInterrupt):
            picture_first(*wrapped)
    else:
        assert picture_first(*wrapped).shape == (16, 4, 8, 8)
    assert seen == [(1, 4.0), (16, 1.5)] and guider.cfg == 4.0
