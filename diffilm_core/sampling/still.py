"""The picture before the motion: at high noise a clip is one still, denoised by the image model in the network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from .schedules import NoiseSchedule

INDEPENDENT = 0.5
"""The least share of the noise's variance that must differ between frames for their mean to be less noisy."""


class StillFirst:
    """What a UNet with layers over time asks before each call (`UNet.still`): above the noise level `above` it answers.

    t frames of one picture, each with noise sigma of its own, have a mean that is the picture with noise
    sigma / sqrt(t): there the image model knows far more of it than any one frame tells, and its answer is every
    frame's. So text decides what is to be seen, as in a picture, and below `above` the layers over time move it.
    SDEdit (Meng et al. 2022) on a clip that stands still comes to the same place with one more picture to sample.
    """

    def __init__(self, schedule: NoiseSchedule, prediction: str, above: float) -> None:
        self.schedule = schedule
        self.prediction = prediction
        self.above = above

    def __call__(
        self, network: Callable[..., Tensor], x: Tensor, timesteps: Tensor, context: Tensor, conditions: dict[str, Any]
    ) -> Tensor | None:
        """The network's output for x `(b, c, t, h, w)`, timesteps `(b,)`; None where the layers over time are to make
        it: a lower noise level, one frame, a text a frame, or noise that the frames share."""
        frames = x.shape[2]
        sigma = self.schedule.sigma(timesteps)
        if frames < 2 or len(context) != len(x) or not bool((sigma > self.above).all()):
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
        still = mean / root**2 - out * q / root if self.prediction == "v" else mean - out * q
        if self.prediction == "v":
            return ((x.float() - still * (s**2 + 1).sqrt()) / s).to(x.dtype)
        return ((noisy - still) / s).to(x.dtype)
