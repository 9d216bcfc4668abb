"""The continuous noise levels of Stable Video Diffusion, EDM's (Karras et al. 2022)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import DiffilmError
from .schedules import NoiseSchedule

LEVELS = 1000


@dataclass(frozen=True, eq=False)
class EDMSchedule(NoiseSchedule):
    """Sigmas even in their logarithm; the network is told c_noise = ln(sigma) / 4 (Karras et al. 2022, table 1)."""

    @classmethod
    def between(cls, sigma_min: float = 0.002, sigma_max: float = 700.0) -> EDMSchedule:
        """Raises DiffilmError unless 0 < sigma_min < sigma_max."""
        if not 0 < sigma_min < sigma_max < math.inf:
            raise DiffilmError(f"sigmas from {sigma_min:g} to {sigma_max:g}; expected 0 < lowest < highest")
        sigmas = torch.linspace(math.log(sigma_min), math.log(sigma_max), LEVELS, dtype=torch.float64).exp()
        return cls(1 / (sigmas**2 + 1), "edm", sigma_min, sigma_max)

    def sigma(self, timestep: Tensor) -> Tensor:
        return (timestep * 4).exp()

    def timestep(self, sigma: Tensor) -> Tensor:
        return sigma.log() / 4

    def nearest_timestep(self, sigma: Tensor) -> Tensor:
        """The timestep itself: every noise level was trained."""
        return self.timestep(sigma)
