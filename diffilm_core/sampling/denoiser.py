"""From a network that predicts noise, velocity or the clean latents to a function that gives the latter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..errors import DiffilmError
from .schedules import NoiseSchedule

PREDICTIONS = ("eps", "v", "x0")
_COMPUTE_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def broadcast(sigma: Tensor, like: Tensor) -> Tensor:
    """sigma (b,) as (b, 1, 1, ...) with the dimensions of `like`."""
    return sigma.to(like.dtype).view(-1, *(1,) * (like.ndim - 1))


def network_dtype(network: Any, default: torch.dtype) -> torch.dtype:
    """The dtype to call the network in: that of its first parameter, unless that is only a storage format."""
    if isinstance(network, torch.nn.Module):
        for parameter in network.parameters():
            return parameter.dtype if parameter.dtype in _COMPUTE_DTYPES else default
    return default


class Denoiser:
    """`(x, sigma, **conditions) -> x0`, x (b, c, t, h, w) in the VE form, sigma (b,).

    Calls `unet(x * c_in, timesteps, context, **conditions)` in the network's dtype with c_in = 1 /
    sqrt(sigma^2 + 1), and returns x0 in the dtype of x. `quantize` (the default) feeds the nearest trained
    timestep, as ComfyUI does; without it the timestep is interpolated in log sigma.
    """

    def __init__(
        self,
        unet: Callable[..., Tensor],
        schedule: NoiseSchedule,
        prediction: str = "eps",
        *,
        quantize: bool = True,
        dtype: torch.dtype | None = None,
    ) -> None:
        if prediction not in PREDICTIONS:
            raise DiffilmError(f"unknown prediction {prediction!r}; choose one of {', '.join(PREDICTIONS)}")
        self.unet = unet
        self.schedule = schedule
        self.prediction = prediction
        self.quantize = quantize
        self.dtype = dtype

    def __call__(self, x: Tensor, sigma: Tensor, *, context: Tensor | None = None, **conditions: Any) -> Tensor:
        dtype = self.dtype if self.dtype is not None else network_dtype(self.unet, x.dtype)
        timesteps = self.schedule.nearest_timestep(sigma) if self.quantize else self.schedule.timestep(sigma)
        scaled = x / (broadcast(sigma, x) ** 2 + 1) ** 0.5
        if context is not None:
            context = context.to(x.device, dtype)
        conditions = {k: v.to(x.device) if isinstance(v, Tensor) else v for k, v in conditions.items()}
        output = self.unet(scaled.to(dtype), timesteps, context, **conditions)
        if output.shape != x.shape:
            raise DiffilmError(
                f"the network gave shape {tuple(output.shape)} for latents of shape {tuple(x.shape)}; "
                "expected the same shape; give latents of the size and channels that this model takes"
            )
        return self.denoised(x, sigma, output.to(x.dtype))

    def denoised(self, x: Tensor, sigma: Tensor, output: Tensor) -> Tensor:
        """x0 from the network's output (Ho et al. 2020, eq. 15; v of Salimans & Ho 2022, appendix D)."""
        s = broadcast(sigma, x)
        if self.prediction == "x0":
            return output
        if self.prediction == "eps":
            return x - output * s
        return x / (s**2 + 1) - output * s / (s**2 + 1) ** 0.5

    def output(self, x: Tensor, sigma: Tensor, denoised: Tensor) -> Tensor:
        """The inverse of `denoised`: the network output that x0 stands for."""
        s = broadcast(sigma, x)
        if self.prediction == "x0":
            return denoised
        if self.prediction == "eps":
            return (x - denoised) / s
        return (x / (s**2 + 1) - denoised) * (s**2 + 1) ** 0.5 / s
