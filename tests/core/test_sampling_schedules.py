"""Proves that schedules are monotone, invert, end where they should, and that spacings descend to 0 with
known values."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffilm_core import DiffilmError
from diffilm_core.sampling import SCHEDULES, SPACINGS, NoiseSchedule, sigmas_for

ALL = {(name, zero): NoiseSchedule.create(name, zero_terminal_snr=zero) for name in SCHEDULES for zero in (False, True)}
schedules = st.sampled_from(list(ALL.values()))


@settings(deadline=None)
@given(schedules)
def test_alpha_bar_falls_and_sigma_rises(schedule: NoiseSchedule) -> None:
    assert schedule.alphas_cumprod.dtype == torch.float64 and schedule.sigmas.dtype == torch.float32
    assert len(schedule) == schedule.alphas_cumprod.numel() == 1000
    assert (schedule.alphas_cumprod.diff() < 0).all() and (schedule.sigmas.diff() > 0).all()
    a = schedule.alphas_cumprod
    torch.testing.assert_close(schedule.sigmas.double(), ((1 - a) / a).sqrt(), rtol=1e-6, atol=0)


@settings(deadline=None)
@given(schedules, st.floats(0, 999))
def test_timestep_inverts_sigma(schedule: NoiseSchedule, t: float) -> None:
    back = schedule.timestep(schedule.sigma(torch.tensor(t)))
    assert back.ndim == 0 and abs(float(back) - t) < 1e-3


@settings(deadline=None)
@given(schedules, st.integers(0, 999))
def test_trained_steps_are_exact(schedule: NoiseSchedule, t: int) -> None:
    sigma = schedule.sigmas[t]
    assert abs(float(schedule.timestep(sigma)) - t) < 1e-3
    assert float(schedule.nearest_timestep(sigma)) == t
    torch.testing.assert_close(schedule.sigma(torch.tensor([[t]])), sigma.view(1, 1), rtol=1e-6, atol=0)


@settings(deadline=None)
@given(schedules, st.floats(1e-9, 1e9))
def test_nearest_timestep_is_the_interpolated_one_rounded(schedule: NoiseSchedule, sigma: float) -> None:
    exact = float(schedule.timestep(torch.tensor(sigma, dtype=torch.float64)))
    nearest = float(schedule.nearest_timestep(torch.tensor(sigma)))
    assert 0 <= exact <= 999
    assert abs(nearest - exact) <= 0.5 + 1e-3


def test_sigma_zero_is_the_first_step() -> None:
    assert float(ALL["scaled_linear", False].timestep(torch.tensor(0.0))) == 0


@pytest.mark.parametrize(
    ("name", "zero", "low", "high"),
    [
        ("scaled_linear", False, 0.029167, 14.614641),
        ("linear", False, 0.029167, 25.146114),
        ("scaled_linear", True, 0.029167, 4518.763672),
    ],
)
def test_known_ends(name: str, zero: bool, low: float, high: float) -> None:
    """ComfyUI's sigma_min and sigma_max of "linear", "sqrt_linear" and its zero-terminal-SNR rescale."""
    schedule = ALL[name, zero]
    assert math.isclose(schedule.sigma_min, low, rel_tol=1e-5)
    assert math.isclose(schedule.sigma_max, high, rel_tol=1e-6)


def test_cosine_is_the_formula() -> None:
    """alpha-bar = f(t) / f(0), as long as no beta is clipped (Nichol & Dhariwal 2021, eq. 17)."""

    def f(step: int) -> float:
        return math.cos((step / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2

    alphas_cumprod = ALL["cosine", False].alphas_cumprod
    for t in (0, 1, 250, 500, 990):
        assert math.isclose(float(alphas_cumprod[t]), f(t + 1) / f(0), rel_tol=1e-9)


@settings(deadline=None, max_examples=200)
@given(schedules, st.integers(1, 120), st.sampled_from([name for name in SPACINGS if name != "lcm"]))
def test_spacings_descend_to_zero(schedule: NoiseSchedule, steps: int, spacing: str) -> None:
    sigmas = sigmas_for(schedule, steps, spacing)
    extra = 1 if spacing.startswith("ddim") and steps > 1 else 0
    assert sigmas.dtype == torch.float32
    assert steps + 1 <= len(sigmas)
    assert len(sigmas) == steps + 1 or (extra and 999 // (1000 // steps) + 1 >= len(sigmas) - 1)
    assert (sigmas.diff() < 0).all() and sigmas[-1] == (schedule.sigmas[0] if spacing == "ddim" else 0)
    assert sigmas[-2] > 0
    assert float(sigmas[0]) <= schedule.sigma_max * (1 + 1e-5)


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 60), st.sampled_from([name for name in SPACINGS if name != "lcm"]), st.floats(0.1, 0.999))
def test_denoise_keeps_the_steps_and_lowers_the_start(steps: int, spacing: str, denoise: float) -> None:
    schedule = ALL["scaled_linear", False]
    sigmas = sigmas_for(schedule, steps, spacing, denoise)
    whole = sigmas_for(schedule, int(steps / denoise), spacing)
    assert torch.equal(sigmas, whole[-(steps + 1) :]) and len(sigmas) == steps + 1


# first, middle and last sigmas at 5 steps, printed by ComfyUI 0.33 for beta_schedule "linear"
COMFYUI = {
    "normal": [14.6146, 4.0861, 1.6156, 0.6951, 0.0292, 0.0],
    "karras": [14.6146, 4.7965, 1.2741, 0.2479, 0.0292, 0.0],
    "simple": [14.6146, 5.0878, 2.2765, 1.1606, 0.5693, 0.0],
    "sgm_uniform": [14.6146, 5.0924, 2.2797, 1.1629, 0.5712, 0.0],
    "ddim_uniform": [5.1344, 2.2929, 1.1682, 0.5741, 0.0413, 0.0],
}


@pytest.mark.parametrize("spacing", list(COMFYUI))
def test_spacings_have_comfyuis_numbers(spacing: str) -> None:
    sigmas = sigmas_for(ALL["scaled_linear", False], 5, spacing)
    torch.testing.assert_close(sigmas, torch.tensor(COMFYUI[spacing]), rtol=0, atol=5e-5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda s: sigmas_for(s, 20, "exponential"), "karras, simple, sgm_uniform, ddim_uniform"),
        (lambda s: sigmas_for(s, 0), "at least 1"),
        (lambda s: sigmas_for(s, -3), "at least 1"),
        (lambda s: sigmas_for(s, 2.5), "whole number"),
        (lambda s: sigmas_for(s, 1001), "at most 1000"),
        (lambda s: sigmas_for(s, 20, denoise=0), "more than 0"),
        (lambda s: sigmas_for(s, 20, denoise=1.5), "at most 1"),
        (lambda s: NoiseSchedule.create("sigmoid"), "scaled_linear, linear, cosine"),
        (lambda s: NoiseSchedule.create(steps=1), "at least 2"),
        (lambda s: NoiseSchedule.create(start=0.02, end=0.01), "start <= end"),
    ],
)
def test_errors_say_what_is_possible(call: object, words: str) -> None:
    with pytest.raises(DiffilmError, match=words) as caught:
        call(ALL["scaled_linear", False])  # type: ignore[operator]
    assert "\n" not in str(caught.value)
