"""The host's INTERP_MODEL and UPSCALE_MODEL as what the core's stages take."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import comfy.model_patcher
import torch
import torch.nn.functional as F
from torch import Tensor

from ..diffilm_core.errors import DiffilmError
from . import host


class HostInterpolator:
    """An INTERP_MODEL (RIFE or FILM in the host's ModelPatcher) as an `Interpolator`."""

    batch = 1

    def __init__(self, patcher: Any) -> None:
        if not hasattr(patcher, "load_device") or not hasattr(patcher, "model"):
            raise DiffilmError(
                f"interpolation model of type {type(patcher).__name__}: expected the host's INTERP_MODEL; connect "
                "Load Frame Interpolation Model"
            )
        self.patcher = patcher
        self.name = type(patcher.model).__name__
        self.fingerprint = host.digest("interpolator", self.name, host.weights_key(patcher.model))

    @torch.no_grad()
    def between(self, first: Tensor, second: Tensor, t: Tensor) -> Tensor:
        """Frames `(b, 3, h, w)` in [0, 1] and times `(b,)` in (0, 1) to the frames between."""
        host.check_cancel()
        network, device = self.patcher.model, self.patcher.load_device
        dtype = self.patcher.model_dtype()
        height, width = first.shape[2:]
        estimate = getattr(network, "memory_used_forward", None)
        required = estimate((1, height, width, 3), dtype) if estimate else 0
        comfy.model_management.load_models_gpu([self.patcher], memory_required=required)
        align = int(getattr(network, "pad_align", 1))
        padding = (0, -width % align, 0, -height % align)
        made = []
        for one, other, time in zip(first, second, t, strict=True):
            pair = [F.pad(frame[None].to(device, dtype), padding, mode="replicate") for frame in (one, other)]
            when = torch.full((1, 1, *pair[0].shape[2:]), float(time), device=device, dtype=dtype)
            made.append(network(*pair, timestep=when)[..., :height, :width])
        return torch.cat(made).to("cpu", torch.float32).clamp(0, 1)


class HostUpscaler:
    """An UPSCALE_MODEL (what spandrel loaded) as an `Upscaler` of one frame at a time."""

    radius = 0
    batch = 1

    def __init__(self, model: Any) -> None:
        if not hasattr(model, "scale") or not hasattr(model, "model"):
            raise DiffilmError(
                f"upscale model of type {type(model).__name__}: expected the host's UPSCALE_MODEL; connect Load "
                "Upscale Model"
            )
        self.model = model
        self.scale = int(model.scale)
        self.name = str(getattr(getattr(model, "architecture", None), "name", type(model.model).__name__))
        self.fingerprint = host.digest("upscaler", self.name, self.scale, host.weights_key(model.model))
        self.patcher = getattr(model, "patcher", None) or _patcher(model.model)

    @torch.no_grad()
    def upscale(self, frames: Tensor) -> Tensor:
        """Frames `(b, 1, 3, h, w)` in [0, 1] to `(b, 3, scale h, scale w)`."""
        host.check_cancel()
        pixels = frames[:, 0].to(self.patcher.load_device)
        required = pixels[:1].nelement() * 4 * self.scale * 384  # the host's own estimate: 384 floats a value
        comfy.model_management.load_models_gpu([self.patcher], memory_required=required, force_full_load=True)
        made = torch.cat([self.model(pixel[None].float()) for pixel in pixels])
        return made.to("cpu", torch.float32).clamp(0, 1)


def _patcher(network: torch.nn.Module) -> Any:
    """The host's memory management around a network that came without it, as ComfyUI 0.8.0's loader gives it."""
    kind = getattr(comfy.model_patcher, "CoreModelPatcher", comfy.model_patcher.ModelPatcher)
    return kind(
        network,
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )
