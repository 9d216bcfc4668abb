"""Proves that our interpolation network follows motion before any training and blends where there is none, that its
operations are right, that its file comes back as it was and a wrong one is refused, and that it can learn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from diffilm_core.checkpoints.files import read_tensors
from diffilm_core.errors import DiffilmError
from diffilm_core.models.interpolation import load_interpolator
from diffilm_core.models.interpolation.files import save_interpolation
from diffilm_core.models.interpolation.net import InterpolationConfig, InterpolationNet, levels_for
from diffilm_core.models.warp import correlation, warp, warp_corners

SMALL = InterpolationConfig(half=8, quarter=16, width=16, hidden=8, synthesis=8, match=16, radius=2)


def net(config: InterpolationConfig = SMALL) -> InterpolationNet:
    torch.manual_seed(0)
    return InterpolationNet(config).eval()


def texture(height: int, width: int, seed: int = 0) -> Tensor:
    noise = torch.rand(1, 3, height // 6 + 2, width // 6 + 2, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(noise, (height, width), mode="bicubic").clamp(0, 1)


def panned(way: int, side: int = 96) -> tuple[Tensor, Tensor, Tensor]:
    """A texture that moves `way` pixels to the left from the first to the second frame, and the frame at its middle."""
    wide = texture(side, side + way)
    return tuple(wide[..., at : at + side] for at in (0, way, way // 2))  # type: ignore[return-value]


def inner(x: Tensor) -> Tensor:
    return x[..., 16:-16]


def psnr(a: Tensor, b: Tensor) -> float:
    return float(-10 * torch.log10((a - b).square().mean()))


@torch.inference_mode()
def test_equal_frames_come_back_whatever_the_size_and_time() -> None:
    for size in ((40, 56), (37, 51), (1, 1), (130, 9)):
        frame = texture(*size)
        found = net()(frame, frame, torch.tensor([0.3]))
        assert found.frame.shape == frame.shape
        assert torch.allclose(found.frame, frame, atol=1e-5)


@torch.inference_mode()
def test_untrained_it_follows_a_pan_that_blending_smears() -> None:
    first, second, between = panned(16)
    ours = net(InterpolationConfig())(first, second, torch.tensor([0.5])).frame
    assert psnr(inner(ours), inner(between)) > psnr(inner(first + second) / 2, inner(between)) + 2


@torch.inference_mode()
def test_rows_of_a_batch_do_not_see_each_other() -> None:
    model = net()
    firsts, seconds = torch.cat([texture(48, 64, s) for s in (1, 2)]), torch.cat([texture(48, 64, s) for s in (3, 4)])
    t = torch.tensor([0.25, 0.8])
    both = model(firsts, seconds, t).frame
    for i in range(2):
        alone = model(firsts[i : i + 1], seconds[i : i + 1], t[i : i + 1]).frame
        assert torch.allclose(both[i : i + 1], alone, atol=1e-5)


def test_larger_frames_get_more_levels() -> None:
    assert [levels_for(*size) for size in ((1, 1), (64, 64), (144, 176), (272, 640), (720, 1280), (4320, 7680))] == [
        1, 2, 3, 4, 5, 6,
    ]  # fmt: skip


def test_warping_looks_up_where_the_flow_points() -> None:
    image = texture(20, 24)
    flow = torch.zeros(1, 2, 20, 24)
    flow[:, 0], flow[:, 1] = 3, -2
    for pull in (warp, warp_corners):
        assert torch.allclose(pull(image, flow)[..., 2:, :-3], image[..., :-2, 3:], atol=1e-4)
        assert torch.allclose(pull(image, torch.zeros_like(flow)), image, atol=1e-4)
    assert torch.allclose(warp(image, torch.full_like(flow, 99.0)), image[..., -1:, -1:].expand_as(image), atol=1e-4)


def test_correlation_is_the_mean_product_and_has_its_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(2, 3, 5, 6, generator=generator) for _ in range(2))
    found = correlation(a, b, 1)
    shifted = torch.zeros_like(b)
    shifted[..., 1:, :-1] = b[..., :-1, 1:]  # one up, one right: y = 0, x = 2
    assert torch.allclose(found[:, 2], (a * shifted).mean(1), atol=1e-6)
    from diffilm_core.models.warp import _Correlation

    doubles = [x.double().requires_grad_() for x in (a, torch.nn.functional.pad(b, (1,) * 4))]
    assert torch.autograd.gradcheck(lambda x, y: _Correlation.apply(x, y, 1), doubles)


def test_its_file_comes_back(tmp_path: Path) -> None:
    model = net()
    path = save_interpolation(model, tmp_path / "a.safetensors", {"steps": 3})
    loaded = load_interpolator(path, device="cpu")
    first, second, _ = panned(6, 64)
    t = torch.tensor([0.5])
    rounded = net()
    rounded.load_state_dict({name: each.half().float() for name, each in model.state_dict().items()})
    with torch.inference_mode():
        wanted = rounded(first, second, t).frame.clamp(0, 1)
    assert torch.equal(loaded.between(first, second, t), wanted)
    assert loaded.name == "diffilm"
    other = save_interpolation(net(replace(SMALL, width=24)), tmp_path / "b.safetensors")
    assert load_interpolator(other, device="cpu").fingerprint != loaded.fingerprint


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    path = save_interpolation(net(), tmp_path / "a.safetensors")
    tensors, words = load_file(path), read_tensors(path)[1]
    tensors.pop("level.enter.0.weight")
    save_file(tensors, tmp_path / "b.safetensors", metadata=words)
    with pytest.raises(DiffilmError, match="no whole interpolation network"):
        load_interpolator(tmp_path / "b.safetensors", device="cpu")
    (tmp_path / "c.safetensors").write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DiffilmError, match="truncated"):
        load_interpolator(tmp_path / "c.safetensors", device="cpu")


def test_the_network_that_ships() -> None:
    model = load_interpolator(device="cpu")
    assert sum(each.numel() for each in model.network.parameters()) < 8_000_000
    first, second, between = panned(16)
    t = torch.tensor([0.5])
    ours = model.between(first, second, t)
    assert psnr(inner(ours), inner(between)) > psnr(inner(first + second) / 2, inner(between)) + 5
    assert psnr(model.between(first, first, t), first) > 38
