"""Proves that the training objective's targets and weights are those of the papers it names."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffilm_core.errors import DiffilmError
from diffilm_core.sampling.denoiser import Denoiser
from diffilm_core.sampling.edm import EDMSchedule
from diffilm_core.sampling.schedules import NoiseSchedule
from diffilm_core.training.objective import Objective

PLAIN = NoiseSchedule.create()
ZERO = NoiseSchedule.create(zero_terminal_snr=True)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 998), st.integers(0, 2**31 - 1))
def test_noise_and_velocity_give_the_same_clean_sample(at: int, seed: int) -> None:
    """x0 = (x - sigma e) / alpha = alpha x - sigma v, of one x_t."""
    generator = torch.Generator().manual_seed(seed)
    clean, noise = (torch.randn(1, 2, 3, 4, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    t = torch.tensor([at])
    x, eps = Objective(PLAIN, "eps").noisy(clean, noise, t)
    again, v = Objective(PLAIN, "v").noisy(clean, noise, t)
    bar = PLAIN.alphas_cumprod[at]
    assert torch.equal(x, again) and torch.equal(eps, noise)
    assert torch.allclose((x - (1 - bar).sqrt() * eps) / bar.sqrt(), clean, atol=1e-8)
    assert torch.allclose(bar.sqrt() * x - (1 - bar).sqrt() * v, clean, atol=1e-12)


@pytest.mark.parametrize("schedule", [PLAIN, ZERO])
def test_min_snr_weighs_the_clean_sample_alike_whatever_is_predicted(schedule: NoiseSchedule) -> None:
    """Hang et al. 2023: with either target an error of x0 counts min(snr, gamma)."""
    t = torch.arange(1000)
    snr = schedule.alphas_cumprod / (1 - schedule.alphas_cumprod)
    of_eps = Objective(schedule, "eps", min_snr=5.0).weight(t).double() * snr  # e's error is sqrt(snr) times x0's
    of_v = Objective(schedule, "v", min_snr=5.0).weight(t).double() * (snr + 1)
    assert torch.allclose(of_eps, snr.clamp(max=5), rtol=1e-5) and torch.allclose(of_v, snr.clamp(max=5), rtol=1e-5)
    assert torch.equal(Objective(schedule).weight(t), torch.ones(1000))


def test_the_loss_is_the_weighted_mean_square() -> None:
    objective = Objective(PLAIN, "v", min_snr=5.0)
    latents = torch.randn(3, 2, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    noise, t = objective.draw(latents.shape, torch.Generator().manual_seed(1))
    _, target = objective.noisy(latents, noise, t)
    got = objective.loss(lambda x, t: torch.zeros_like(x), latents, noise, t)
    expected = sum(float(w) * float(v.square().mean()) for w, v in zip(objective.weight(t), target, strict=True)) / 3
    assert abs(float(got) - expected) < 1e-5
    assert float(objective.loss(lambda x, t: target, latents, noise, t)) == 0


def test_offset_noise_moves_a_whole_channel() -> None:
    plain = Objective(PLAIN).draw((1, 2, 4, 5, 5), torch.Generator().manual_seed(3))[0]
    moved = Objective(PLAIN, offset_noise=0.5).draw((1, 2, 4, 5, 5), torch.Generator().manual_seed(3))[0]
    difference = (moved - plain).flatten(2)
    assert float(difference.std(2).max()) < 1e-6 and float(difference.abs().min()) > 0


def test_edm_is_karras_preconditioning_and_loss() -> None:
    """Karras et al. 2022, table 1, with sigma_data = 1, as Stable Video Diffusion has it: D = c_skip x + c_out F(c_in
    x, c_noise), loss (sigma^2 + 1) / sigma^2 |D - x0|^2; and the pack's own denoiser says the same D."""
    objective = Objective(EDMSchedule.between(), "edm")
    clean, noise = (torch.randn(4, 2, 3, 4, 4, dtype=torch.float64) for _ in range(2))
    _, told = objective.draw(clean.shape, torch.Generator().manual_seed(0))
    sigma = (told.double() * 4).exp().view(-1, 1, 1, 1, 1)
    seen: list[torch.Tensor] = []

    def network(x: torch.Tensor, t: torch.Tensor, *_: object) -> torch.Tensor:
        seen.append(x)
        return x.sin() + t.double().view(-1, 1, 1, 1, 1)

    loss = objective.loss(network, clean, noise, told)
    x, root = clean + sigma * noise, (sigma**2 + 1).sqrt()
    assert torch.allclose(seen[0], x / root, atol=1e-6)  # c_in
    denoised = x / root**2 - sigma / root * network(x / root, told.double())  # c_skip, c_out, c_noise = ln(sigma) / 4
    weighted = ((sigma**2 + 1) / sigma**2 * (denoised - clean) ** 2).mean()
    assert abs(float(loss / weighted) - 1) < 1e-5
    denoiser = Denoiser(network, objective.schedule, objective.prediction)
    own = torch.cat([denoiser(x[i : i + 1], sigma[i, 0, 0, 0]) for i in range(4)])
    assert torch.allclose(own, denoised, atol=1e-5)
    levels = objective.draw((4000, 1), torch.Generator().manual_seed(0))[1] * 4
    assert abs(float(levels.mean()) - 1.0) < 0.1 and abs(float(levels.std()) - 1.6) < 0.1


def test_impossible_settings_are_named() -> None:
    for options, words in (
        ({"target": "x0"}, "eps, v, edm"),
        ({"min_snr": 0.0}, "above 0"),
        ({"offset_noise": -1}, "0 "),
    ):
        with pytest.raises(DiffilmError, match=words):
            Objective(PLAIN, **options)
