"""Samplers as plain functions `sample_x(model, x, sigmas, *, callback, resume, seed) -> x`.

All work in the variance-exploding form: x = x0 + sigma * noise. `model(x, sigma)`, sigma (b,), gives x0 of
x's shape (`Denoiser`, `Guidance`, `ContextWindows`). `sigmas` (steps + 1,) descends; where it ends in 0 the
result is x0. The numbers are computed in the dtype of x, in float32 when x is narrower. A callback may
raise `Cancelled`; a model that gives NaN or infinity raises DiffilmError naming the step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..errors import DiffilmError, NotFinite
from .noise import Seed, StepNoise

Model = Callable[[Tensor, Tensor], Tensor]
Noise = Callable[[int], Tensor]
# (step, steps, x, denoised): called after step `step` of 0 .. steps - 1, x being the latents after it
Callback = Callable[[int, int, Tensor, Tensor], None]


@dataclass(frozen=True)
class SamplerState:
    """All that a sampler needs to go on: `step` steps are done, x is the latents after them, `denoised` the
    model's x0 of the last of them (DPM++ 2M uses it). From a callback's arguments: `SamplerState(step + 1,
    x, denoised)`.
    """

    step: int
    x: Tensor
    denoised: Tensor | None = None

    def to_tensors(self) -> dict[str, Tensor]:
        """As tensors on the CPU, for safetensors; `from_tensors` reads them back."""
        tensors = {"step": torch.tensor(self.step), "x": self.x.detach().cpu().contiguous()}
        if self.denoised is not None:
            tensors["denoised"] = self.denoised.detach().cpu().contiguous()
        return tensors

    @classmethod
    def from_tensors(cls, tensors: dict[str, Tensor]) -> SamplerState:
        """The state that `to_tensors` wrote. Raises DiffilmError when a part is missing."""
        if "step" not in tensors or "x" not in tensors:
            raise DiffilmError(
                f"a sampler state with {sorted(tensors)}; expected step, x and denoised; sample the clip from the start"
            )
        return cls(int(tensors["step"]), tensors["x"], tensors.get("denoised"))


class Sampler(Protocol):
    """What every entry of SAMPLERS takes. `seed` is the clip's, or one a clip of the batch; deterministic samplers do
    not use it."""

    def __call__(
        self,
        model: Model,
        x: Tensor,
        sigmas: Tensor,
        *,
        callback: Callback | None = None,
        resume: SamplerState | None = None,
        seed: Seed = 0,
    ) -> Tensor: ...


class _Run:
    """One run over the sigmas: the checks, the model's call and the callback that all samplers share."""

    def __init__(
        self, model: Model, x: Tensor, sigmas: Tensor, callback: Callback | None, resume: SamplerState | None
    ) -> None:
        if sigmas.ndim != 1 or sigmas.numel() < 2:
            raise DiffilmError(f"sigmas of shape {tuple(sigmas.shape)}; expected (steps + 1,) with at least 1 step")
        if not bool((sigmas.diff() < 0).all()) or float(sigmas[-1]) < 0:
            raise DiffilmError("sigmas that do not descend to 0; expected each below the one before, none negative")
        dtype = torch.promote_types(x.dtype, torch.float32)
        self.model, self.callback = model, callback
        self.sigmas = sigmas.to(x.device, dtype)
        self.steps = sigmas.numel() - 1
        self.x, self.first = x.to(dtype), 0
        self.previous: Tensor | None = None
        if resume is not None:
            self._resume(resume)

    def _resume(self, state: SamplerState) -> None:
        if not 0 <= state.step <= self.steps:
            raise DiffilmError(f"a saved state after step {state.step}; expected 0 to {self.steps} for these sigmas")
        if state.x.shape != self.x.shape:
            raise DiffilmError(
                f"a state of shape {tuple(state.x.shape)}; expected {tuple(self.x.shape)}; they are of another clip"
            )
        self.first = state.step
        self.x = state.x.to(self.x)
        self.previous = None if state.denoised is None else state.denoised.to(self.x)

    def denoise(self, step: int) -> Tensor:
        """x0 that the model sees at this step."""
        denoised = self.model(self.x, self.sigmas[step].expand(self.x.shape[0]))
        if not bool(torch.isfinite(denoised).all()):
            sigma = float(self.sigmas[step])
            raise NotFinite(
                f"the model gave NaN or infinity at step {step + 1} of {self.steps} (sigma {sigma:.4g}); "
                "expected finite numbers; load it in float32, lower cfg, or check the model file"
            )
        return denoised.to(self.x.dtype)

    def done(self, step: int, x: Tensor, denoised: Tensor) -> None:
        self.x, self.previous = x, denoised
        if self.callback is not None:
            self.callback(step, self.steps, x, denoised)


def _split_step(sigma: Tensor, target: Tensor, eta: float) -> tuple[Tensor, Tensor]:
    """(down, up): a step to noise level `down` and fresh noise of level `up` end at level `target`.

    DDIM's sigma_t(eta), Song et al. 2021 eq. 16, in the VE form; eta 1 is ancestral sampling (Ho et al. 2020).
    """
    up = (eta * (target**2 * (sigma**2 - target**2) / sigma**2).sqrt()).minimum(target)
    return (target**2 - up**2).sqrt(), up


def _first_order(run: _Run, eta: float, noise: Noise) -> Tensor:
    """First-order steps along (x - x0) / sigma, with the share eta of the noise drawn anew."""
    for step in range(run.first, run.steps):
        sigma, target = run.sigmas[step], run.sigmas[step + 1]
        down, up = _split_step(sigma, target, eta) if eta else (target, None)
        denoised = run.denoise(step)
        x = run.x + (run.x - denoised) / sigma * (down - sigma) if down > 0 else denoised
        if up is not None and target > 0:
            x = x + noise(step) * up
        run.done(step, x, denoised)
    return run.x


def _check_eta(eta: float) -> None:
    if not 0 <= eta <= 1:
        raise DiffilmError(f"eta {eta:g}; expected 0 (deterministic) to 1 (ancestral)")


@torch.no_grad()
def sample_euler(
    model: Model,
    x: Tensor,
    sigmas: Tensor,
    *,
    callback: Callback | None = None,
    resume: SamplerState | None = None,
    seed: Seed = 0,
) -> Tensor:
    """Euler steps of the probability-flow ODE (Karras et al. 2022, algorithm 1 without the correction)."""
    run = _Run(model, x, sigmas, callback, resume)
    return _first_order(run, 0.0, StepNoise(run.x, seed))


@torch.no_grad()
def sample_euler_ancestral(
    model: Model,
    x: Tensor,
    sigmas: Tensor,
    *,
    callback: Callback | None = None,
    resume: SamplerState | None = None,
    seed: Seed = 0,
    eta: float = 1.0,
    noise: Noise | None = None,
) -> Tensor:
    """Ancestral sampling with Euler steps; `noise(step)` defaults to `StepNoise(x, seed)`, ComfyUI's on a CPU."""
    _check_eta(eta)
    run = _Run(model, x, sigmas, callback, resume)
    return _first_order(run, eta, noise if noise is not None else StepNoise(run.x, seed))


@torch.no_grad()
def sample_ddim(
    model: Model,
    x: Tensor,
    sigmas: Tensor,
    *,
    callback: Callback | None = None,
    resume: SamplerState | None = None,
    seed: Seed = 0,
    eta: float = 0.0,
    noise: Noise | None = None,
) -> Tensor:
    """DDIM (Song et al. 2021, eq. 12). In the VE form its step is x0 + sqrt(s^2 - up^2) * eps + up * noise,
    so eta 0 is an Euler step and eta 1 an ancestral one; `noise(step)` defaults to `StepNoise(x, seed)`.
    """
    return sample_euler_ancestral(model, x, sigmas, callback=callback, resume=resume, seed=seed, eta=eta, noise=noise)


@torch.no_grad()
def sample_dpmpp_2m(
    model: Model,
    x: Tensor,
    sigmas: Tensor,
    *,
    callback: Callback | None = None,
    resume: SamplerState | None = None,
    seed: Seed = 0,
) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022, algorithm 2, midpoint form); first order at the first and the last step."""
    run = _Run(model, x, sigmas, callback, resume)
    if run.first > 0 and run.previous is None:
        raise DiffilmError(
            "a saved state without `denoised`; expected the model's x0 of the step before, which dpmpp_2m needs; "
            "sample this clip from the start"
        )
    lambdas = run.sigmas.log().neg()  # log SNR / 2
    for step in range(run.first, run.steps):
        sigma, target = run.sigmas[step], run.sigmas[step + 1]
        denoised = run.denoise(step)
        h = lambdas[step + 1] - lambdas[step]
        direction = denoised
        if run.previous is not None and target > 0:
            r = (lambdas[step] - lambdas[step - 1]) / h
            direction = (1 + 1 / (2 * r)) * denoised - (1 / (2 * r)) * run.previous
        run.done(step, (target / sigma) * run.x - (-h).expm1() * direction, denoised)
    return run.x


@torch.no_grad()
def sample_lcm(
    model: Model,
    x: Tensor,
    sigmas: Tensor,
    *,
    callback: Callback | None = None,
    resume: SamplerState | None = None,
    seed: Seed = 0,
    noise: Noise | None = None,
) -> Tensor:
    """Consistency sampling (Luo et al. 2023, LCM, algorithm 3): to x0, and back to the next level with fresh noise.

    The boundary's share of x itself, c_skip, is below 1e-5 at each of its 50 levels and left out, as in ComfyUI.
    """
    run = _Run(model, x, sigmas, callback, resume)
    noise = noise if noise is not None else StepNoise(run.x, seed)
    for step in range(run.first, run.steps):
        denoised, target = run.denoise(step), run.sigmas[step + 1]
        run.done(step, denoised + noise(step) * target if target > 0 else denoised, denoised)
    return run.x


SAMPLERS: dict[str, Sampler] = {
    "ddim": sample_ddim,
    "euler": sample_euler,
    "euler_ancestral": sample_euler_ancestral,
    "dpmpp_2m": sample_dpmpp_2m,
    "lcm": sample_lcm,
}


def sampler_for(name: str) -> Sampler:
    """The sampler of that (ComfyUI) name. Raises DiffilmError naming those that exist."""
    if name not in SAMPLERS:
        raise DiffilmError(f"unknown sampler {name!r}; choose one of {', '.join(SAMPLERS)}")
    return SAMPLERS[name]
