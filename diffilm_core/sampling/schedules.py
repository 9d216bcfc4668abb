"""Noise schedules of discrete diffusion, kept as alpha-bar (VP) and sigma (VE) side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..errors import DiffilmError

# alpha-bar of the last step after the zero-terminal-SNR rescale: ComfyUI's value, so that sigma stays finite.
TERMINAL_ALPHA_BAR = 4.8973451890853435e-08
COSINE_OFFSET = 0.008
MAX_BETA = 0.999


def _scaled_linear(steps: int, start: float, end: float) -> Tensor:
    """Linear in sqrt(beta), Rombach et al. 2022 (latent diffusion). ComfyUI calls it "linear"."""
    return torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64) ** 2


def _linear(steps: int, start: float, end: float) -> Tensor:
    """Linear in beta, Ho et al. 2020. ComfyUI calls it "sqrt_linear"."""
    return torch.linspace(start, end, steps, dtype=torch.float64)


def _cosine(steps: int, start: float, end: float) -> Tensor:
    """Nichol & Dhariwal 2021, eq. 17; `start` and `end` have no meaning here."""
    t = torch.arange(steps + 1, dtype=torch.float64) / steps
    alpha_bar = torch.cos((t + COSINE_OFFSET) / (1 + COSINE_OFFSET) * math.pi / 2) ** 2
    return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp(0, MAX_BETA)


SCHEDULES = {"scaled_linear": _scaled_linear, "linear": _linear, "cosine": _cosine}


def rescale_zero_terminal_snr(alphas_cumprod: Tensor) -> Tensor:
    """Shift and scale sqrt(alpha-bar) so that the last step is (almost) pure noise (Lin et al. 2024, alg. 1)."""
    root = alphas_cumprod.sqrt()
    first, last = root[0].clone(), root[-1].clone()
    rescaled = ((root - last) * (first / (first - last))) ** 2
    rescaled[-1] = TERMINAL_ALPHA_BAR
    return rescaled


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """A schedule of T training steps; build it with `create`.

    `alphas_cumprod` (T,) float64 and `sigmas` (T,) float32 ascending, sigma = sqrt((1 - a) / a): x in the
    variance-exploding form is x0 + sigma * noise, and sqrt(a) times that is the variance-preserving x.
    """

    alphas_cumprod: Tensor
    name: str = "custom"
    start: float = 0.0
    end: float = 0.0
    zero_terminal_snr: bool = False
    sigmas: Tensor = field(init=False, repr=False)
    log_sigmas: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        exact = ((1 - self.alphas_cumprod) / self.alphas_cumprod) ** 0.5
        if exact.ndim != 1 or exact.numel() < 2 or not bool((exact.diff() > 0).all()):
            raise DiffilmError(
                f"the noise schedule {self.name!r} with start {self.start:g} and end {self.end:g} does not get noisier "
                "with every step; expected alpha-bar to fall strictly; use betas between 0 and 1"
            )
        object.__setattr__(self, "sigmas", exact.float())
        object.__setattr__(self, "log_sigmas", exact.log())

    @classmethod
    def create(
        cls,
        name: str = "scaled_linear",
        steps: int = 1000,
        start: float = 0.00085,
        end: float = 0.012,
        zero_terminal_snr: bool = False,
    ) -> NoiseSchedule:
        """The schedule of that name. Raises DiffilmError on an unknown name or impossible betas."""
        if name not in SCHEDULES:
            raise DiffilmError(f"unknown noise schedule {name!r}; choose one of {', '.join(SCHEDULES)}")
        if steps < 2:
            raise DiffilmError(f"a noise schedule of {steps} steps; expected at least 2 (1000 is usual)")
        if name != "cosine" and not 0 < start <= end < 1:
            raise DiffilmError(f"betas from {start:g} to {end:g}; expected 0 < start <= end < 1")
        alphas_cumprod = torch.cumprod(1 - SCHEDULES[name](steps, start, end), dim=0)
        if zero_terminal_snr:
            alphas_cumprod = rescale_zero_terminal_snr(alphas_cumprod)
        return cls(alphas_cumprod, name, start, end, zero_terminal_snr)

    def __len__(self) -> int:
        return self.sigmas.numel()

    @property
    def sigma_min(self) -> float:
        return float(self.sigmas[0])

    @property
    def sigma_max(self) -> float:
        return float(self.sigmas[-1])

    def sigma(self, timestep: Tensor) -> Tensor:
        """Sigma at fractional timesteps, interpolated in log sigma; any shape, float32, clamped to 0 .. T - 1."""
        t = timestep.detach().to("cpu", torch.float32).clamp(0, len(self) - 1)
        log_sigmas = self.sigmas.log()
        weight = t.frac()
        low, high = log_sigmas[t.floor().long()], log_sigmas[t.ceil().long()]
        return ((1 - weight) * low + weight * high).exp().to(timestep.device)

    def timestep(self, sigma: Tensor) -> Tensor:
        """The inverse of `sigma`: fractional timesteps, any shape, float32 (float64 for float64 input)."""
        wanted = sigma.detach().to("cpu", torch.float64).clamp(min=self.sigma_min / 2).log()
        high = torch.searchsorted(self.log_sigmas, wanted).clamp(1, len(self) - 1)
        below, above = self.log_sigmas[high - 1], self.log_sigmas[high]
        weight = ((wanted - below) / (above - below)).clamp(0, 1)
        dtype = torch.float64 if sigma.dtype == torch.float64 else torch.float32
        return (high - 1 + weight).to(sigma.device, dtype)

    def nearest_timestep(self, sigma: Tensor) -> Tensor:
        """The trained step nearest in log sigma, as float32: what ComfyUI feeds its networks. Any shape."""
        log_sigma = sigma.detach().to("cpu", torch.float32).log()
        distance = (log_sigma.unsqueeze(-1) - self.sigmas.log()).abs()
        return distance.argmin(dim=-1).to(sigma.device, torch.float32)
