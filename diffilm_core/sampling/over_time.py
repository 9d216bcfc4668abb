"""Where a clip's layers over time work: between two noise levels. Above them it is one still, below them pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from .schedules import NoiseSchedule

INDEPENDENT = 0.5
"""The least share of the noise's variance that must differ between frames for their mean to be less noisy."""


class OverTime:
    """What a UNet with layers over time asks before each call (`UNet.over_time`): outside the noise levels `low` to
    `high` it answers, with the image model.

    Above: t frames of one picture, each with noise sigma of its own, have a mean that is the picture with noise
    sigma / sqrt(t). There the image model knows far more of it than any one frame tells, and its answer is every
    frame's. So text decides what is to be seen, as in a picture; SDEdit (Meng et al. 2022) on a clip that stands still
    comes to the same place with one more picture to sample. Below: what moves is settled, and each frame gets its
    details as a picture. docs/training-log.md, run 16, says what both are worth.
    """

    def __init__(self, schedule: NoiseSchedule, prediction: str, low: float, high: float) -> None:
        self.schedule = schedule
        self.prediction = prediction
        self.low, self.high = low, high

    def __call__(
        self, network: Callable[..., Tensor], x: Tensor, timesteps: Tensor, context: Tensor, conditions: dict[str, Any]
    ) -> Tensor | None:
        """The network's output for x `(b, c, t, h, w)`, timesteps `(b,)`; None where the layers over time are to make
        it. They also do above `high` where there is a text a frame, or noise that the frames share."""
        frames, sigma = x.shape[2], self.schedule.sigma(timesteps)
        if frames < 2 or len(context) not in (len(x), len(x) * frames):
            return None
        if bool((sigma < self.low).all()):
            return network(x, timesteps, context, enable_time=False, **conditions)
        if len(context) != len(x) or not bool((sigma > self.high).all()):
            return None
        s = sigma.view(-1, 1, 1, 1, 1)
        noisy = x.float() * (s**2 + 1).sqrt()
        if bool((noisy.var(dim=2).mean(dim=(1, 2, 3)) < INDEPENDENT * sigma**2).any()):
            return None
        mean, less = noisy.mean(dim=2, keepdim=True), sigma / frames**0.5
        q = less.view(-1, 1, 1, 1, 1)
        root = (q**2 + 1).sqrt()
        steps = self.schedule.timestep(less).to(timesteps)
        out = network((mean / root).to(x.dtype), steps, context, enable_time=False, **conditions).float()
        if self.prediction == "v":
            still = mean / root**2 - out * q / root
            return ((x.float() - still * (s**2 + 1).sqrt()) / s).to(x.dtype)
        return ((noisy - (mean - out * q)) / s).to(x.dtype)
