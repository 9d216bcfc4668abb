"""How a clip's layers over time work: around the clip's middle frame, which is a picture of the image model. Above a
noise level a clip is one still, below another pictures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .schedules import NoiseSchedule

INDEPENDENT = 0.5
"""The least share of the noise's variance that must differ between frames for their mean to be less noisy."""


class OverTime:
    """What a UNet with layers over time asks before each call (`UNet.over_time`).

    Between the noise levels `low` and `high`: the middle frame is the image model's alone, as a picture would be, and
    the layers over time make the others around it. In its place they see what the image model takes it for, with no
    noise; they are trained so (`everywhere`). Text decides what is to be seen, as in a picture, and they need only say
    how that goes on: image-to-video (Blattmann et al. 2023) whose picture is made on the way.

    Above: t frames of one picture, each with noise sigma of its own, have a mean that is the picture with noise
    sigma / sqrt(t). There the image model knows far more of it than any one frame tells, and its answer is every
    frame's. So text decides what is to be seen, as in a picture; SDEdit (Meng et al. 2022) on a clip that stands still
    comes to the same place with one more picture to sample. Below: what moves is settled, and each frame gets its
    details as a picture. docs/training-log.md, runs 16 and 17, says what each is worth.
    """

    def __init__(self, schedule: NoiseSchedule, prediction: str, low: float, high: float) -> None:
        self.schedule = schedule
        self.prediction = prediction
        self.low, self.high = low, high

    def everywhere(self) -> OverTime:
        """The same at every noise level, as layers over time are trained."""
        return OverTime(self.schedule, self.prediction, 0.0, math.inf)

    def __call__(
        self, network: Callable[..., Tensor], x: Tensor, timesteps: Tensor, context: Tensor, conditions: dict[str, Any]
    ) -> Tensor | None:
        """The network's output for x `(b, c, t, h, w)`, timesteps `(b,)`; None for a single frame. Where there is
        a text a frame, or noise that the frames share, it is the same above `high` as below it."""
        frames, sigma = x.shape[2], self.schedule.sigma(timesteps)
        if frames < 2 or len(context) not in (len(x), len(x) * frames):
            return None
        if bool((sigma < self.low).all()):
            return network(x, timesteps, context, enable_time=False, **conditions)
        if len(context) != len(x) or not bool((sigma > self.high).all()):
            return self.around_middle(network, x, timesteps, context, conditions)
        s = sigma.view(-1, 1, 1, 1, 1)
        noisy = x.float() * (s**2 + 1).sqrt()
        if bool((noisy.var(dim=2).mean(dim=(1, 2, 3)) < INDEPENDENT * sigma**2).any()):
            return self.around_middle(network, x, timesteps, context, conditions)
        mean, less = noisy.mean(dim=2, keepdim=True), sigma / frames**0.5
        q = less.view(-1, 1, 1, 1, 1)
        root = (q**2 + 1).sqrt()
        steps = self.schedule.timestep(less).to(timesteps)
        out = network((mean / root).to(x.dtype), steps, context, enable_time=False, **conditions).float()
        if self.prediction == "v":
            still = mean / root**2 - out * q / root
            return ((x.float() - still * (s**2 + 1).sqrt()) / s).to(x.dtype)
        return ((noisy - (mean - out * q)) / s).to(x.dtype)

    def around_middle(
        self, network: Callable[..., Tensor], x: Tensor, timesteps: Tensor, context: Tensor, conditions: dict[str, Any]
    ) -> Tensor:
        """The middle frame by the image model, the others by the layers over time, which see what the image model
        takes the middle frame for in its place, with no noise."""
        at = slice(x.shape[2] // 2, x.shape[2] // 2 + 1)
        own = context if len(context) == len(x) else context[at.start :: x.shape[2]]
        alpha = 1 / (1 + self.schedule.sigma(timesteps).view(-1, 1, 1, 1, 1) ** 2).sqrt()
        middle = x[:, :, at]
        out = network(middle, timesteps, own, enable_time=False, **conditions)
        noise = (1 - alpha**2).sqrt()
        known = (
            (alpha * middle.float() - noise * out.float())
            if self.prediction == "v"
            else ((middle.float() - noise * out.float()) / alpha)
        )
        seen = x.clone()
        seen[:, :, at] = (alpha * known.detach()).to(x.dtype)
        rest = network(seen, timesteps, context, enable_time=True, **conditions)
        return torch.cat([rest[:, :, : at.start], out.to(rest.dtype), rest[:, :, at.stop :]], dim=2)
