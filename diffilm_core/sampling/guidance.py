"""Classifier-free guidance, in one batched call of the network or in two passes."""

from __future__ import annotations

import logging
import math
from typing import Any

import torch
from torch import Tensor

from ..errors import DiffilmError
from .denoiser import Denoiser, network_dtype
from .windows import FRAMES_AXIS

logger = logging.getLogger(__name__)

Scale = float | tuple[float, float]
"""A scale, or the first frame's and the last one's."""
MODES = ("auto", "batched", "two_pass")
# Activations of one pass, in numbers per latent position (t, h, w): ModelScope's 1.6 GiB for a fp16 batch of two at
# 16 x 32 x 32 is 26,000 of them; Zeroscope's and SVD's UNets take less.
NUMBERS_PER_POSITION = 32_000
USABLE_SHARE = 0.8


def free_memory(device: torch.device) -> int | None:
    """Bytes that a call on this accelerator can still take, PyTorch's own idle cache included; None if unknown."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    if device.type == "xpu":
        free, _ = torch.xpu.mem_get_info(device)
        return free + torch.xpu.memory_reserved(device) - torch.xpu.memory_allocated(device)
    return None


def _expand(value: Any, batch: int) -> Any:
    """A tensor of batch 1 for the whole batch; anything else as it is."""
    if isinstance(value, Tensor) and value.ndim > 0 and value.shape[0] == 1 and batch > 1:
        return value.expand(batch, *value.shape[1:])
    return value


def _joined(cond: dict[str, Any], uncond: dict[str, Any], batch: int) -> dict[str, Any] | None:
    """The conditions of one call for both, cond first; None where they cannot be put into one batch."""
    if cond.keys() != uncond.keys():
        return None
    joined: dict[str, Any] = {}
    for key in cond:
        a, b = _expand(cond[key], batch), _expand(uncond[key], batch)
        if isinstance(a, Tensor) and isinstance(b, Tensor) and a.ndim > 0 and a.shape == b.shape:
            if a.shape[0] != batch:
                return None
            joined[key] = torch.cat([a, b.to(a)])
        elif isinstance(a, Tensor) or isinstance(b, Tensor) or a != b:
            return None
        else:
            joined[key] = a
    return joined


class Guidance:
    """`(x, sigma) -> x0 = uncond + scale * (cond - uncond)` (Ho & Salimans 2022, eq. 6, on x0).

    `cond` and `uncond` hold `context` (1 or b, l, d) and the network's other keywords. With scale 1, or
    without uncond, only cond is computed. Modes: "batched" makes one call for both, "two_pass" two; they
    differ by rounding. "auto" chooses at the first call and keeps to it: two passes on a CPU (a batch saves
    no time there and doubles the memory) and where the free memory is unknown; elsewhere batched when twice
    the estimated activations, 32,000 numbers per latent position, fit into 80 % of the free memory.
    `chosen` says which it was; where an accelerator's frames must repeat bit for bit, name the mode.
    A `scale` of two numbers grows evenly from the first frame's to the last one's (Blattmann et al. 2023).
    `rescale` in 0..1 brings the guided prediction's spread back to that of cond (Lin et al. 2024, section 3.4).
    """

    def __init__(
        self,
        denoiser: Denoiser,
        cond: dict[str, Any],
        uncond: dict[str, Any] | None = None,
        scale: Scale = 1.0,
        mode: str = "auto",
        *,
        rescale: float = 0.0,
    ) -> None:
        if mode not in MODES:
            raise DiffilmError(f"unknown guidance mode {mode!r}; choose one of {', '.join(MODES)}")
        first, last = scale if isinstance(scale, tuple) else (scale, scale)
        if not (math.isfinite(first) and math.isfinite(last)):
            raise DiffilmError(f"cfg {scale}; expected finite numbers (7 is usual, 1 is no guidance)")
        if not 0 <= rescale <= 1:
            raise DiffilmError(f"guidance rescale {rescale:g}; expected 0 (off) to 1")
        self.denoiser = denoiser
        self.cond = cond
        self.uncond = None if uncond is None or (math.isclose(first, 1.0) and math.isclose(last, 1.0)) else uncond
        self.scale = scale
        self.mode = mode
        self.rescale = rescale
        self.chosen: str | None = None if mode == "auto" else mode

    def tell(self, **conditions: Any) -> None:
        """More keywords for the network, of cond and uncond alike."""
        self.cond = {**self.cond, **conditions}
        self.uncond = None if self.uncond is None else {**self.uncond, **conditions}

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        batch = x.shape[0]
        if self.uncond is None:
            return self._pass(x, sigma, self.cond)
        both = _joined(self.cond, self.uncond, batch) if self.mode != "two_pass" else None
        if both is None and self.mode == "batched":
            raise DiffilmError(
                "cond and uncond differ in their keywords or shapes, so they do not fit into one batch; expected equal "
                'ones; use mode "two_pass" or "auto"'
            )
        if self.chosen is None:
            self.chosen = self._choose(x) if both is not None else "two_pass"
            logger.debug("guidance %s for latents %s on %s", self.chosen, tuple(x.shape), x.device)
        if both is not None and self.chosen == "batched":
            denoised = self.denoiser(torch.cat([x, x]), torch.cat([sigma, sigma]), **both)
            cond, uncond = denoised.chunk(2)
        else:
            cond = self._pass(x, sigma, self.cond)
            uncond = self._pass(x, sigma, self.uncond)
        guided = uncond + (cond - uncond) * self._scale(x)
        return self._rescaled(x, sigma, guided, cond) if self.rescale else guided

    def _scale(self, x: Tensor) -> float | Tensor:
        if not isinstance(self.scale, tuple):
            return self.scale
        return torch.linspace(*self.scale, x.shape[FRAMES_AXIS]).to(x).view(-1, 1, 1)

    def _pass(self, x: Tensor, sigma: Tensor, conditions: dict[str, Any]) -> Tensor:
        return self.denoiser(x, sigma, **{k: _expand(v, x.shape[0]) for k, v in conditions.items()})

    def _choose(self, x: Tensor) -> str:
        free = None if x.device.type == "cpu" else free_memory(x.device)
        if free is None:
            return "two_pass"
        positions = x.numel() // x.shape[1]
        width = network_dtype(self.denoiser.unet, x.dtype).itemsize
        return "batched" if 2 * positions * NUMBERS_PER_POSITION * width <= USABLE_SHARE * free else "two_pass"

    def _rescaled(self, x: Tensor, sigma: Tensor, guided: Tensor, cond: Tensor) -> Tensor:
        """Rescaled in the form that the network predicts, as the paper has it."""
        wanted = self.denoiser.output(x, sigma, cond)
        output = self.denoiser.output(x, sigma, guided)
        axes = tuple(range(1, x.ndim))
        factor = wanted.std(axes, keepdim=True) / output.std(axes, keepdim=True)
        return self.denoiser.denoised(x, sigma, output * (self.rescale * factor + (1 - self.rescale)))
