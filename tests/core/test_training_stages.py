"""Proves that stage `video` leaves every spatial parameter as it was, to the bit, and never asks for a caption (its
words are what a probe sees in the clips), that stage `motion` learns movement as it is, and that stage `decoder` leaves
the encoder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from diffilm_core.errors import DiffilmError
from diffilm_core.models import AutoencoderKL, UNet, is_temporal
from diffilm_core.models.motion_prior import MotionPrior
from diffilm_core.sampling.schedules import NoiseSchedule
from diffilm_core.training import pool, stages
from diffilm_core.training.config import StageConfig, read_config
from diffilm_core.training.loop import Run
from diffilm_core.training.objective import Objective
from diffilm_core.training.scenes import plain_words
from tests.lpips import lpips_weights

CONFIG = read_config(Path(__file__).parents[2] / "configs" / "shipped.toml")
SMALL = replace(
    CONFIG,
    unet=replace(CONFIG.unet, model_channels=16, channel_mult=(2, 2), transformer_depth=(1, 1), context_dim=32),
    data=replace(CONFIG.data, clips=8, frames=4),
    stages={**CONFIG.stages, "video": StageConfig(steps=3, batch=4, lr=1e-2, warmup=1, caption_dropout=0.5)},
)


class PlainText(nn.Module):
    """A text encoder that keeps the token ids it was given."""

    def __init__(self):
        super().__init__()
        self.read = []

    def forward(self, input_ids):
        self.read += input_ids[:, 1].tolist()
        return type("Output", (), {"last_hidden_state": torch.ones(*input_ids.shape, 32)})


class Eyes(nn.Module):
    """Sees the first object in the first place in every picture."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, pixels):
        sure = torch.tensor([[9.0, 0, 0]]).expand(len(pixels), -1)
        return sure, sure[:, :2]


class SilentWorld:
    """A world whose clips carry no words; asking it for captions is an error."""

    device = torch.device("cpu")
    data = SMALL.data

    def tokenize(self, texts):
        seen = plain_words(torch.tensor([[0, -1]]), torch.tensor([0]))
        assert set(texts) <= {"", *seen}, "stage video read a caption"
        return torch.tensor([[1, 3 if text else 2] + [2] * 30 for text in texts])

    def clips(self, count, frames, seed):
        generator = torch.Generator().manual_seed(seed)
        yield (
            torch.randint(255, (count, 3, frames, 32, 32), generator=generator, dtype=torch.uint8),
            torch.full((count,), 8.0),
        )

    def __getattr__(self, name):
        raise AssertionError(f"stage video asked for {name}")


class PlainVae(nn.Module):
    def encode(self, pixels):
        return torch.nn.functional.avg_pool2d(pixels, 8).repeat(1, 3, 1, 1)[:, :8]


def test_stage_video_trains_temporal_layers_alone_and_reads_no_caption(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "captions", None)
    monkeypatch.setattr(pool, "captioned_scenes", None)
    torch.manual_seed(0)
    still = UNet(SMALL.unet)
    before = {name: value.clone() for name, value in still.state_dict().items()}
    text = PlainText()
    trained = stages.video(SilentWorld(), SMALL, tmp_path, PlainVae(), text, still, Eyes())
    assert set(text.read) == {2, 3}, "the words that were seen, and the empty prompt at the rate of caption dropout"
    fresh = UNet(SMALL.unet.with_time()).state_dict()
    after = trained.state_dict()
    for name, value in before.items():
        assert torch.equal(after[name], value), name
    temporal = [name for name in after if is_temporal(name)]
    changed = [name for name in temporal if not torch.equal(after[name], fresh[name])]
    assert len(changed) > len(temporal) * 0.6


def test_stage_video_learns_around_the_middle_frame(tmp_path, monkeypatch):
    """It sees that frame without noise."""
    drawn, seen = [], []
    loss, through = Objective.loss, UNet._through

    def watched_loss(self, network, latents, noise, t):
        drawn.append((latents, self.alpha_bar(t).sqrt().view(-1, 1, 1, 1)))
        return loss(self, network, latents, noise, t)

    def watched(self, x, *rest, **more):
        seen.append(x.detach())
        return through(self, x, *rest, **more)

    monkeypatch.setattr(Objective, "loss", watched_loss)
    monkeypatch.setattr(UNet, "_through", watched)
    stages.video(SilentWorld(), SMALL, tmp_path, PlainVae(), PlainText(), UNet(SMALL.unet), Eyes())
    assert len(seen) == 3
    for x, (latents, alpha) in zip(seen, drawn, strict=True):
        assert torch.allclose(x[:, :, 2], (alpha * latents[:, :, 2]).to(x), atol=1e-2)
        assert not torch.allclose(x[:, :, 1], (alpha * latents[:, :, 1]).to(x), atol=1e-2)


class PanningWorld(SilentWorld):
    """Clips in which all goes to the right, by a fifth of the frame rate in pixels a frame."""

    def clips(self, count, frames, seed):
        generator = torch.Generator().manual_seed(seed)
        rates = torch.tensor([5.0, 10.0]).repeat(count // 2)
        coarse = torch.randn(count, 3, 8, 16, generator=generator)
        wide = torch.nn.functional.interpolate(coarse, (64, 128), mode="bicubic") * 50 + 128
        rows = []
        for one, rate in zip(wide.clamp(0, 255).to(torch.uint8), rates.tolist(), strict=True):
            steps = [32 - round(rate / 5) * (at - frames // 2) for at in range(frames)]
            rows.append(torch.stack([one[:, :, x : x + 64] for x in steps], 1))
        yield torch.stack(rows), rates


def test_stage_motion_learns_where_things_go_and_their_mirror_images(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "captions", None)
    seen = []
    coefficients = MotionPrior.coefficients

    def watched(self, flow):
        seen.append(coefficients(self, flow))
        return seen[-1]

    monkeypatch.setattr(MotionPrior, "coefficients", watched)
    torch.manual_seed(0)
    config = replace(SMALL, stages={"motion": StageConfig(steps=60, batch=16, lr=1e-3, warmup=1, ema=0.5)})
    prior = stages.motion(PanningWorld(), config, tmp_path)
    assert prior.config.frames == 4
    clean = torch.cat(seen)
    flow = prior.flow(clean)[:, :, :, 2:-2, 2:-2].mean((3, 4))  # (n, t, 2)
    speeds = (flow[:, 3, 0] - flow[:, 0, 0]) / 3
    for speed in (-2, -1, 1, 2):  # a picture that goes right is looked up further left, its mirror image not
        assert ((speeds - speed).abs() < 0.3).any(), speed
    assert flow[:, :, 1].abs().mean() < 0.2
    some = clean[:16]
    noisy = (some + torch.randn_like(some)) / 2**0.5  # noise level 1
    t = NoiseSchedule.create(**SMALL.schedule).nearest_timestep(torch.ones(16))
    with torch.no_grad():
        said = prior(noisy, t, torch.zeros(16, 3, 64, 64), torch.full((16,), 5.0))
    wrong, size = (said - some).square().mean(), some.square().mean()
    assert wrong < 0.8 * size, "what it says of noisy ways is the clean ones"


def test_stage_decoder_leaves_latents_what_they_are(tmp_path, monkeypatch):
    """With torch.compile too, as on a GPU: a discriminator's gradients are not to be had within a compiled graph."""
    monkeypatch.setattr(stages, "compiled", lambda module, device: torch.compile(module, backend="aot_eager"))
    torch.manual_seed(0)
    vae, weights = AutoencoderKL(replace(CONFIG.vae, ch=32, ch_mult=(1, 1, 1, 1))), tmp_path / "lpips.ckpt"
    before = {name: tensor.clone() for name, tensor in vae.state_dict().items()}
    lpips_weights(weights)
    config = replace(SMALL, stages={"decoder": StageConfig(steps=2, batch=2, lr=1e-2, warmup=1)})
    config = replace(config, data=replace(config.data, size=64))

    class Pictures:
        device = torch.device("cpu")

        def frames(self, count):
            return torch.rand(count, 3, 64, 64) * 2 - 1

    after = stages.decoder(Pictures(), config, tmp_path, vae, weights).state_dict()
    changed = {name.partition(".")[0] for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed == {"decoder", "post_quant_conv"}


def test_a_stopped_run_goes_on_to_the_same_parameters(tmp_path):
    config = StageConfig(steps=10, batch=1, lr=1e-2, warmup=1)

    def run(folder, stop_at=None):
        folder.mkdir(exist_ok=True)
        torch.manual_seed(1)
        model = nn.Linear(4, 1)

        def loss(step):
            if step == stop_at:
                raise KeyboardInterrupt
            return (model(torch.randn(3, 4)) - step).square().mean()

        Run("toy", {"model": model}, config, folder, torch.device("cpu"), save_seconds=-1).train(loss)
        return model.state_dict()

    whole = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", stop_at=4)
    parts = run(tmp_path / "parts")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    model = nn.Linear(1, 1)
    run = Run("bad", {"model": model}, StageConfig(steps=2, batch=1, lr=1.0), tmp_path, torch.device("cpu"))
    with pytest.raises(DiffilmError, match="loss is nan at step 1"):
        run.train(lambda step: model(torch.full((1, 1), float("nan"))).sum())
    assert not (tmp_path / "bad.ckpt").exists()


def test_weights_that_are_not_finite_are_not_saved_over_good_ones(tmp_path):
    """The loss is finite, its gradient is not: the root of 0."""
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.zero_()
    run = Run("bad", {"model": model}, StageConfig(steps=1, batch=1, lr=1.0), tmp_path, torch.device("cpu"))
    with pytest.raises(DiffilmError, match="weights are not finite at step 1"):
        run.train(lambda step: model(torch.ones(1, 1)).square().sqrt().sum())
    assert not (tmp_path / "bad.ckpt").exists()


def test_unknown_keys_in_a_configuration_are_named(tmp_path):
    text = (Path(__file__).parents[2] / "configs" / "shipped.toml").read_text()
    (tmp_path / "a.toml").write_text(text.replace("warmup = 500", "warm_up = 500"))
    with pytest.raises(DiffilmError, match="unknown key 'warm_up'"):
        read_config(tmp_path / "a.toml")
