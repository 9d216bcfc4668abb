"""Proves that ModelScope's UNet is the original's and diffusers' to 1e-5 in fp32 for 1 to 16 frames, and that every
tensor of both layouts is consumed at full size."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from diffilm_core.checkpoints import modelscope
from diffilm_core.errors import DiffilmError
from diffilm_core.models import UNet
from tests.parity.modelscope_oracle import original, original_unet, randomised, reference

diffusers = pytest.importorskip("diffusers")
KEYS = Path(__file__).parents[1] / "keys"
PARAMETERS = 1_411_233_860
FILES = [("original", "modelscope.txt"), ("diffusers", "modelscope_diffusers.txt")]
FIND = {"original": modelscope.find_original, "diffusers": modelscope.find_diffusers}


def ours_of(tensors: dict[str, Tensor], layout: str) -> UNet:
    found = FIND[layout](tensors)
    assert found is not None
    unet = UNet(modelscope.config(found), device="meta")
    unet.load_state_dict(found, assign=True)
    return unet.eval().requires_grad_(False)


def inputs(batch: int, frames: int, size: tuple[int, int], width: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, 4, frames, *size, generator=generator)
    return x, torch.tensor([981.0, 21.0])[:batch], torch.randn(batch, 77, width, generator=generator)


def compare(peer: Any, unet: UNet, batch: int, frames: int, size: tuple[int, int]) -> float:
    x, t, context = inputs(batch, frames, size, unet.config.context_dim)
    with torch.no_grad():
        theirs = peer(x, t, context)
        theirs = theirs if isinstance(theirs, Tensor) else theirs.sample
        ours = unet(x, t, context)
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.fixture(scope="module")
def pair() -> tuple[Any, UNet]:
    peer = reference()
    return peer, ours_of(peer.state_dict(), "diffusers")


@pytest.fixture(scope="module")
def original_pair() -> tuple[Any, UNet]:
    peer = original_unet()
    return peer, ours_of(peer.state_dict(), "original")


@pytest.mark.parametrize("frames", [1, 2, 7, 16])
@pytest.mark.parametrize(("batch", "size"), [(1, (8, 8)), (2, (12, 18)), (1, (9, 13))])
def test_unet_is_diffusers(pair: tuple[Any, UNet], frames: int, batch: int, size: tuple[int, int]) -> None:
    assert compare(*pair, batch, frames, size) <= 1e-5


@pytest.mark.parametrize("frames", [1, 2, 7, 16])
@pytest.mark.parametrize(("batch", "size"), [(1, (16, 16)), (2, (16, 24))])
def test_unet_is_the_originals(original_pair: tuple[Any, UNet], frames: int, batch: int, size: tuple[int, int]) -> None:
    assert compare(*original_pair, batch, frames, size) <= 1e-5


def test_frames_see_each_other_and_clips_do_not(pair: tuple[Any, UNet]) -> None:
    _, unet = pair
    x, t, context = inputs(2, 4, (8, 8), 48)
    changed = x.clone()
    changed[0, :, 3] += 1
    with torch.no_grad():
        plain, other = unet(x, t, context), unet(changed, t, context)
    assert (plain[0, :, 0] - other[0, :, 0]).abs().max() > 1e-3
    assert torch.equal(plain[1], other[1])


def test_without_time_each_frame_is_on_its_own(pair: tuple[Any, UNet]) -> None:
    _, unet = pair
    x, t, context = inputs(1, 3, (8, 8), 48)
    with torch.no_grad():
        whole = unet(x, t, context, enable_time=False)
        frame = unet(x[:, :, 1:2], t, context, enable_time=False)
    assert torch.allclose(whole[:, :, 1:2], frame, atol=1e-5)


def test_a_fresh_one_is_its_image_model() -> None:
    shape = modelscope.config(FIND["diffusers"](reference().state_dict()) or {})
    unet = UNet(shape).eval()
    x, t, context = inputs(1, 3, (8, 8), 48)
    with torch.no_grad():
        assert torch.equal(unet(x, t, context), unet(x, t, context, enable_time=False))


def named(file: str) -> dict[str, Tensor]:
    """The tensors of a list of names and shapes, on the meta device."""
    lines = (KEYS / file).read_text("utf-8").splitlines()
    pairs = (line.split(" ", 1) for line in lines)
    return {name: torch.empty(ast.literal_eval(shape), device="meta") for name, shape in pairs}


@pytest.mark.parametrize("prefix", ["", "module.", "model.diffusion_model."])
@pytest.mark.parametrize(("layout", "file"), FILES)
def test_every_tensor_is_consumed(layout: str, file: str, prefix: str) -> None:
    tensors = named(file)
    found = FIND[layout]({prefix + name: tensor for name, tensor in tensors.items()})
    assert found is not None and len(found) == len(tensors) == 1480
    unet = UNet(modelscope.config(found), device="meta")
    wanted = unet.state_dict()
    assert found.keys() == wanted.keys()
    assert {n: t.shape for n, t in found.items()} == {n: t.shape for n, t in wanted.items()}
    assert sum(each.numel() for each in unet.parameters()) == PARAMETERS
    assert round(sum(each.numel() for each in unet.temporal_parameters().values()) / 1e5) == 5453  # 545.3 million
    other = "diffusers" if layout == "original" else "original"
    assert FIND[other](tensors) is None


def test_the_names_are_the_references() -> None:
    assert {n: tuple(t.shape) for n, t in named("modelscope_diffusers.txt").items()} == shapes_of_full(
        lambda: diffusers.UNet3DConditionModel()
    )
    make = original("unet_sd").UNetSD
    assert {n: tuple(t.shape) for n, t in named("modelscope.txt").items()} == shapes_of_full(lambda: make(**FULL))


FULL: dict[str, Any] = {
    "in_dim": 4, "dim": 320, "y_dim": 768, "context_dim": 1024, "out_dim": 4, "dim_mult": [1, 2, 4, 4], "num_heads": 8,
    "head_dim": 64, "num_res_blocks": 2, "attn_scales": [1, 1 / 2, 1 / 4],
}  # fmt: skip


def shapes_of_full(make: Any) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in make().state_dict().items()}


def test_a_unet_without_its_stem_is_an_error() -> None:
    found = FIND["original"](named("modelscope.txt")) or {}
    del found["input_blocks.0.1.proj_in.weight"]
    with pytest.raises(DiffilmError, match=r"input_blocks\.0\.1\.proj_in"):
        modelscope.config(found)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["original", "diffusers"])
def test_unet_is_theirs_at_full_size(layout: str) -> None:
    if layout == "original":
        torch.manual_seed(0)
        peer = randomised(original("unet_sd").UNetSD(**FULL))
    else:
        peer = reference({})
    unet = ours_of(peer.state_dict(), layout)
    assert sum(each.numel() for each in unet.parameters()) == PARAMETERS
    assert compare(peer, unet, 1, 3, (8, 16)) <= 1e-5
