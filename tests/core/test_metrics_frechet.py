"""Proves that Frechet distance, inception score and SSIM equal independent implementations, and that intervals hold
what they should, repeat, and show the effect of the number of samples."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor, nn

from diffilm_core.errors import DiffilmError
from diffilm_core.metrics.frechet import frechet_distance, inception_score
from diffilm_core.metrics.images import ssim
from diffilm_core.metrics.resample import bootstrap, mean_interval, with_sizes


def features(count: int, size: int = 24, seed: int = 0, shift: float = 0.0) -> Tensor:
    """Correlated, of very different variances, as a network's are."""
    dice = torch.Generator().manual_seed(7)
    mix = torch.randn(size, size, generator=dice, dtype=torch.float64) * torch.logspace(0, -3, size)
    drawn = torch.randn(count, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return drawn @ mix + shift


@pytest.mark.parametrize(("made", "real"), [(300, 500), (10, 300), (12, 9)])  # more than numbers, fewer, both fewer
def test_frechet_equals_scipys_root(made: int, real: int) -> None:
    a, b = features(made, seed=1), 1.2 * features(real, seed=2, shift=0.1)
    first, second = np.cov(a.numpy(), rowvar=False), np.cov(b.numpy(), rowvar=False)
    root = scipy.linalg.sqrtm(first @ second + (0 if made > 24 else 1e-12) * np.eye(24))
    gap = float((a.mean(0) - b.mean(0)).square().sum())
    wanted = gap + np.trace(first + second - 2 * root.real)
    assert frechet_distance(a, b) == pytest.approx(wanted, rel=1e-4)
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b), rel=1e-9)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


@pytest.mark.slow  # the import of torchmetrics
def test_fid_and_is_equal_torchmetrics() -> None:
    """With its own update and its own formula, on the same features (pictures of one pixel a feature)."""
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.inception import InceptionScore

    class Flat(nn.Module):
        num_features = 27

        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1).double() / 64

    dice = torch.Generator().manual_seed(3)
    made, real = (torch.randint(0, top, (200, 3, 3, 3), generator=dice, dtype=torch.uint8) for top in (200, 255))
    theirs = FrechetInceptionDistance(feature=Flat(), normalize=False, input_img_size=(3, 3, 3)).set_dtype(
        torch.float64
    )
    theirs.update(real, real=True)
    theirs.update(made, real=False)
    found = frechet_distance(Flat()(made), Flat()(real))
    assert found == pytest.approx(float(theirs.compute()), rel=1e-4)
    score = InceptionScore(feature=Flat(), splits=1)
    score.update(made)
    assert inception_score(Flat()(made), splits=1)[0] == pytest.approx(float(score.compute()[0]), rel=1e-4)


def test_inception_score_by_parts() -> None:
    """Salimans' own loop over parts, in numpy; one class for all is 1, a class each is their number."""
    logits = 3 * features(95, 8, seed=4)
    p = scipy.special.softmax(logits.numpy(), axis=1)
    parts = np.array_split(p, 5)
    scores = [np.exp(np.mean(np.sum(q * (np.log(q) - np.log(q.mean(0, keepdims=True))), 1))) for q in parts]
    assert inception_score(logits, splits=5) == pytest.approx((np.mean(scores), np.std(scores)), rel=1e-9)
    assert inception_score(torch.ones(20, 6), splits=2)[0] == pytest.approx(1)
    assert inception_score(50 * torch.eye(6).repeat(4, 1), splits=1)[0] == pytest.approx(6, rel=1e-6)


def test_wrong_features() -> None:
    a = features(20)
    with pytest.raises(DiffilmError, match=r"features of 24 and 8 numbers"):
        frechet_distance(a, a[:, :8])
    with pytest.raises(DiffilmError, match=r"real features of shape \(1, 24\): expected at least 2"):
        frechet_distance(a, a[:1])
    with pytest.raises(DiffilmError, match="generated features hold numbers that are not finite"):
        frechet_distance(a / 0 * 0, a)


@pytest.mark.slow
def test_ssim_equals_torchmetrics() -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure

    dice = torch.Generator().manual_seed(5)
    truth = torch.rand(2, 3, 9, 12, generator=dice)
    truth = nn.functional.interpolate(truth, scale_factor=5, mode="bicubic").clamp(0, 1)
    made = (truth + 0.1 * torch.randn(truth.shape, generator=dice)).clamp(0, 1)
    _, full = structural_similarity_index_measure(made, truth, data_range=1.0, return_full_image=True)
    wanted = float(full[..., 5:-5, 5:-5].mean())  # theirs reflects the borders, Wang's and ours leave them out
    assert ssim(*(each.permute(0, 2, 3, 1) for each in (made, truth))) == pytest.approx(wanted, rel=1e-4)


def test_interval_of_a_mean() -> None:
    values = torch.randn(400, generator=torch.Generator().manual_seed(6)).add(3).tolist()
    spread = mean_interval(values)
    assert spread.low < spread.value < spread.high
    error = 1.96 * float(np.std(values)) / 20
    assert spread.high - spread.value == pytest.approx(error, rel=0.15)
    assert mean_interval(values) == spread and mean_interval(values, seed=1) != spread


def test_distances_have_intervals_and_fall_with_more_samples() -> None:
    """Two sets of one distribution are 0 apart: the more samples the nearer, the limit the nearest; and the interval is
    as wide as figures of other samples scatter."""
    a, b = features(400, seed=1), features(400, seed=2)
    count = 0

    def figure(some: Tensor, others: Tensor) -> float:
        nonlocal count
        count += 1
        return frechet_distance(a[some], b[others])

    spread = bootstrap(figure, 400, 400, rounds=60)
    assert count == 61 and spread.value == frechet_distance(a, b)
    assert spread.low < spread.value < spread.high
    scatter = np.std([frechet_distance(features(400, seed=10 + i), features(400, seed=60 + i)) for i in range(40)])
    assert 0.4 < (spread.high - spread.value) / (1.96 * scatter) < 2.5
    whole = with_sizes(figure, spread, 400, 400)
    assert [n for n, _ in whole.sizes] == [50, 100, 200, 400]
    values = [value for _, value in whole.sizes]
    assert values == sorted(values, reverse=True) and values[0] > 4 * values[-1]
    assert whole.limit is not None and abs(whole.limit) < values[-1]
    assert with_sizes(figure, spread, 12, 12).limit is None
