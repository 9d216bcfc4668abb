"""Proves that a clip with `OverTime` is made around a picture of the image model, in the network and by the sampler."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from diffilm_core.bundle import Defaults, load_model
from diffilm_core.errors import DiffilmError
from diffilm_core.models import UNet, UNetConfig
from diffilm_core.models.temporal.pseudo3d import frame_positions
from diffilm_core.sampling import Denoiser, NoiseSchedule, OverTime, run, sample_clip
from diffilm_core.sampling.noise import initial_noise

SCHEDULE = NoiseSchedule.create("scaled_linear", zero_terminal_snr=True)
FRAMES, SIZE = 16, 8
WORDS = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(2))
PICTURE = torch.randn(2, 4, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(5))


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
@pytest.mark.parametrize("sigma", [2.0, 40.0])
def test_above_its_noise_level_a_clip_is_its_picture(unet: UNet, prediction: str, sigma: float) -> None:
    unet.over_time = OverTime(SCHEDULE, prediction, 1.0)
    found = denoise(unet, prediction, clip(sigma), sigma, WORDS, picture=PICTURE, fps=torch.tensor([8.0, 8.0]))
    # eps gives x0 as a difference of numbers of the size of sigma, in float32
    torch.testing.assert_close(found, PICTURE.expand_as(found), rtol=1e-4, atol=1e-5 * sigma)


@pytest.mark.parametrize("prediction", ["eps", "v"])
@pytest.mark.parametrize(("sigma", "still"), [(0.9, True), (5.0, False)])
def test_the_layers_over_time_see_the_picture_in_the_middle(unet, prediction: str, sigma: float, still: bool) -> None:
    x, at = clip(sigma), FRAMES // 2
    seen = x.clone()
    seen[:, :, at : at + 1] = PICTURE
    wanted = denoise(unet, prediction, seen, sigma, WORDS)
    wanted[:, :, at : at + 1] = PICTURE
    assert not torch.allclose(wanted, denoise(unet, prediction, x, sigma, WORDS), atol=1e-2)
    unet.over_time = OverTime(SCHEDULE, prediction, 1.0)
    found = denoise(unet, prediction, x, sigma, WORDS, picture=PICTURE, still=still)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    unet.over_time = unet.over_time.everywhere()
    torch.testing.assert_close(
        denoise(unet, prediction, x, sigma, WORDS, picture=PICTURE), wanted, rtol=1e-4, atol=1e-4
    )


def test_without_a_picture_nothing_is_changed_but_one_frame_is_the_image_models(unet: UNet) -> None:
    x, one = clip(5.0), clip(5.0, frames=1)
    wanted, alone = denoise(unet, "v", x, 5.0, WORDS), denoise(unet, "v", one, 5.0, WORDS, enable_time=False)
    assert not torch.allclose(alone, denoise(unet, "v", one, 5.0, WORDS), atol=1e-2)
    unet.over_time = OverTime(SCHEDULE, "v", 1.0)
    assert torch.equal(denoise(unet, "v", x, 5.0, WORDS), wanted)
    assert torch.equal(denoise(unet, "v", one, 5.0, WORDS), alone)
    assert torch.equal(denoise(unet, "v", one, 5.0, WORDS, enable_time=False), alone)


def sample(unet: UNet, frames: int, noise: torch.Tensor | None = None, **more: object) -> torch.Tensor:
    told = ({"context": WORDS[:1]}, {"context": WORDS[1:]})
    return sample_clip(unet, SCHEDULE, "v", *told, shape=(4, frames, SIZE, SIZE), seed=3, steps=4, cfg=3.0, **more)


@pytest.mark.parametrize("window", [None, 8])
def test_a_clips_middle_frame_is_the_image_models_picture_of_its_noise(unet, monkeypatch, window: int | None) -> None:
    frames = FRAMES if window is None else 20
    unet.over_time = OverTime(SCHEDULE, "v", 1.0)
    found = sample(unet, frames, window=window, overlap=4)
    noise = initial_noise((1, 4, frames, SIZE, SIZE), 3, freenoise_window=window, overlap=4)
    unet.over_time = None
    monkeypatch.setattr(run, "initial_noise", lambda *_, **__: noise[:, :, frames // 2 : frames // 2 + 1])
    told = [{"context": each[None], "enable_time": False} for each in WORDS]
    alone = sample_clip(unet, SCHEDULE, "v", *told, shape=(4, 1, SIZE, SIZE), seed=3, steps=4, cfg=3.0)
    if window is None:
        torch.testing.assert_close(found[:, frames // 2], alone[:, 0], rtol=1e-3, atol=1e-3)
    else:  # every window's middle frame is the picture; where two windows meet their mean is taken
        assert (found[:, 4] - alone[:, 0]).abs().mean() < 0.5 * (found[:, 0] - alone[:, 0]).abs().mean()
    assert (found[:, 0] - alone[:, 0]).abs().mean() > 0.01, "a still"


@pytest.fixture
def calls(monkeypatch) -> list[int]:
    """The frames of each call of the network."""
    calls, through = [], UNet._through
    monkeypatch.setattr(
        UNet, "_through", lambda self, x, *a, **k: calls.append(x.shape[2]) or through(self, x, *a, **k)
    )
    return calls


def test_the_frames_around_the_picture_have_their_own_guidance(unet: UNet, calls: list[int]) -> None:
    """That of 1 needs no second call of the network, and the picture is the same."""
    unet.over_time = OverTime(SCHEDULE, "v", 100.0)
    usual = sample(unet, FRAMES)
    assert calls.count(1) == 2 * 4 and calls.count(FRAMES) % 2 == 0
    twice, calls[:] = calls.count(FRAMES), []
    unet.over_time = OverTime(SCHEDULE, "v", 100.0, cfg=1.0)
    found = sample(unet, FRAMES)
    assert calls.count(1) == 2 * 4 and calls.count(FRAMES) == twice // 2
    torch.testing.assert_close(found[:, FRAMES // 2], usual[:, FRAMES // 2])
    assert not torch.allclose(found, usual, atol=1e-2)


def test_a_guidance_below_that_of_the_frames_around_is_theirs_too() -> None:
    around = OverTime(SCHEDULE, "v", 1.0, cfg=2.0)
    assert [around.guidance(cfg) for cfg in (4.0, 2.0, 1.0, (1.0, 3.0))] == [2.0, 2.0, 1.0, (1.0, 3.0)]
    assert around.everywhere().cfg == 2.0
    assert OverTime(SCHEDULE, "v", 1.0).guidance(4.0) == 4.0


def test_no_picture_comes_before_pictures(unet: UNet, calls: list[int]) -> None:
    """Where each frame is one, or has a text of its own."""
    unet.over_time = OverTime(SCHEDULE, "v", 1.0)
    texts = WORDS[:1].expand(FRAMES, -1, -1)
    for told in ({"context": WORDS[:1], "enable_time": False}, {"context": texts}):
        sample_clip(unet, SCHEDULE, "v", told, shape=(4, FRAMES, SIZE, SIZE), seed=3, steps=4, cfg=1.0)
    assert calls == [FRAMES] * 8


class Shift:
    """A mover that adds 1 a frame."""

    def __init__(self, below: float = 1e-3) -> None:
        self.below = below
        self.asked: list[tuple[int, float, int]] = []

    def __call__(self, picture: torch.Tensor, frames: int, fps: float, seed: int) -> torch.Tensor:
        self.asked.append((frames, fps, seed))
        return picture + (torch.arange(frames) - frames // 2).view(1, 1, -1, 1, 1)


@pytest.mark.parametrize("prediction", ["eps", "v"])
def test_with_a_moved_clip_every_frame_is_its_own_above_the_level(unet: UNet, prediction: str) -> None:
    unet.over_time = OverTime(SCHEDULE, prediction, 1.0)
    moved = clip(0.5)
    found = denoise(unet, prediction, clip(2.0), 2.0, WORDS, moved=moved)
    torch.testing.assert_close(found, moved, rtol=1e-4, atol=1e-4)


def test_a_movers_level_is_its_own(unet: UNet) -> None:
    """And the picture's that of the layers: what trained them anew takes the mover away."""
    moved, sigma = clip(0.5), 2.0
    around = unet.over_time = OverTime(SCHEDULE, "v", 10.0, cfg=1.5, mover=Shift(0.5))
    torch.testing.assert_close(denoise(unet, "v", clip(sigma), sigma, WORDS, moved=moved), moved, rtol=1e-4, atol=1e-4)
    around.mover.below = 3.0
    assert not torch.allclose(denoise(unet, "v", clip(sigma), sigma, WORDS, moved=moved), moved, atol=1e-2)
    alone = around.unmoved()
    assert (alone.mover, alone.high, alone.cfg) == (None, 10.0, 1.5)
    assert set(alone.told(PICTURE, FRAMES, 8.0, 3, True)) == {"picture", "still"}


def test_below_the_level_the_moved_clips_middle_frame_is_the_picture(unet: UNet) -> None:
    x, moved = clip(0.9), clip(0.5)
    unet.over_time = OverTime(SCHEDULE, "v", 1.0)
    wanted = denoise(unet, "v", x, 0.9, WORDS, picture=moved[:, :, FRAMES // 2 : FRAMES // 2 + 1])
    torch.testing.assert_close(denoise(unet, "v", x, 0.9, WORDS, moved=moved), wanted)


@pytest.mark.parametrize("window", [None, 8])
def test_a_mover_moves_the_picture_of_the_whole_clip(unet: UNet, window: int | None) -> None:
    """With windows, too, of which each has its own part of it; the mover's level lies below all noise levels here."""
    frames = FRAMES if window is None else 20
    mover = Shift()
    seen: list[tuple[int, int]] = []
    before = None if window is None else lambda index, count: seen.append((index, count))
    unet.over_time = OverTime(SCHEDULE, "v", 10.0, mover=mover)
    told = ({"context": WORDS[:1], "fps": torch.tensor([6.0])},)
    found = sample_clip(
        unet, SCHEDULE, "v", *told, shape=(4, frames, SIZE, SIZE), seed=3, steps=4, cfg=1.0, window=window, overlap=4,
        before_window=before,
    )  # fmt: skip
    assert mover.asked == [(frames, 6.0, 3)]
    steps = found - found[:, frames // 2, None]
    wanted = (torch.arange(frames) - frames // 2.0).view(1, -1, 1, 1).expand_as(steps)
    torch.testing.assert_close(steps, wanted, rtol=1e-3, atol=0.05)
    assert seen == ([] if window is None else [(i, 4) for i in range(4)] * 4)


def test_nothing_is_moved_in_a_clip_made_from_another_nor_in_training(unet: UNet) -> None:
    mover = Shift()
    around = unet.over_time = OverTime(SCHEDULE, "v", 1.0, mover=mover)
    sample(unet, FRAMES, latents=torch.zeros(4, FRAMES, SIZE, SIZE), denoise=0.5)
    unet.over_time = around.everywhere()
    sample(unet, FRAMES)
    assert not mover.asked


def test_a_clip_made_from_another_keeps_its_frames_apart(unet: UNet) -> None:
    """Above the level, too: what moves there is not taken away."""
    other = torch.zeros(4, FRAMES, SIZE, SIZE)
    other[:, :4] = 3.0
    frames, unet.over_time = [], OverTime(SCHEDULE, "v", 0.01)
    known = unet.over_time.known
    unet.over_time.known = lambda x, *rest: frames.append(x.shape[2]) or known(x, *rest)
    sample(unet, FRAMES, latents=other, denoise=0.5)
    assert set(frames) == {1}, "all frames were the picture"
    sample(unet, FRAMES)
    assert FRAMES in frames


def test_the_model_that_ships_has_it_where_its_settings_say_so() -> None:
    model = load_model(device="cpu")
    assert isinstance(model.unet.over_time, OverTime)
    assert model.unet.over_time.high == model.defaults.over_time
    assert model.unet.over_time.cfg == model.defaults.cfg_over_time


@pytest.mark.parametrize("level", [0.0, -1.0, (0.4, 0.8)])
def test_a_level_that_is_none_is_named(level: object) -> None:
    with pytest.raises(DiffilmError, match="a noise level above 0"):
        Defaults(over_time=level)


@pytest.mark.parametrize(
    "settings", [{"moved": 0.1}, {"moved": 0.0, "over_time": 3.0}, {"moved": "1", "over_time": 3.0}]
)
def test_a_level_of_the_mover_that_cannot_be_is_named(settings: dict) -> None:
    with pytest.raises(DiffilmError, match=r"moved = .*beside over_time; or leave it out"):
        Defaults(**settings)


@pytest.mark.parametrize("settings", [{"cfg_over_time": 1.0}, {"cfg_over_time": "1", "over_time": 3.0}])
def test_a_guidance_around_no_picture_is_named(settings: dict) -> None:
    with pytest.raises(DiffilmError, match="beside over_time; or leave it out"):
        Defaults(**settings)


def test_the_middle_frame_has_one_position_in_clips_of_any_length() -> None:
    usual = frame_positions(16, 32)
    for frames in (2, 8, 15, 24):
        assert torch.equal(frame_positions(frames, 32)[frames // 2], usual[8])
    plain = torch.arange(16)[:, None] / 1e4 ** (torch.arange(16) / 16)
    torch.testing.assert_close(usual, torch.cat([plain.sin(), plain.cos()], 1))
