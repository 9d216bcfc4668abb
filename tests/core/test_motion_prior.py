"""Proves that movement is measured as it is, kept by few coefficients, drawn anew by each seed, and moves a picture."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from diffilm_core.errors import DiffilmError
from diffilm_core.models.motion_prior import CELL, MotionPrior, MotionPriorConfig
from diffilm_core.models.warp import warp
from diffilm_core.sampling import NoiseSchedule
from diffilm_core.sampling.mover import Mover, at_frames
from diffilm_core.training.flow import followed, measured

SCHEDULE = NoiseSchedule.create("scaled_linear", zero_terminal_snr=True)
SMALL = MotionPriorConfig(frames=4, coefficients=6, model_channels=16, transformer_depth=(0, 1, 0), head_dim=16)


def blobs(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth noise, uint8 `(h, w, 3)`, that optical flow can follow."""
    coarse = torch.randn(1, 3, height // 6, width // 6, generator=torch.Generator().manual_seed(seed))
    fine = F.interpolate(coarse, (height, width), mode="bicubic")[0]
    return (128 + 50 * fine).clamp(0, 255).byte().permute(1, 2, 0).numpy()


def panned(frames: int, dx: int, dy: int) -> np.ndarray:
    """A camera that goes dx, dy pixels a frame over a still picture, `(t, 96, 112, 3)`."""
    world, at = blobs(192, 208), frames // 2
    corners = [(48 + (i - at) * dy, 48 + (i - at) * dx) for i in range(frames)]
    return np.stack([world[y : y + 96, x : x + 112] for y, x in corners])


def test_a_pans_flow_is_its_steps_from_the_middle_frame() -> None:
    flow = followed(panned(7, 3, -2))
    for at in range(7):
        inner = flow[at, :, 24:-24, 24:-24]
        assert np.abs(inner[0] - 3 * (at - 3)).mean() < 0.3, at
        assert np.abs(inner[1] + 2 * (at - 3)).mean() < 0.3, at
    assert not flow[3].any()


def test_the_middle_frame_moved_by_its_flow_is_the_clip() -> None:
    clip = panned(7, 3, -2)
    middle = torch.from_numpy(clip[3]).permute(2, 0, 1).float()
    moved = warp(middle.expand(7, -1, -1, -1), torch.from_numpy(followed(clip)))
    real = torch.from_numpy(clip).permute(0, 3, 1, 2).float()
    inside = (slice(None), slice(None), slice(24, -24), slice(24, -24))
    assert (moved - real)[inside].abs().mean() < 3 < 15 < (middle - real)[[0, 6]][inside].abs().mean()


def test_cells_have_the_mean_of_their_pixels() -> None:
    clip = torch.from_numpy(panned(5, 2, 0)).permute(3, 0, 1, 2)
    found = measured(torch.stack([clip, clip]))
    assert found.shape == (2, 5, 2, 96 // CELL, 112 // CELL)
    pixels = torch.from_numpy(followed(panned(5, 2, 0)))
    torch.testing.assert_close(found[1, 4, :, 2, 3], pixels[4, :, 16:24, 24:32].mean((1, 2)))


def ways(count: int, frames: int = 4, seed: int = 3) -> Tensor:
    """Smooth ways, 0 in the middle frame, most of them short and some far."""
    generator = torch.Generator().manual_seed(seed)
    time = (torch.arange(frames) - frames // 2).view(1, -1, 1, 1, 1)
    speed, bend = torch.randn(2, count, 1, 2, 5, 6, generator=generator) ** 3
    return time * speed + 0.3 * time**2 * bend


def test_as_many_coefficients_as_a_way_has_numbers_keep_it_whole() -> None:
    prior = MotionPrior(MotionPriorConfig(frames=4, coefficients=4, model_channels=16, head_dim=16))
    flow = ways(64)  # of speed and bend in two directions: four numbers
    prior.fit(flow)
    torch.testing.assert_close(prior.flow(prior.coefficients(flow)), flow, rtol=1e-3, atol=1e-3)
    found = prior.coefficients(flow)
    torch.testing.assert_close(found.square().mean((0, 2, 3)), torch.ones(4), rtol=1e-3, atol=1e-3)
    assert not prior.coefficients(torch.zeros_like(flow)).any() and not prior.flow(torch.zeros_like(found)).any()


def test_fewer_keep_what_moves_most() -> None:
    kept = []
    for count in (1, 2, 3):
        prior = MotionPrior(MotionPriorConfig(frames=4, coefficients=count, model_channels=16, head_dim=16))
        flow = ways(64)
        prior.fit(flow)
        kept.append(float((prior.flow(prior.coefficients(flow)) - flow).square().mean() / flow.square().mean()))
    assert 1 > kept[0] > kept[1] > kept[2] > 0 and kept[1] < 0.5


def test_wrong_clips_are_named() -> None:
    prior = MotionPrior(SMALL)
    with pytest.raises(DiffilmError, match="of 7 frames: expected 4"):
        prior.fit(ways(4, frames=7))
    with pytest.raises(DiffilmError, match="coefficients 7: a way through 4 frames has 1 to 6"):
        MotionPriorConfig(frames=4, coefficients=7)
    with pytest.raises(DiffilmError, match="nothing moves"):
        prior.fit(torch.zeros(4, 4, 2, 5, 6))


@given(st.integers(2, 40), st.integers(2, 20))
@settings(max_examples=40, deadline=None)
def test_another_number_of_frames_is_the_same_movement_over_the_same_time(frames: int, own: int) -> None:
    time = (torch.arange(own) - own // 2).double().view(1, -1, 1, 1, 1)
    found = at_frames(3.0 * time.expand(1, own, 2, 2, 2), frames)
    assert found.shape[1] == frames and not found[:, frames // 2].any()
    wanted = 3.0 * (torch.arange(frames) - frames // 2).double() * own / frames
    torch.testing.assert_close(found[0, :, 0, 0, 0], wanted)


class Pixels(nn.Module):
    """An autoencoder whose latents are the pixels of a cell."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def encode(self, pixels: Tensor) -> Tensor:
        return F.pixel_unshuffle(pixels, CELL)

    def decode(self, latents: Tensor) -> Tensor:
        return F.pixel_shuffle(latents, CELL)


class Lossy(Pixels):
    """One that keeps of a picture nine tenths of its contrast, and sees it too bright."""

    def encode(self, pixels: Tensor) -> Tensor:
        return 0.9 * super().encode(pixels) + 0.2


def mover_of(vae: nn.Module) -> Mover:
    torch.manual_seed(0)
    prior = MotionPrior(SMALL).eval().requires_grad_(False)
    prior.fit(ways(64) + 0.1 * torch.randn(64, 4, 2, 5, 6))
    return Mover(prior, vae, SCHEDULE, 0.1)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def mover() -> Mover:
    return mover_of(Pixels())


PICTURE = torch.from_numpy(blobs(40, 48)).permute(2, 0, 1)[None].float() / 127.5 - 1
LATENTS = F.pixel_unshuffle(PICTURE, CELL)[:, :, None]


@pytest.mark.parametrize("frames", [2, 4, 9])
def test_a_moved_picture_is_itself_in_the_middle_and_warped_elsewhere(mover: Mover, frames: int) -> None:
    clip = mover(LATENTS, frames, 8.0, 5)
    assert clip.shape == (1, 3 * CELL**2, frames, 5, 6)
    assert torch.equal(clip[:, :, frames // 2], LATENTS[:, :, 0])
    flow = mover.flow(PICTURE, frames, 8.0, 5)[0]
    wanted = F.pixel_unshuffle(warp(PICTURE.expand(frames, -1, -1, -1), flow), CELL)
    torch.testing.assert_close(clip[0].movedim(1, 0), wanted, rtol=1e-4, atol=1e-4)
    assert flow[0].abs().mean() > 0.1


def test_what_the_autoencoder_loses_is_moved_too(monkeypatch) -> None:
    """No frame has lost what the middle one has kept."""
    lossy, frames = mover_of(Lossy()), 5

    def stand(pixels: Tensor, frames: int, *_: float) -> Tensor:
        return torch.zeros(1, frames, 2, *pixels.shape[-2:])

    def a_cell_a_frame(pixels: Tensor, frames: int, *_: float) -> Tensor:
        flow = stand(pixels, frames)
        flow[:, :, 0] = CELL * (torch.arange(frames) - frames // 2).view(1, -1, 1, 1)
        return flow

    monkeypatch.setattr(lossy, "flow", stand)
    torch.testing.assert_close(lossy(LATENTS, frames, 8.0, 5), LATENTS.expand(-1, -1, frames, -1, -1))
    monkeypatch.setattr(lossy, "flow", a_cell_a_frame)
    clip = lossy(LATENTS, frames, 8.0, 5)
    for at in range(frames):
        by = at - frames // 2
        seen = clip[0, :, at, :, max(0, -by) : 6 - max(0, by)]
        torch.testing.assert_close(seen, LATENTS[0, :, 0, :, max(0, by) : 6 + min(0, by)], rtol=1e-3, atol=1e-3)


def test_the_seed_says_how_it_moves(mover: Mover) -> None:
    first, again, other = (mover(LATENTS, 4, 8.0, seed) for seed in (5, 5, 6))
    assert torch.equal(first, again) and not torch.allclose(first, other, atol=0.05)


def test_the_prior_is_told_how_long_the_clip_lasts(mover: Mover, monkeypatch) -> None:
    """A clip of twice its frames at twice its rate is the same movement, half a step at a time."""
    told: list[float] = []
    forward = MotionPrior.forward
    monkeypatch.setattr(
        MotionPrior, "forward", lambda self, x, t, p, fps: told.append(float(fps)) or forward(self, x, t, p, fps)
    )
    once, twice = mover.flow(PICTURE, 4, 8.0, 5), mover.flow(PICTURE, 8, 16.0, 5)
    assert set(told) == {8.0}
    torch.testing.assert_close(twice[:, ::2], once)


def test_the_network_sees_the_picture_and_the_rate() -> None:
    torch.manual_seed(1)
    prior = MotionPrior(SMALL).eval().requires_grad_(False)
    for parameter in prior.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    x, t, fps = torch.randn(1, 6, 5, 6), torch.tensor([500]), torch.tensor([8.0])
    found = prior(x, t, PICTURE, fps)
    assert found.shape == x.shape and math.isfinite(float(found.sum()))
    assert not torch.allclose(found, prior(x, t, PICTURE.flip(-1), fps), atol=1e-3)
    assert not torch.allclose(found, prior(x, t, PICTURE, fps * 2), atol=1e-4)
