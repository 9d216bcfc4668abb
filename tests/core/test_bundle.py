"""Proves that a model file comes back as it was written and that every kind of wrong file is named in one line."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from diffilm_core.bundle import ASSETS, load_model, part, read_model, save_model
from diffilm_core.errors import DiffilmError
from diffilm_core.models.motion_prior import MotionPrior, MotionPriorConfig
from tests.models import tiny_model


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


def test_a_file_comes_back_as_it_was_written(path, tmp_path):
    model = load_model(path, device="cpu")
    tensors, config, _ = read_model(path)
    assert model.size_multiple == 16 and model.window == config.defaults.frames == 4
    assert model.config == config and model.prediction == "v" and len(model.fingerprint) == 64
    for name, value in model.unet.state_dict().items():
        assert torch.equal(value, tensors[f"model.diffusion_model.{name}"].float())
    for name, value in model.vae.state_dict().items():
        assert torch.equal(value, tensors[f"first_stage_model.{name}"].float())
    assert model.text.encode(["a fox in the snow"]).shape == (1, 32, 32)
    again = tiny_model(tmp_path / "again.safetensors")
    assert load_model(again, device="cpu").fingerprint == model.fingerprint
    assert load_model(tiny_model(tmp_path / "other.safetensors", seed=1)).fingerprint != model.fingerprint


def test_a_folder_of_two_files_is_the_same_model(path, tmp_path):
    tensors, config, _ = read_model(path)
    save_model(tmp_path / "model", config, part(tensors, "unet"), part(tensors, "vae"), part(tensors, "text"))
    assert {file.name for file in (tmp_path / "model").iterdir()} == {"image.safetensors", "video.safetensors"}
    again, config_again, _ = read_model(tmp_path / "model")
    assert config_again == config and again.keys() == tensors.keys()
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)
    whole = load_model(tmp_path / "model", device="cpu").fingerprint
    (tmp_path / "model" / "image.safetensors").unlink()
    assert "UNet does not fit" in one_line(tmp_path / "model")
    assert len(whole) == 64


def test_a_motion_prior_is_a_file_of_its_own(path, tmp_path):
    tensors, config, _ = read_model(path)
    shape = MotionPriorConfig(frames=4, coefficients=4, model_channels=16, head_dim=16)
    prior = MotionPrior(shape)
    config = replace(config, motion=shape, defaults=replace(config.defaults, over_time=3.0, moved=0.2))
    states = (part(tensors, name) for name in ("unet", "vae", "text"))
    folder = save_model(tmp_path / "model", config, *states, prior.state_dict(), dtype=torch.float32)
    assert {file.stem for file in folder.iterdir()} == {"image", "motion", "video"}
    model = load_model(folder, device="cpu")
    assert model.config == config
    found = model.unet.over_time.mover.prior.state_dict()
    assert found.keys() == prior.state_dict().keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in prior.state_dict().items())
    assert model.unet.over_time.mover.vae is model.vae and model.unet.over_time.mover.below == 0.2
    (folder / "motion.safetensors").unlink()
    assert "motion prior does not fit" in one_line(folder)


def test_the_model_that_ships_loads_and_is_small_enough():
    model = load_model(device="cpu")
    files = [file for file in ASSETS.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 40e6 and max(file.stat().st_size for file in files) < 16e6
    assert (model.defaults.width, model.defaults.height, model.defaults.frames) == (128, 128, 16)


def one_line(path, **options) -> str:
    with pytest.raises(DiffilmError) as caught:
        load_model(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_wrong_files_are_named(path, tmp_path):
    assert "does not exist" in one_line(tmp_path / "none.safetensors")
    assert "holds no UNet" in one_line(tmp_path)
    whole = path.read_bytes()
    for name, data, message in (
        ("text", b"Once upon a time there was a fox in the snow.", "no safetensors file"),
        ("empty", b"", "no safetensors file"),
        ("header", whole[:500], "truncated"),
        ("tail", whole[:-1000], "truncated"),
        ("longer", whole + b"x", "truncated or altered"),
        ("junk", whole[:8] + b"{" + b"x" * (len(whole) - 9), "header is not valid"),
    ):
        file = tmp_path / f"{name}.safetensors"
        file.write_bytes(data)
        text = one_line(file)
        assert message in text and str(file) in text


def test_a_folder_of_several_models_is_named(path, tmp_path):
    tiny_model(tmp_path / "one.safetensors")
    tiny_model(tmp_path / "two.safetensors", seed=1)
    assert "more than one model" in one_line(tmp_path)


def test_long_prompts_are_cut_where_comfyui_cuts_them(path):
    """Each window is full to its last place, also in the middle of a word."""
    text = load_model(path, device="cpu").text
    prompt = "a supercalifragilistic fox and an antidisestablishmentarian owl in the snow " * 4
    tokens = text.prompts.tokens(prompt)
    windows = text.prompts.windows(prompt)
    assert [token for window in windows for token in window[1:-1]][: len(tokens)] == tokens
    assert all(text.prompts.end not in window[:-1] for window in windows[:-1])
    assert text.encode([prompt]).shape[1] == 32 * -(-len(tokens) // 30) > 32


def test_an_unreadable_file_is_named(path, tmp_path, monkeypatch):
    def refuse(self, *_, **__):
        raise PermissionError(13, "Permission denied")

    assert "File name too long" in one_line(tmp_path / ("x" * 300))
    monkeypatch.setattr("pathlib.Path.open", refuse)
    assert "cannot be read (Permission denied)" in one_line(path)


def test_weights_that_are_no_diffilm_model_are_named(path, tmp_path):
    save_file({"w": torch.zeros(2)}, tmp_path / "other.safetensors")
    assert "no Diffilm model" in one_line(tmp_path / "other.safetensors")
    tensors, config, _ = read_model(path)
    tensors.pop("model.diffusion_model.out.2.bias")
    save_file(tensors, tmp_path / "less.safetensors", metadata={"diffilm": config.to_json()})
    assert "UNet does not fit" in one_line(tmp_path / "less.safetensors")
    save_file(tensors, tmp_path / "odd.safetensors", metadata={"diffilm": '{"unet": 3}'})
    assert "configuration cannot be read" in one_line(tmp_path / "odd.safetensors")


def test_an_unknown_device_is_named(path):
    for device in ("abacus", "cuda:99", "meta"):  # meta has shapes and no numbers
        assert f"device '{device}' cannot be used" in one_line(path, device=device)
