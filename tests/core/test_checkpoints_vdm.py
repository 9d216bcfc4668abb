"""Proves that a Video Diffusion Model's file is known and loaded from any wrapper, with both norms."""

from __future__ import annotations

import math
from ast import literal_eval
from pathlib import Path

import pytest
import torch

from diffilm_core.checkpoints import inspect, load_unet
from diffilm_core.errors import DiffilmError
from tests.published.vdm import WIDTH, vdm_state, write_vdm

KEYS = Path(__file__).parents[1] / "keys"


@pytest.mark.parametrize("norm", ["rms", "group"])
@pytest.mark.parametrize("cond_dim", [WIDTH, None])
def test_the_trainers_file(norm: str, cond_dim: int | None, tmp_path: Path) -> None:
    path = write_vdm(tmp_path / "model-1.pt", norm=norm, cond_dim=cond_dim)
    info = inspect(path)
    assert (info.system, info.missing, info.unexpected) == ("vdm", [], [])
    assert [(part.role, part.layout) for part in info.parts] == [("unet", "original")]
    config = info.config["unet"]
    assert (config["dim"], config["dim_mults"], config["norm"], config["cond_dim"]) == (16, (1, 2), norm, cond_dim)
    unet = load_unet(path)
    assert unet.system == "vdm" and not unet.training
    wanted = vdm_state(norm=norm, cond_dim=cond_dim)  # of `ema`; `model` holds other numbers
    found = unet.state_dict()
    assert found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("prefix", ["", "denoise_fn.", "model.denoise_fn.", "module.", "ema.module.denoise_fn."])
def test_other_wrappers(prefix: str) -> None:
    state = {prefix + name: value for name, value in vdm_state().items()}
    state["init_temporal_attn.fn.fn.fn.rotary_emb.cached_freqs"] = torch.zeros(3)
    assert load_unet(state).state_dict().keys() == vdm_state().keys()


@pytest.mark.parametrize(
    "shape",
    [
        {"linear_attention": False},
        {"kernel": 3, "channels": 1, "out_channels": 1},
        {"channels": 4, "out_channels": 3},
    ],
)
def test_the_shape_is_read_from_the_tensors(shape: dict[str, int]) -> None:
    config = inspect(vdm_state(**shape)).config["unet"]
    assert {name: config[name] for name in shape} == shape and (config["heads"], config["head_dim"]) == (2, 16)


def test_damaged_ones_are_told(tmp_path: Path) -> None:
    state = vdm_state()
    for lost, match in (("time_mlp.1.weight", "no whole VDM"), ("mid_block1.block1.proj.bias", "missing mid_block1")):
        with pytest.raises(DiffilmError, match=match):
            load_unet({name: value for name, value in state.items() if name != lost})
    wide = {**state, "init_conv.weight": torch.zeros(24, 3, 1, 7, 7)}
    with pytest.raises(DiffilmError, match="a first convolution of 24"):
        load_unet(wide)
    path = write_vdm(tmp_path / "model-1.pt")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(DiffilmError, match=str(path)):
        load_unet(path)


@pytest.mark.parametrize(("version", "norm"), [("0.7.0", "rms"), ("0.6.3", "group")])
def test_every_published_tensor_is_consumed_at_full_size(version: str, norm: str) -> None:
    """The lists are `GaussianDiffusion(Unet3D(dim=64, use_bert_text_cond=True))`'s state dict of those versions."""
    listed = (KEYS / f"vdm_{version}.txt").read_text().splitlines()
    shapes = {line.split(" ", 1)[0]: literal_eval(line.split(" ", 1)[1]) for line in listed}
    tensors = {f"ema.{name}": torch.empty(shape, device="meta") for name, shape in shapes.items()}
    info = inspect(tensors)
    assert (info.system, info.missing, info.unexpected, info.config["unet"]["norm"]) == ("vdm", [], [], norm)
    assert info.config["unet"]["cond_dim"] == 768 and info.parts[0].parameters == pytest.approx(41.8e6, abs=0.1e6)
    assert info.parts[0].parameters == sum(math.prod(shapes[name]) for name in shapes if "denoise_fn." in name)
