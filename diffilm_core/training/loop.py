"""The one training loop: AdamW, warm-up and cosine, EMA, bf16 autocast, checkpoints that a stopped run goes on from."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..atomic import written_whole
from ..errors import DiffilmError
from .config import StageConfig

log = logging.getLogger(__name__)

LossFunction = Callable[[int], Tensor]
"""`step -> scalar loss`; draws its own batch from torch's generators, which are seeded with the step."""


def fast_in_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is what this device multiplies fastest: every GPU, and CPUs with instructions for it (AMX,
    AVX-512 BF16)."""
    capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.7 has none
    return device.type == "cuda" or any(capabilities.get(name) for name in ("amx_bf16", "avx512_bf16"))


class Ema:
    """Exponential moving average of parameters (buffers are taken as they are), warmed up as (1 + n) / (10 + n)."""

    def __init__(self, modules: Mapping[str, nn.Module], decay: float) -> None:
        self.decay = decay
        self.live: list[Tensor] = [p for module in modules.values() for p in module.parameters() if p.requires_grad]
        self.kept = [p.detach().clone() for p in self.live]

    @torch.no_grad()
    def update(self, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self.kept, self.live, 1 - decay)

    @torch.no_grad()
    def copy_to_live(self) -> None:
        for live, kept in zip(self.live, self.kept, strict=True):
            live.copy_(kept)


class Run:
    """State of one stage: `Run(...).train(loss)` goes on from its checkpoint where there is one.

    modules: what is trained, by name; parameters with `requires_grad=False` are left alone. At the end the modules
    hold the EMA weights. Raises DiffilmError where the loss is not finite; the last checkpoint stays.
    """

    def __init__(
        self,
        name: str,
        modules: Mapping[str, nn.Module],
        config: StageConfig,
        folder: Path,
        device: torch.device,
        *,
        save_seconds: float = 120.0,
        lr_scale: Mapping[str, float] | None = None,
    ) -> None:
        self.name, self.modules, self.config = name, modules, config
        self.path = folder / f"{name}.ckpt"
        self.device, self.save_seconds = device, save_seconds
        self.ema = Ema(modules, config.ema)
        groups = [
            {"params": [p for p in module.parameters() if p.requires_grad], "scale": (lr_scale or {}).get(key, 1.0)}
            for key, module in modules.items()
        ]
        self.optimizer = torch.optim.AdamW(
            groups, lr=config.lr, betas=(0.9, 0.99), weight_decay=config.weight_decay, fused=device.type == "cuda"
        )
        self.step, self.seconds = 0, 0.0

    def progress(self) -> float:
        """How far along, 0 to 1, by steps or by the clock."""
        if self.config.minutes is not None:
            return min(1.0, self.seconds / (self.config.minutes * 60))
        return min(1.0, self.step / self.config.steps)

    def train(self, loss_of: LossFunction) -> None:
        self.resume()
        started, saved, shown = time.monotonic() - self.seconds, time.monotonic(), time.monotonic()
        running: list[Tensor] = []
        while self.progress() < 1.0:
            running.append(self.advance(loss_of))
            now = time.monotonic()
            if now - shown > 10:
                if self.device.type == "cuda":
                    torch.cuda.synchronize()
                self.report(running)
                shown, running = now, []
            self.seconds = time.monotonic() - started
            if now - saved > self.save_seconds:
                self.save()
                saved = time.monotonic()
        self.report(running)
        self.save()
        self.ema.copy_to_live()

    def advance(self, loss_of: LossFunction) -> Tensor:
        rate = self.config.lr * min(1.0, (self.step + 1) / self.config.warmup)
        rate *= 0.5 + 0.5 * math.cos(math.pi * self.progress())
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        for module in self.modules.values():
            module.train()
        torch.manual_seed(self.step)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=fast_in_bf16(self.device)):
            loss = loss_of(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for group in self.optimizer.param_groups:
            nn.utils.clip_grad_norm_(group["params"], 1.0)
        self.optimizer.step()
        self.step += 1
        self.ema.update(self.step)
        return loss.detach()

    def report(self, losses: list[Tensor]) -> None:
        if not losses:
            return
        mean = float(torch.stack(losses).float().mean())
        share = 100 * self.progress()
        log.info("%s step %d  loss %.4f  %.0f s  %.0f %%", self.name, self.step, mean, self.seconds, share)
        if not math.isfinite(mean):
            raise DiffilmError(
                f"stage {self.name}: loss is {mean} at step {self.step}; the last good state is in {self.path}"
            )

    def save(self) -> None:
        state = {
            "modules": {key: module.state_dict() for key, module in self.modules.items()},
            "ema": self.ema.kept,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        with written_whole(self.path) as temporary:
            torch.save(state, temporary)

    def resume(self) -> None:
        if not self.path.is_file():
            return
        state = torch.load(self.path, map_location=self.device, weights_only=True)
        for key, module in self.modules.items():
            module.load_state_dict(state["modules"][key])
        for kept, value in zip(self.ema.kept, state["ema"], strict=True):
            kept.copy_(value)
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]
        log.info("%s goes on at step %d", self.name, self.step)
