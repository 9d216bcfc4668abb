"""What a diffusion UNet learns to say of a noisy sample, and how much each noise level counts.

objective = Objective(model.schedule, model.prediction, min_snr=5.0)
noise, t = objective.draw(latents.shape, generator)             # one clip's
loss = objective.loss(network, latents, noise, t)               # network(x, t) -> prediction
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import DiffilmError
from ..sampling.schedules import NoiseSchedule

TARGETS = ("eps", "v", "edm")
LEVELS = 1.0, 1.6
"""Mean and spread of ln(sigma) for the target "edm", as Stable Video Diffusion draws it (Blattmann et al. 2023)."""


@dataclass(frozen=True)
class Objective:
    """target: "eps", the noise (Ho et al. 2020, eq. 14), "v" = alpha e - sigma x0 (Salimans & Ho 2022, app. D), or
    "edm" (Karras et al. 2022, table 1 and sec. 5): sigma is drawn log-normal and the network is told c_noise =
    ln(sigma) / 4. With data of unit variance c_skip and c_out leave v for the network to say, and the loss's weight,
    1 / c_out^2, makes it v's plain mean square.

    min_snr: gamma of min-SNR weighting (Hang et al. 2023, sec. 3.4), None: all noise levels count the same.
    offset_noise: how much noise, the same for all of a clip's channel, is added, so that dark and bright can be learnt.
    Raises DiffilmError for another target, a gamma that is not above 0 or a share below 0.
    """

    schedule: NoiseSchedule
    target: str = "v"
    min_snr: float | None = None
    offset_noise: float = 0.0

    def __post_init__(self) -> None:
        if self.target not in TARGETS:
            raise DiffilmError(f"target {self.target!r}: expected {', '.join(TARGETS)}, as the model samples")
        if self.min_snr is not None and self.min_snr <= 0:
            raise DiffilmError(f"min_snr {self.min_snr}: expected a number above 0 (5 is usual), or leave it out")
        if self.offset_noise < 0:
            raise DiffilmError(f"offset_noise {self.offset_noise}: expected 0 (none) or more (0.05 is usual)")

    @property
    def prediction(self) -> str:
        """What the network says, as `sampling.Denoiser` has it."""
        return "v" if self.target == "edm" else self.target

    def draw(
        self, shape: Sequence[int], generator: torch.Generator | None = None, device: torch.device | None = None
    ) -> tuple[Tensor, Tensor]:
        """Noise `(b, c, ...)` and timesteps `(b,)` on `device`, by its own generator where none is given."""
        if self.target == "edm":
            t = (LEVELS[0] + LEVELS[1] * torch.randn(shape[0], generator=generator, device=device)) / 4
        else:
            t = torch.randint(len(self.schedule.alphas_cumprod), (shape[0],), generator=generator, device=device)
        noise = torch.randn(*shape, generator=generator, device=device)
        if self.offset_noise:
            whole = torch.randn(*shape[:2], *(1,) * (len(shape) - 2), generator=generator, device=device)
            noise = noise + self.offset_noise * whole
        return noise, t

    def noisy(self, latents: Tensor, noise: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """x_t = alpha x0 + sigma e, and the target, for latents `(b, ...)` and timesteps `(b,)`."""
        shape = (-1, *(1,) * (latents.ndim - 1))
        bar = self.alpha_bar(t).to(latents).view(shape)
        alpha, sigma = bar.sqrt(), (1 - bar).sqrt()
        return alpha * latents + sigma * noise, noise if self.target == "eps" else alpha * noise - sigma * latents

    def alpha_bar(self, t: Tensor) -> Tensor:
        """alpha^2 of timesteps `(b,)`, float64."""
        if self.target == "edm":
            return 1 / ((t.double() * 4).exp() ** 2 + 1)
        return self.schedule.alphas_cumprod.to(t.device)[t]

    def weight(self, t: Tensor) -> Tensor:
        """How much each sample of timesteps `(b,)` counts: min(snr, gamma) over what the plain loss weighs x0 by."""
        if self.min_snr is None:
            return torch.ones(t.shape, device=t.device)
        bar = self.alpha_bar(t)
        snr = bar / (1 - bar)
        return (snr.clamp(max=self.min_snr) / (snr if self.target == "eps" else snr + 1)).float()

    def loss(self, network: Callable[[Tensor, Tensor], Tensor], latents: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Weighted mean square of what the network says of x_t less the target."""
        x, target = self.noisy(latents, noise, t)
        error = (network(x, t.float()).to(target) - target).square().flatten(1).mean(1)
        return (error * self.weight(t).to(error)).mean()
