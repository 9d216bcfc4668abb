"""Proves what every sampler promises: known solutions, resuming bit for bit, seeds, callbacks, cancel,
clear errors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from diffilm_core import Cancelled, DiffilmError
from diffilm_core.sampling import (
    SAMPLERS,
    NoiseSchedule,
    SamplerState,
    StepNoise,
    initial_noise,
    noisy_start,
    sample_ddim,
    sample_euler,
    sample_euler_ancestral,
    sampler_for,
    sigmas_for,
)

SCHEDULE = NoiseSchedule.create()
SIGMAS = sigmas_for(SCHEDULE, 8)
STOCHASTIC = ["euler_ancestral", "lcm"]
names = pytest.mark.parametrize("name", list(SAMPLERS))


def model(x: Tensor, sigma: Tensor) -> Tensor:
    s = sigma.view(-1, *(1,) * (x.ndim - 1))
    return torch.tanh(x.roll(1, -1) + 0.3 * x) / (1 + 0.1 * s)


def start(dtype: torch.dtype = torch.float32) -> Tensor:
    return initial_noise((2, 3, 4, 5, 6), 7).to(dtype) * SIGMAS[0]


@names
def test_a_constant_model_is_reached_exactly(name: str) -> None:
    """Where the model always says x0 = c, every sampler ends at c."""
    clean = torch.randn(2, 3, 4, 5, 6)
    assert torch.allclose(SAMPLERS[name](lambda x, sigma: clean, start(), SIGMAS), clean, atol=1e-6)


@pytest.mark.parametrize(("name", "order"), [("euler", 1), ("ddim", 1), ("dpmpp_2m", 2)])
def test_order_of_convergence(name: str, order: int) -> None:
    """For data N(0, v): x0 = x v / (v + s^2), and the exact flow is x sqrt((v + s1^2) / (v + s0^2))."""
    v, high, low = 0.5, 10.0, 0.1
    x = torch.ones(1, 1, 1, 1, 1, dtype=torch.float64)
    exact = ((v + low**2) / (v + high**2)) ** 0.5

    def error(steps: int) -> float:
        sigmas = torch.logspace(1, -1, steps + 1, dtype=torch.float64)
        out = SAMPLERS[name](lambda x, s: x * v / (v + s.view(-1, 1, 1, 1, 1) ** 2), x, sigmas)
        return abs(float(out) - exact)

    assert error(80) / error(160) == pytest.approx(2**order, rel=0.15)


@names
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_dtype(name: str, dtype: torch.dtype) -> None:
    """Computed in the dtype of x, in float32 where x is narrower."""
    seen = set()

    def watching(x: Tensor, sigma: Tensor) -> Tensor:
        seen.update({x.dtype, sigma.dtype})
        assert sigma.shape == (2,)
        return model(x, sigma)

    out = SAMPLERS[name](watching, start(dtype), SIGMAS)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    assert out.dtype == wide and seen == {wide}


@names
@settings(deadline=None, max_examples=20)
@given(stop=st.integers(0, 7))
def test_resumes_bit_for_bit(name: str, stop: int) -> None:
    """From what a callback saw, stored as tensors and read back."""
    saved: dict[str, Tensor] = {}

    def keep(step: int, steps: int, x: Tensor, denoised: Tensor) -> None:
        if step == stop:
            saved.update(SamplerState(step + 1, x, denoised).to_tensors())

    whole = SAMPLERS[name](model, start(), SIGMAS, callback=keep, seed=3)
    calls = []

    def counted(x: Tensor, sigma: Tensor) -> Tensor:
        calls.append(1)
        return model(x, sigma)

    state = SamplerState.from_tensors(saved)
    again = SAMPLERS[name](counted, torch.zeros_like(whole), SIGMAS, resume=state, seed=3)
    assert torch.equal(again, whole) and len(calls) == 8 - (stop + 1)


@names
def test_seed_decides(name: str) -> None:
    one, same, other = (SAMPLERS[name](model, start(), SIGMAS, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert torch.equal(one, other) == (name not in STOCHASTIC)


def test_global_random_state_is_left_alone() -> None:
    before = torch.get_rng_state()
    sample_euler_ancestral(model, start(), SIGMAS, seed=1)
    sample_ddim(model, start(), SIGMAS, seed=1, eta=0.5)
    assert torch.equal(before, torch.get_rng_state())


def test_ancestral_noise_is_the_one_of_comfyui_on_a_cpu() -> None:
    """Its generator starts at seed + 1 and draws [t, c, h, w] each step."""
    noise = StepNoise(torch.zeros(1, 3, 4, 5, 6), 41)
    generator = torch.Generator().manual_seed(42)
    for step in range(3):
        drawn = torch.randn((4, 3, 5, 6), generator=generator)
        assert torch.equal(noise(step)[0].transpose(0, 1), drawn)
    with pytest.raises(ValueError, match="already drawn"):
        noise(1)


def test_each_clip_of_a_batch_has_the_noise_of_its_own_seed() -> None:
    x = start(torch.float64)[:1].repeat(2, 1, 1, 1, 1)
    both = sample_euler_ancestral(model, x, SIGMAS, seed=[4, 9])
    alone = [sample_euler_ancestral(model, x[:1], SIGMAS, seed=seed) for seed in (4, 9)]
    torch.testing.assert_close(both, torch.cat(alone))
    assert not torch.equal(both[0], both[1])
    with pytest.raises(DiffilmError, match="3 seeds for 2 clips"):
        sample_euler_ancestral(model, x, SIGMAS, seed=[1, 2, 3])


def test_eta_spans_euler_to_ancestral() -> None:
    x = start(torch.float64)
    assert torch.equal(sample_ddim(model, x, SIGMAS), sample_euler(model, x, SIGMAS))
    ancestral = sample_euler_ancestral(model, x, SIGMAS, seed=4)
    assert torch.equal(sample_ddim(model, x, SIGMAS, eta=1.0, seed=4), ancestral)
    assert not torch.equal(sample_ddim(model, x, SIGMAS, eta=0.5, seed=4), ancestral)
    with pytest.raises(DiffilmError, match="eta"):
        sample_ddim(model, x, SIGMAS, eta=1.5)


@names
def test_callback_after_each_step(name: str) -> None:
    seen: list[tuple[int, int]] = []
    last: list[Tensor] = []

    def keep(step: int, steps: int, x: Tensor, denoised: Tensor) -> None:
        seen.append((step, steps))
        assert x.shape == denoised.shape and not x.requires_grad
        last.append(x)

    out = SAMPLERS[name](model, start(), SIGMAS, callback=keep)
    assert seen == [(step, 8) for step in range(8)] and torch.equal(last[-1], out)


@names
def test_cancel_stops_at_once(name: str) -> None:
    calls = []

    def counted(x: Tensor, sigma: Tensor) -> Tensor:
        calls.append(1)
        return model(x, sigma)

    def cancel(step: int, steps: int, x: Tensor, denoised: Tensor) -> None:
        if step == 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        SAMPLERS[name](counted, start(), SIGMAS, callback=cancel)
    assert len(calls) == 3


@names
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nan_names_the_step(name: str, bad: float) -> None:
    def broken(x: Tensor, sigma: Tensor) -> Tensor:
        return torch.full_like(x, bad) if float(sigma[0]) < 1 else model(x, sigma)

    first = int((SIGMAS < 1).nonzero()[0]) + 1
    with pytest.raises(DiffilmError, match=f"step {first} of 8"):
        SAMPLERS[name](broken, start(), SIGMAS)


@names
def test_bad_sigmas_and_states(name: str) -> None:
    run = SAMPLERS[name]
    with pytest.raises(DiffilmError, match="at least 1 step"):
        run(model, start(), SIGMAS[-1:])
    with pytest.raises(DiffilmError, match="descend"):
        run(model, start(), SIGMAS.flip(0))
    with pytest.raises(DiffilmError, match="0 to 8"):
        run(model, start(), SIGMAS, resume=SamplerState(9, start(), start()))
    with pytest.raises(DiffilmError, match="another clip"):
        run(model, start(), SIGMAS, resume=SamplerState(2, start()[:1], start()[:1]))
    with pytest.raises(DiffilmError, match="expected step, x"):
        SamplerState.from_tensors({"x": start()})


def test_dpmpp_2m_needs_the_denoised_before() -> None:
    with pytest.raises(DiffilmError, match="dpmpp_2m needs"):
        SAMPLERS["dpmpp_2m"](model, start(), SIGMAS, resume=SamplerState(2, start()))


def test_unknown_sampler_lists_what_exists() -> None:
    with pytest.raises(DiffilmError, match="ddim, euler, euler_ancestral, dpmpp_2m"):
        sampler_for("heun")


def test_noisy_start() -> None:
    """Below sigma_max latents + sigma * noise; from it up the noise has the variance 1 + sigma^2."""
    noise, latents = torch.randn(1, 2, 3, 4, 4), torch.randn(1, 2, 3, 4, 4)
    part = noisy_start(latents, noise, torch.tensor(2.0), SCHEDULE.sigma_max)
    torch.testing.assert_close(part, latents + 2 * noise)
    full = noisy_start(None, noise, SIGMAS[0], SCHEDULE.sigma_max)
    torch.testing.assert_close(full, noise * (1 + SCHEDULE.sigma_max**2) ** 0.5)
