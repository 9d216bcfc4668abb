"""Published upscalers, one frame at a time: every single-image network that spandrel reads (ESRGAN, SwinIR ...)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import DiffilmError


class SpandrelUpscaler:
    """What spandrel loaded, as an `Upscaler` without neighbours. A grey network sees each channel by itself."""

    radius = 0
    batch = 1

    def __init__(self, model: Any, *, device: torch.device, dtype: torch.dtype) -> None:
        self.model = model.eval().to(device, dtype)
        self.device, self.dtype = device, dtype
        self.scale = int(model.scale)
        self.name = f"{model.architecture.name} {self.scale}x"
        digest = hashlib.sha256(repr((self.name, str(dtype))).encode())
        for name, tensor in sorted(model.model.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.float().contiguous().cpu().numpy().tobytes())
        self.fingerprint = digest.hexdigest()

    @torch.no_grad()
    def upscale(self, frames: Tensor) -> Tensor:
        """`(b, 1, 3, h, w)` in [0, 1] to `(b, 3, scale h, scale w)`, float32."""
        pixels = frames[:, 0].to(self.device, self.dtype)
        b, c, h, w = pixels.shape
        if self.model.input_channels == 1:
            return self._run(pixels.reshape(b * c, 1, h, w)).reshape(b, c, h * self.scale, w * self.scale)
        return self._run(pixels)

    def _run(self, pixels: Tensor) -> Tensor:
        """spandrel pads to what a network needs by mirroring, which a frame smaller than the padding cannot bear."""
        h, w = pixels.shape[-2:]
        needs = self.model.size_requirements
        least = max(needs.minimum, 2 * needs.multiple_of)
        pixels = F.pad(pixels, (0, max(0, least - w), 0, max(0, least - h)), mode="replicate")
        return self.model(pixels)[..., : h * self.scale, : w * self.scale].float().clamp(0, 1)


def load_spandrel(
    path: Path, tensors: Mapping[str, Tensor], *, device: torch.device, dtype: torch.dtype | None = None
) -> SpandrelUpscaler:
    """The upscaler in a file's tensors. dtype: default float32, or float16 on a GPU where the network bears it.

    Raises DiffilmError where spandrel is not installed, does not know the tensors, or they are not an upscaler's.
    """
    try:
        from spandrel import ImageModelDescriptor, ModelLoader, UnsupportedModelError
    except (ImportError, RuntimeError) as error:  # RuntimeError: a torchvision made for another torch
        reason = " ".join(str(error).split())[:120]
        raise DiffilmError(
            f"{path} is no upscaler of Diffilm's own, and spandrel, which reads the others, cannot be used ({reason}): "
            "pip install spandrel, with the torchvision of your torch"
        ) from error
    try:
        model = ModelLoader(device="cpu").load_from_state_dict(dict(tensors))
    except UnsupportedModelError as error:
        raise DiffilmError(
            f"{path} is no upscaler that spandrel knows (its tensors start with {next(iter(tensors))!r:.80}): "
            "give a super-resolution network such as Real-ESRGAN's"
        ) from error
    except (RuntimeError, KeyError, ValueError, IndexError, AssertionError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DiffilmError(f"{path} does not fit the network it seems to be ({reason}): get the file again") from error
    if not isinstance(model, ImageModelDescriptor) or model.purpose not in ("SR", "FaceSR") or model.scale < 2:
        raise DiffilmError(
            f"{path} is a {model.architecture.name} network for {model.purpose}, {model.scale}x: expected an upscaler"
        )
    if model.input_channels != model.output_channels or model.input_channels not in (1, 3):
        raise DiffilmError(
            f"{path} takes {model.input_channels} channels and gives {model.output_channels}: expected an RGB upscaler"
        )
    if dtype is None:
        dtype = torch.float16 if device.type != "cpu" and model.supports_half else torch.float32
    return SpandrelUpscaler(model, device=device, dtype=dtype)
