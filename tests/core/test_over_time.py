"""Proves what a clip's layers over time see and say around its middle frame, and what its first and last steps are."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch

from diffilm_core.bundle import Defaults, load_model
from diffilm_core.errors import DiffilmError
from diffilm_core.models import UNet, UNetConfig
from diffilm_core.models.temporal.pseudo3d import frame_positions
from diffilm_core.sampling import Denoiser, NoiseSchedule, OverTime

SCHEDULE = NoiseSchedule.create("scaled_linear", zero_terminal_snr=True)
FRAMES, SIZE = 16, 8


@pytest.fixture(scope="module")
def network() -> UNet:
    torch.manual_seed(0)
    config = UNetConfig(4, 4, 32, (1, 2), 1, (1, 1), context_dim=16, head_dim=16, temporal="pseudo3d")
    network = UNet(config).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    return network


@pytest.fixture
def unet(network: UNet) -> Iterator[UNet]:
    yield network
    network.over_time = None


def clip(sigma: float, frames: int = FRAMES, batch: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    picture = torch.randn(batch, 4, 1, SIZE, SIZE, generator=generator)
    return picture + sigma * torch.randn(batch, 4, frames, SIZE, SIZE, generator=generator)


def denoise(unet: UNet, prediction: str, x: torch.Tensor, sigma: float, context: torch.Tensor, **more: object):
    call = Denoiser(unet, SCHEDULE, prediction, quantize=False)
    return call(x, torch.full((len(x),), sigma), context=context, **more)


@pytest.mark.parametrize("prediction", ["eps", "v"])
@pytest.mark.parametrize("sigma", [2.0, 40.0, 4000.0])
def test_every_frame_is_what_the_image_model_sees_in_their_mean(unet: UNet, prediction: str, sigma: float) -> None:
    x, context = clip(sigma), torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(2))
    wanted = denoise(unet, prediction, x.mean(2, keepdim=True), sigma / FRAMES**0.5, context, enable_time=False)
    unet.over_time = OverTime(SCHEDULE, prediction, 0.5, 1.0)
    found = denoise(unet, prediction, x, sigma, context, fps=torch.tensor([8.0, 8.0]))
    # eps gives x0 as a difference of numbers of the size of sigma, in float32
    rounding = 1e-6 * sigma if prediction == "eps" else 0
    torch.testing.assert_close(found, wanted.expand_as(found), rtol=1e-4, atol=1e-4 + rounding)


@pytest.mark.parametrize("prediction", ["eps", "v"])
@pytest.mark.parametrize(
    ("why", "sigma", "x", "rows"),
    [
        ("a lower noise level", 0.9, clip(0.9), 2),
        ("a text a frame", 5.0, clip(5.0), 2 * FRAMES),
        ("noise that the frames share", 5.0, clip(5.0)[:, :, :1].repeat(1, 1, FRAMES, 1, 1), 2),
    ],
)
def test_the_layers_over_time_work_around_the_middle_frame(
    unet: UNet, prediction: str, why: str, sigma: float, x: torch.Tensor, rows: int
) -> None:
    at = FRAMES // 2
    context = torch.randn(rows, 5, 16, generator=torch.Generator().manual_seed(2))
    own = context if rows == 2 else context[[at, FRAMES + at]]
    middle = denoise(unet, prediction, x[:, :, at : at + 1], sigma, own, enable_time=False)
    seen = x.clone()
    seen[:, :, at : at + 1] = middle
    wanted = denoise(unet, prediction, seen, sigma, context)
    wanted[:, :, at : at + 1] = middle
    unet.over_time = OverTime(SCHEDULE, prediction, 0.5, 1.0)
    torch.testing.assert_close(denoise(unet, prediction, x, sigma, context), wanted, rtol=1e-4, atol=1e-4, msg=why)


def test_one_frame_is_left_alone(unet: UNet) -> None:
    x, context = clip(5.0, frames=1), torch.randn(2, 5, 16)
    wanted = denoise(unet, "v", x, 5.0, context)
    unet.over_time = OverTime(SCHEDULE, "v", 0.5, 1.0)
    assert torch.equal(denoise(unet, "v", x, 5.0, context), wanted)


def test_what_is_seen_of_the_middle_frame_is_no_way_for_gradients(network: UNet) -> None:
    """The image model learns by its own frame alone, not by what the others make of it."""
    x, context = clip(2.0).requires_grad_(), torch.randn(2, 5, 16)
    at, over_time = FRAMES // 2, OverTime(SCHEDULE, "v", 0.0, math.inf)
    network.over_time = over_time
    try:
        network(x, SCHEDULE.timestep(torch.full((2,), 2.0)), context)[:, :, 0].sum().backward()
    finally:
        network.over_time = None
    assert x.grad is not None and not x.grad[:, :, at].any() and x.grad[:, :, 0].any()


@pytest.mark.parametrize("rows", [2, 2 * FRAMES])
def test_the_last_steps_are_pictures(unet: UNet, rows: int) -> None:
    x, context = clip(0.4), torch.randn(rows, 5, 16, generator=torch.Generator().manual_seed(2))
    wanted = denoise(unet, "v", x, 0.4, context, enable_time=False)
    assert not torch.equal(denoise(unet, "v", x, 0.4, context), wanted)
    unet.over_time = OverTime(SCHEDULE, "v", 0.5, 1.0)
    assert torch.equal(denoise(unet, "v", x, 0.4, context), wanted)


def test_the_image_model_is_left_alone(unet: UNet) -> None:
    x, context = clip(5.0), torch.randn(2, 5, 16)
    wanted = denoise(unet, "v", x, 5.0, context, enable_time=False)
    unet.over_time = OverTime(SCHEDULE, "v", 0.5, 1.0)
    assert torch.equal(denoise(unet, "v", x, 5.0, context, enable_time=False), wanted)


def test_the_model_that_ships_has_it_where_its_settings_say_so() -> None:
    model = load_model(device="cpu")
    assert isinstance(model.unet.over_time, OverTime)
    assert (model.unet.over_time.low, model.unet.over_time.high) == tuple(model.defaults.over_time)


@pytest.mark.parametrize("levels", [(0.4,), (0.8, 0.4), (-1.0, 0.4)])
def test_levels_that_are_none_are_named(levels: tuple[float, ...]) -> None:
    with pytest.raises(DiffilmError, match="two noise levels"):
        Defaults(over_time=levels)


def test_the_middle_frame_has_one_position_in_clips_of_any_length() -> None:
    usual = frame_positions(16, 32)
    for frames in (2, 8, 15, 24):
        assert torch.equal(frame_positions(frames, 32)[frames // 2], usual[8])
    plain = torch.arange(16)[:, None] / 1e4 ** (torch.arange(16) / 16)
    torch.testing.assert_close(usual, torch.cat([plain.sin(), plain.cos()], 1))
