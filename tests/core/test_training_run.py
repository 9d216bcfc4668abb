"""Proves that the training script makes, from sprites alone, a model file that loads, films, and can be trained on."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch

from diffilm_core import make_movie
from diffilm_core.bundle import load_model, read_model
from diffilm_core.models import is_temporal
from diffilm_core.training.emoji import SpriteBank
from tests.sprites import disc_bank

ROOT = Path(__file__).parents[2]
STAGES = ("autoencoder", "contrast", "probe", "image", "video")
SETTINGS = {
    "data.size": 64,
    "data.pictures": 48,
    "data.stills": 24,
    "data.clips": 4,
    "data.variants": 1,
    "data.frames": 4,
    "defaults.width": 64,
    "defaults.height": 64,
    "defaults.frames": 4,
    **{f"stages.{name}.{key}": value for name in STAGES for key, value in (("steps", 2), ("batch", 4), ("warmup", 1))},
}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    spec = importlib.util.spec_from_file_location("train_model", ROOT / "scripts" / "train_model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(SpriteBank, "load", classmethod(lambda cls, path, device="cpu": disc_bank().to(device)))

    def run(out: Path, *more: str) -> Path:
        settings = [f"--set={key}={json.dumps(value)}" for key, value in SETTINGS.items()]
        config = str(ROOT / "configs" / "shipped.toml")
        monkeypatch.setattr(sys, "argv", ["train_model.py", config, "-o", str(out), "--device=cpu", *settings, *more])
        module.main()
        return out / "diffilm"

    return run


@pytest.mark.slow
def test_from_sprites_to_a_movie(script, tmp_path):
    path = script(tmp_path / "run")
    model = load_model(path, device="cpu")
    temporal = model.unet.temporal_parameters()
    assert temporal and model.defaults.frames == 4
    out = make_movie("A fox sat in the snow.", tmp_path / "m.mp4", model=path, steps=2, upscale=1.0, device="cpu")
    assert out.stat().st_size > 500

    more = script(tmp_path / "more", "--start", str(path), "--stages", "video", "--set", "data.seed=9")
    before, after = read_model(path)[0], read_model(more)[0]
    assert before.keys() == after.keys()
    prefix = "model.diffusion_model."
    for name, tensor in before.items():
        same = torch.equal(tensor, after[name])
        assert same or (name.startswith(prefix) and is_temporal(name[len(prefix) :])), name
    assert any(not torch.equal(t, after[name]) for name, t in before.items())
