"""Proves that the training script makes, from sprites alone, a model file that loads, films, and can be trained on; and
that each way of the ablation trains what it says and nothing else."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from diffilm_core import make_movie
from diffilm_core.bundle import load_model, read_model
from diffilm_core.models import is_temporal
from diffilm_core.training.emoji import SpriteBank
from tests.lpips import lpips_weights
from tests.sprites import disc_bank

ROOT = Path(__file__).parents[2]
STAGES = ("autoencoder", "decoder", "contrast", "probe", "naming", "image", "video", "motion")
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


def script_module(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    module = script_module("train_model", monkeypatch)
    monkeypatch.setattr(SpriteBank, "load", classmethod(lambda cls, path, device="cpu": disc_bank().to(device)))

    def run(out: Path, *more: str) -> Path:
        out.mkdir()
        lpips_weights(out / "lpips.ckpt")
        settings = [f"--set={key}={json.dumps(value)}" for key, value in SETTINGS.items()]
        settings.append(f"--lpips={out / 'lpips.ckpt'}")
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

    again = script(tmp_path / "again", "--start", str(path), "--more", "--stages", "image,video")
    after, spatial = read_model(again)[0], f"{prefix}input_blocks.0.0.weight"
    assert not torch.equal(before[spatial], after[spatial])
    assert all(torch.equal(t, after[name]) for name, t in before.items() if name.startswith("first_stage_model."))


@pytest.mark.slow
def test_each_way_of_the_ablation_trains_what_it_says(script, tmp_path, monkeypatch):
    model = script(tmp_path / "run")
    ablation = script_module("ablation", monkeypatch)
    sizes = ["--clips=3", "--train-steps=2", "--train-batch=2", "--lr=0.1"]
    work = tmp_path / "work"
    argv = ["ablation.py", str(model), "none", "--work", str(work), *sizes, "--train-only"]
    monkeypatch.setattr(sys, "argv", argv)
    ablation.main()
    start = load_model(model, device="cpu").unet.state_dict()
    fresh = load_file(work / "pseudo-3D--untrained" / "unet.safetensors")
    changed = {}
    for name in ablation.WAYS:
        found = load_file(work / "".join(c if c.isalnum() else "-" for c in name) / "unet.safetensors")
        changed[name] = {key for key, tensor in found.items() if not torch.equal(tensor, fresh[key])}
    temporal = {key for key in start if is_temporal(key)}
    rate = {key for key in temporal if key.startswith("fps_embed.")}
    assert all(torch.equal(fresh[key], start[key]) for key in start.keys() - temporal)
    assert not changed["pseudo-3D, untrained"] and changed["joint: spatial layers too"] - temporal
    both, one, other = (changed[n] for n in ("pseudo-3D, trained", "attention only", "convolution only"))
    assert both <= temporal and both & rate and one | other <= both and one & other <= rate
    assert {key for key in one if ".conv." in key} == set() and other - rate and one - rate
    assert changed["no frame rate"] and not changed["no frame rate"] & rate
