"""Proves that damage is what it says, the same for the same seed, and that pairs and losses of its training fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from diffilm_core.models.upscaling.net import Doubler, DoublerConfig
from diffilm_core.training.clips import LENGTH, ROW, SIDE
from diffilm_core.training.degrade import Clip, Damage, blur, damage, draw, reduce, through_h264, write_pairs
from diffilm_core.training.resolution import PairSource, ResolutionTask, draw_batch, open_pairs, validate


@pytest.fixture(scope="module")
def clip() -> Clip:
    y, x = np.mgrid[:128, :128]
    wave = 0.5 + 0.25 * np.sin(x / 5) + 0.25 * np.cos(y / 7 + x / 11)
    frames = [np.roll(wave, 3 * t, 1) for t in range(LENGTH)]
    return (np.stack([np.stack(frames)] * 3, -1) * 255).round().astype(np.uint8)


def distance(a: Clip, b: Clip) -> float:
    return float(np.abs(a.astype(np.float32) - b).mean())


def test_each_kind_of_damage(clip: Clip) -> None:
    rng = np.random.default_rng(0)
    clean = reduce(clip, 4)
    assert clean.shape == (LENGTH, 32, 32, 3)
    assert np.array_equal(damage(clip, 4, Damage(), rng), clean)
    noise = damage(clip, 4, Damage(noise=6.0, coloured=True), rng).astype(np.float32) - clean
    assert 5 < noise[np.abs(clean - 127.0) < 90].std() < 7
    grey = damage(clip, 4, Damage(noise=6.0), rng).astype(np.float32) - clean
    assert np.ptp(grey[np.abs(clean - 127.0).max(-1) < 90], axis=-1).max() <= 1
    levels = [distance(damage(clip, 4, Damage(crf=crf), rng), clean) for crf in (20, 38)]
    assert 0 < levels[0] < levels[1]
    soft = [distance(damage(clip, 4, Damage(blur=(s, s)), rng), clean) for s in (0.5, 1.5)]
    assert soft[0] < soft[1]
    redrawn = damage(clip, 4, Damage(artefacts=0.5), rng, lambda c: np.zeros_like(c))
    assert abs(redrawn.mean() / clean.mean() - 0.5) < 0.01


def test_h264_is_the_same_every_time(clip: Clip) -> None:
    small = reduce(clip, 2)
    assert all(np.array_equal(through_h264(small, 30), through_h264(small, 30)) for _ in range(3))


def test_blur_is_turned(clip: Clip) -> None:
    point = np.zeros((1, 31, 31, 3), np.uint8)
    point[0, 15, 15] = 255
    found = blur(point, 3.0, 0.5, np.pi / 2)[0, :, :, 0]
    assert found[18, 15] > 5 * max(1, found[15, 18])


def test_strength_bounds_what_is_drawn() -> None:
    rng = np.random.default_rng(1)
    drawn = [draw(0.5, rng, autoencoder=True) for _ in range(300)]
    assert max(max(each.blur) for each in drawn) <= 0.8 and max(each.noise for each in drawn) <= 6
    assert max(each.crf or 0 for each in drawn) <= 29 and max(each.artefacts for each in drawn) <= 0.5
    assert any(each.artefacts for each in drawn) and any(each.crf is None for each in drawn)
    assert draw(0.0, rng) == Damage()


def test_pairs_keep_validation_apart(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, LENGTH, SIDE, SIDE, 3), np.uint8)
    rows = np.zeros(4, ROW)
    rows["validation"] = [False, False, True, False]
    pixels.tofile(tmp_path / "film.u8")
    np.save(tmp_path / "film.npy", rows)
    assert write_pairs(tmp_path, "film", tmp_path / "pairs", 4, damaged=False, every=2) == 2
    train = open_pairs(tmp_path, tmp_path / "pairs", "film", "clean", 4, 2, 1)
    kept = open_pairs(tmp_path, tmp_path / "pairs", "film", "clean", 4, 2, 1, validation=True)
    assert np.array_equal(train.large, pixels[:1, 3]) and np.array_equal(kept.large, pixels[2:3, 3])
    assert np.array_equal(kept.small[0], reduce(pixels[2], 4)[2:5])


def test_batches_fit_and_their_loss_reaches_both_layers(clip: Clip) -> None:
    source = PairSource(4, np.array([0.0], np.float32), reduce(clip, 4)[None, 2:5], clip[None, 3])
    window, truth, strength = draw_batch([(source, 1.0)], 3, 64, np.random.default_rng(0))
    assert (window.shape, truth.shape, strength.tolist()) == ((3, 3, 3, 16, 16), (3, 3, 64, 64), [0.0] * 3)
    again = torch.nn.functional.interpolate(truth, scale_factor=0.25, mode="bicubic", antialias=True)
    assert (again[..., 2:-2, 2:-2] - window[:, 1, :, 2:-2, 2:-2]).abs().mean() < 0.02
    layers = Doubler(DoublerConfig(16, 1, 1)), Doubler(DoublerConfig(16, 1, 0, 2))
    found = validate(*layers, source)
    assert abs(found["ours"] - found["bicubic"]) < 1e-3
    ResolutionTask(*layers, [(source, 1.0)], [], batch=2, side=64).loss(0).backward()
    assert all(layer.leave.weight.grad.abs().max() > 0 for layer in layers)
