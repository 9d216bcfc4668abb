"""Proves that DDIM, Euler and DPM++ 2M (and the ancestral sampler) are diffusers' schedulers in float64, on the same
network and timesteps, to 1e-6 over 20 steps, and that one context window over the clip is plain sampling."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
)
from diffusers.schedulers import (
    scheduling_dpmsolver_multistep,
    scheduling_euler_ancestral_discrete,
    scheduling_euler_discrete,
)
from torch import Tensor, nn

from diffilm_core.sampling import (
    SAMPLERS,
    ContextWindows,
    Denoiser,
    Guidance,
    NoiseSchedule,
    sample_ddim,
    sample_dpmpp_2m,
    sample_euler,
    sample_euler_ancestral,
    sigmas_for,
)

STEPS = 20
SHAPE = (2, 4, 3, 6, 5)
TOLERANCE = 1e-6
# not (zero_snr, eps): noise tells nothing of x0 where alpha-bar is zero
PAIRS = [(n, p) for n in ("scaled_linear", "linear", "cosine") for p in ("eps", "v")] + [("zero_snr", "v")]
THEIR_BETAS = {"scaled_linear": "scaled_linear", "linear": "linear", "cosine": "squaredcos_cap_v2"}


class Float64Torch:
    """Stands in for `torch` in a scheduler's module, so that its casts to float32 keep float64."""

    float32 = torch.float64

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


@pytest.fixture(autouse=True)
def float64_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (
        scheduling_euler_discrete,
        scheduling_dpmsolver_multistep,
        scheduling_euler_ancestral_discrete,
    ):
        monkeypatch.setattr(module, "torch", Float64Torch())


class Network(nn.Module):
    """A small nonlinear network of clip, timestep and text, in float64."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv3d(4, 16, 3, padding=1)
        self.time = nn.Linear(2, 16)
        self.text = nn.Linear(8, 16)
        self.last = nn.Conv3d(16, 4, 3, padding=1)
        self.double().requires_grad_(False)

    def forward(self, x: Tensor, timesteps: Tensor, context: Tensor) -> Tensor:
        t = timesteps.double() / 200
        h = self.time(torch.stack([t.sin(), t.cos()], -1)) + self.text(context).mean(1)
        return x * 0.5 + self.last(torch.tanh(self.first(x) + h[:, :, None, None, None]))


NETWORK = Network()
CONTEXT = torch.randn(2, 7, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def our_schedule(name: str) -> NoiseSchedule:
    if name == "zero_snr":
        return NoiseSchedule.create("scaled_linear", zero_terminal_snr=True)
    return NoiseSchedule.create(name)


def noise(seed: int = 2) -> Tensor:
    return torch.randn(SHAPE, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def exact_sigmas(schedule: NoiseSchedule, timesteps: Tensor, last: float = 0.0) -> Tensor:
    """Sigmas of whole timesteps in float64, and the last one."""
    a = schedule.alphas_cumprod[timesteps.long()]
    return torch.cat([((1 - a) / a).sqrt(), torch.tensor([last], dtype=torch.float64)])


def theirs_of(kind: type, schedule: NoiseSchedule, prediction: str, **options: Any) -> Any:
    """Their scheduler at 20 steps on our alpha-bar in float64 (they keep float32)."""
    scheduler = kind(prediction_type={"eps": "epsilon", "v": "v_prediction"}[prediction], **options)
    scheduler.set_timesteps(STEPS)
    scheduler.alphas_cumprod = schedule.alphas_cumprod
    return scheduler


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    assert ours.dtype == theirs.dtype == torch.float64
    assert torch.isfinite(theirs).all()
    assert (ours - theirs).abs().max() <= TOLERANCE * theirs.abs().max()


@pytest.mark.parametrize(("name", "prediction"), PAIRS)
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("eta", [0.0, 0.7])
@pytest.mark.parametrize("to_one", [True, False])
def test_ddim(name: str, prediction: str, spacing: str, eta: float, to_one: bool) -> None:
    schedule = our_schedule(name)
    scheduler = theirs_of(
        DDIMScheduler,
        schedule,
        prediction,
        timestep_spacing=spacing,
        clip_sample=False,
        set_alpha_to_one=to_one,
        steps_offset=0 if to_one else 1,  # Stable Diffusion's pair
    )
    first = schedule.alphas_cumprod[0]
    scheduler.final_alpha_cumprod = torch.ones_like(first) if to_one else first
    theirs = noise()
    for step, t in enumerate(scheduler.timesteps):
        output = NETWORK(theirs, t.expand(2), CONTEXT)
        fresh = {"eta": eta, "variance_noise": noise(100 + step)} if eta else {}
        theirs = scheduler.step(output, int(t), theirs, **fresh).prev_sample

    last = 0.0 if to_one else float(((1 - first) / first).sqrt())
    sigmas = exact_sigmas(schedule, scheduler.timesteps, last)
    model = Guidance(Denoiser(NETWORK, schedule, prediction), {"context": CONTEXT})
    x = noise() * (sigmas[0] ** 2 + 1).sqrt()
    ours = sample_ddim(model, x, sigmas, eta=eta, noise=lambda step: noise(100 + step))
    assert_same(ours / (sigmas[-1] ** 2 + 1).sqrt(), theirs)


@pytest.mark.parametrize(("name", "prediction"), PAIRS)
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("last", ["zero", "sigma_min"])
def test_euler(name: str, prediction: str, spacing: str, last: str) -> None:
    schedule = our_schedule(name)
    scheduler = theirs_of(
        EulerDiscreteScheduler, schedule, prediction, timestep_spacing=spacing, final_sigmas_type=last
    )
    lowest = exact_sigmas(schedule, torch.tensor([0]))[0]
    sigmas = exact_sigmas(schedule, scheduler.timesteps, float(lowest) * 0.9 if last == "sigma_min" else 0.0)
    scheduler.sigmas = sigmas
    start = noise() * (sigmas[0] ** 2 + 1).sqrt()
    theirs = start
    for t in scheduler.timesteps:
        output = NETWORK(scheduler.scale_model_input(theirs, t), t.expand(2), CONTEXT)
        theirs = scheduler.step(output, t, theirs).prev_sample
    model = Guidance(Denoiser(NETWORK, schedule, prediction), {"context": CONTEXT})
    assert_same(sample_euler(model, start, sigmas), theirs)


@pytest.mark.parametrize(("name", "prediction"), PAIRS)
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
def test_euler_ancestral(name: str, prediction: str, spacing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule = our_schedule(name)
    scheduler = theirs_of(EulerAncestralDiscreteScheduler, schedule, prediction, timestep_spacing=spacing)
    sigmas = exact_sigmas(schedule, scheduler.timesteps)
    scheduler.sigmas = sigmas
    drawn = iter(range(100, 200))
    monkeypatch.setattr(scheduling_euler_ancestral_discrete, "randn_tensor", lambda *args, **kwargs: noise(next(drawn)))
    start = noise() * (sigmas[0] ** 2 + 1).sqrt()
    theirs = start
    for t in scheduler.timesteps:
        output = NETWORK(scheduler.scale_model_input(theirs, t), t.expand(2), CONTEXT)
        theirs = scheduler.step(output, t, theirs).prev_sample
    model = Guidance(Denoiser(NETWORK, schedule, prediction), {"context": CONTEXT})
    assert_same(sample_euler_ancestral(model, start, sigmas, noise=lambda step: noise(100 + step)), theirs)


@pytest.mark.parametrize(("name", "prediction"), PAIRS)
@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("last", ["zero", "sigma_min"])
def test_dpmpp_2m(name: str, prediction: str, spacing: str, last: str) -> None:
    schedule = our_schedule(name)
    scheduler = theirs_of(
        DPMSolverMultistepScheduler,
        schedule,
        prediction,
        algorithm_type="dpmsolver++",
        solver_order=2,
        timestep_spacing=spacing,
        final_sigmas_type=last,
    )
    lowest = exact_sigmas(schedule, torch.tensor([0]))[0]
    sigmas = exact_sigmas(schedule, scheduler.timesteps, float(lowest) * 0.9 if last == "sigma_min" else 0.0)
    scheduler.sigmas = sigmas
    theirs = noise()
    for t in scheduler.timesteps:
        theirs = scheduler.step(NETWORK(theirs, t.expand(2), CONTEXT), t, theirs).prev_sample
    model = Guidance(Denoiser(NETWORK, schedule, prediction), {"context": CONTEXT})
    ours = sample_dpmpp_2m(model, noise() * (sigmas[0] ** 2 + 1).sqrt(), sigmas)
    assert_same(ours / (sigmas[-1] ** 2 + 1).sqrt(), theirs)


@pytest.mark.parametrize("name", ["scaled_linear", "linear", "cosine"])
@pytest.mark.parametrize("zero_snr", [False, True])
def test_schedules_are_theirs(name: str, zero_snr: bool) -> None:
    """alpha-bar of every step; the last one after the rescale is ComfyUI's and not zero."""
    theirs = DDIMScheduler(
        beta_schedule=THEIR_BETAS[name], beta_start=0.00085, beta_end=0.012, rescale_betas_zero_snr=zero_snr
    )
    ours = NoiseSchedule.create(name, zero_terminal_snr=zero_snr).alphas_cumprod
    count = len(ours) - zero_snr
    torch.testing.assert_close(ours[:count], theirs.alphas_cumprod[:count].double(), rtol=2e-4, atol=1e-7)
    if zero_snr:
        assert float(ours[-1]) == 4.8973451890853435e-08


@pytest.mark.parametrize("sampler", list(SAMPLERS))
@pytest.mark.parametrize("fuse", ["flat", "pyramid"])
def test_one_window_is_plain_sampling(sampler: str, fuse: str) -> None:
    schedule = our_schedule("scaled_linear")
    sigmas = sigmas_for(schedule, STEPS)
    model = Guidance(Denoiser(NETWORK, schedule), {"context": CONTEXT}, {"context": -CONTEXT}, 7.0)
    x = noise() * float(sigmas[0])
    plain = SAMPLERS[sampler](model, x, sigmas, seed=5)
    for length in (SHAPE[2], 16):
        windowed = SAMPLERS[sampler](ContextWindows(model, length, 1, fuse), x, sigmas, seed=5)
        assert torch.equal(windowed, plain)
