"""ModelScope and Zeroscope as the host's MODEL, and their sampler in the host."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..diffilm_core.sampling import NoiseSchedule, sigmas_for
from .host_models import make_unet_model

MEMORY = 1.3  # 3.2 GiB for a fp16 batch of two at 24 x 40 x 72 are 12,400 numbers a latent position


def make_modelscope_model(
    core: Any, weights: Mapping[str, Tensor], fingerprint: str, dtype: torch.dtype | None = None
) -> Any:
    """The UNet as the host's MODEL; core: its UNetConfig, weights: its tensors in our names, kept in this dtype."""
    import comfy.latent_formats

    return make_unet_model(
        core,
        weights,
        latent_format=comfy.latent_formats.SD15(),
        fingerprint=fingerprint,
        sampling={"beta_schedule": "linear"},
        memory=MEMORY,
        dtype=dtype,
    )


def ddim_sigmas(model: Any, steps: int, denoise: float) -> Tensor:
    """The noise levels of DDIM as ModelScope publishes it, for this MODEL's schedule. Raises DiffilmError."""
    sigmas = model.get_model_object("model_sampling").sigmas.double().cpu()
    return sigmas_for(NoiseSchedule(1 / (sigmas**2 + 1), "the model's own"), steps, "ddim", denoise)


def ddim_sampler(*, from_noise: bool) -> Any:
    """The host's SAMPLER for `ddim_sigmas`: Euler steps, which are DDIM's, between the two ends as published.

    from_noise: the first step sees noise alone, of unit variance; the host scales it for a level that is higher still.
    The last level is above 0, and the result is put back into the form of the latents.
    """
    import comfy.k_diffusion.sampling
    import comfy.samplers

    def sample(model: Any, x: Tensor, sigmas: Tensor, **options: Any) -> Tensor:
        if from_noise:
            x = x * (sigmas[0] ** 2 + 1) ** 0.5 / sigmas[0]
        x = comfy.k_diffusion.sampling.sample_euler(model, x, sigmas, **options)
        return x / (sigmas[-1] ** 2 + 1) ** 0.5

    return comfy.samplers.KSAMPLER(sample)
