"""The one training loop: AdamW, warm-up and cosine, EMA, bf16 or fp16 autocast, checkpoints that a stopped run goes on
from, validation of the averaged weights, curves and samples of them in the log."""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..atomic import written_whole
from ..errors import DiffilmError
from .config import StageConfig
from .processes import Processes
from .record import Record
from .shards import gathered, own, released, slice_as, whole

log = logging.getLogger(__name__)

LossFunction = Callable[[int], Tensor]
"""`index of the batch -> scalar loss`; draws its own batch, by that index or from torch's generators, which are seeded
with it."""
Validation = Callable[[], Mapping[str, float]]
Samples = Callable[[], Tensor]
"""Clips of the modules as they are, uint8 `(n, t, 3, h, w)`; n pictures are `(1, n, 3, h, w)`."""
ALONE = Processes()


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
        torch._foreach_lerp_(own(self.kept), own(self.live), 1 - decay)

    @torch.no_grad()
    def copy_to_live(self) -> None:
        for live, kept in zip(own(self.live), own(self.kept), strict=True):
            live.copy_(kept)


class Run:
    """State of one stage: `Run(...).train(loss)` goes on from its checkpoint where there is one.

    modules: what is trained, by name; parameters with `requires_grad=False` are left alone. At the end the modules
    hold the EMA weights. Of several `processes` the first alone logs, writes and validates. Raises DiffilmError where
    the loss, or a weight that is to be saved, is not finite; the last checkpoint stays. `watch(run)` is called after
    each step; where it raises, the run is saved first.
    """

    watch: Callable[[Run], object] | None = None

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
        processes: Processes = ALONE,
    ) -> None:
        self.name, self.modules, self.config, self.processes = name, modules, config, processes
        if processes.count > 1 and config.minutes is not None:
            raise DiffilmError(
                f"minutes {config.minutes} for {processes.count} processes: each has its clock; give steps"
            )
        self.path = folder / f"{name}.ckpt"
        self.device, self.save_seconds = device, save_seconds
        self.half = _half(config.precision, device)
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.half == torch.float16)
        self.ema = Ema(modules, config.ema)
        groups = [
            {"params": [p for p in module.parameters() if p.requires_grad], "scale": (lr_scale or {}).get(key, 1.0)}
            for key, module in modules.items()
        ]
        self.optimizer = _optimizer(groups, config, device)
        self.record = Record(folder, name)
        self.step, self.seconds, self.reported = 0, 0.0, 0.0
        self.loss = math.nan  # the mean since the last report

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
            self.seconds = now - started
            save = self.processes.agreed(now - saved > self.save_seconds)
            spoilt = self.device.type == "cpu" and not math.isfinite(running[-1])  # a GPU is not waited for each step
            if self.processes.agreed(save or spoilt or now - shown > 10):  # what is not finite is found before a save
                self.report(running)
                shown, running = now, []
            if save:
                self.save()
                saved = time.monotonic()
            self._watched(running)
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
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.device)
        for part in range(self.config.accumulate):
            index = self.step * self.config.accumulate + part
            torch.manual_seed(index)
            with torch.autocast(self.device.type, self.half, enabled=self.half is not None):
                loss = loss_of(index) / self.config.accumulate
            self.scaler.scale(loss).backward()
            total += loss.detach()
        self.scaler.unscale_(self.optimizer)
        for group in self.optimizer.param_groups:
            nn.utils.clip_grad_norm_(group["params"], 1.0)
        self.scaler.step(self.optimizer)  # skipped where fp16 overflowed
        self.scaler.update()
        self.step += 1
        self.ema.update(self.step)
        return total

    def _watched(self, losses: list[Tensor]) -> None:
        try:
            if self.watch is not None:
                self.watch(self)
        except BaseException:
            Run.report(self, losses)  # what is not finite is not saved; no time for a validation
            self.save()
            raise

    def left(self) -> str:
        """How long it still takes, as hours:minutes:seconds."""
        share = self.progress()
        return _clock(self.seconds * (1 - share) / share if share else 0.0)

    def report(self, losses: list[Tensor]) -> None:
        if not losses:
            return
        mean = self.loss = float(torch.stack(losses).float().mean())
        if self.processes.main:
            log.info(
                "%s step %d  loss %.4f  %.2f steps/s  %.0f %%, %s left",
                self.name, self.step, mean, self.step / max(self.seconds, 1e-9), 100 * self.progress(), self.left(),
            )  # fmt: skip
            speed = len(losses) / max(self.seconds - self.reported, 1e-9)
            rate = self.optimizer.param_groups[0]["lr"]
            self.record.figures(self.step, {"loss": mean, "learning rate": rate, "steps a second": speed})
        self.reported = self.seconds
        if not math.isfinite(mean):
            raise self._spoilt(f"loss is {mean}")

    def _spoilt(self, what: str) -> DiffilmError:
        return DiffilmError(
            f"stage {self.name}: {what} at step {self.step}; the last good state is in {self.path}: lower the learning "
            "rate, or train in fp32"
        )

    def state(self) -> dict[str, Any]:
        """All that a stopped run goes on from, the same whatever the number of processes."""
        state = {
            "modules": {key: dict(module.state_dict()) for key, module in self.modules.items()},
            "ema": self.ema.kept,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        return state if not self.processes.sharded else dict(whole(state, self.processes.main))

    def save(self) -> None:
        state = self.state() if self.processes.main or self.processes.sharded else {}
        if not self.processes.main:
            return
        weights = (tensor for module in state["modules"].values() for tensor in module.values())
        if not all(bool(torch.isfinite(tensor).all()) for tensor in weights):
            raise self._spoilt("weights are not finite")
        for older in reversed(range(1, self.config.keep)):
            before = self.path if older == 1 else self._kept(older - 1)
            if before.is_file():
                with written_whole(self._kept(older)) as temporary:
                    shutil.copyfile(before, temporary)
        with written_whole(self.path) as temporary:
            torch.save(state, temporary)

    def _kept(self, older: int) -> Path:
        return self.path.with_suffix(f".{older}{self.path.suffix}")

    def resume(self) -> None:
        if self.path.is_file():
            self.restore(torch.load(self.path, map_location=self.device, weights_only=True))
            log.info("%s goes on at step %d", self.name, self.step)

    def restore(self, state: Mapping[str, Any]) -> None:
        for key, module in self.modules.items():
            now = module.state_dict()
            module.load_state_dict({n: slice_as(v, now.get(n, v)) for n, v in state["modules"][key].items()})
        for kept, value in zip(self.ema.kept, state["ema"], strict=True):
            kept.copy_(slice_as(value, kept))
        trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        moments = {
            number: {name: slice_as(v, trained[number]) if torch.is_tensor(v) else v for name, v in values.items()}
            for number, values in state["optimizer"]["state"].items()
        }
        self.optimizer.load_state_dict({**state["optimizer"], "state": moments})
        if state.get("scaler"):
            self.scaler.load_state_dict(state["scaler"])
        self.step, self.seconds, self.reported = state["step"], state["seconds"], state["seconds"]

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """The modules hold the EMA weights inside."""
        with torch.no_grad():
            live = [each.clone() for each in own(self.ema.live)]
        self.ema.copy_to_live()
        try:
            yield
        finally:
            with torch.no_grad():
                for each, value in zip(own(self.ema.live), live, strict=True):
                    each.copy_(value)
            if self.processes.sharded:
                released(self.modules.values())


class ValidatedRun(Run):
    """A `Run` that also validates the averaged weights, every `validate_seconds` and at the end.

    validation: figures by name. samples: clips of them, shown in the log. Where the weights are sharded, every process
    calls both. keep: writes the weights that the modules then hold; called after each validation, or, where `best`
    names a figure, only when that is lower than ever before.
    """

    def __init__(
        self,
        name: str,
        modules: Mapping[str, nn.Module],
        config: StageConfig,
        folder: Path,
        device: torch.device,
        *,
        validation: Validation,
        keep: Callable[[], object],
        best: str = "",
        samples: Samples | None = None,
        validate_seconds: float = 240.0,
        save_seconds: float = 120.0,
        lr_scale: Mapping[str, float] | None = None,
        processes: Processes = ALONE,
    ) -> None:
        super().__init__(
            name, modules, config, folder, device, save_seconds=save_seconds, lr_scale=lr_scale, processes=processes
        )
        self.validation, self.keep, self.best, self.samples = validation, keep, best, samples
        self.validate_seconds = validate_seconds
        self.lowest = math.inf
        self.validated = time.monotonic()

    def train(self, loss_of: LossFunction) -> None:
        super().train(loss_of)
        self.validate()

    def report(self, losses: list[Tensor]) -> None:
        super().report(losses)
        if self.processes.agreed(time.monotonic() - self.validated > self.validate_seconds):
            with self.averaged():
                self.validate()
            self.save()  # so that a run which goes on knows of the best one
            self.validated = time.monotonic()

    def state(self) -> dict[str, Any]:
        return {**super().state(), "lowest": self.lowest}

    def restore(self, state: Mapping[str, Any]) -> None:
        super().restore(state)
        self.lowest = state.get("lowest", math.inf)

    def validate(self) -> None:
        main = self.processes.main
        if not main and not self.processes.sharded:
            return
        for module in self.modules.values():
            module.eval()
        found = self.validation()
        if main:
            figures = "  ".join(f"{name} {value:.4g}" for name, value in found.items())
            log.info("%s step %d  validation: %s", self.name, self.step, figures)
            self.record.figures(self.step, {f"validation/{name}": value for name, value in found.items()})
        if self.processes.agreed(not self.best or found[self.best] < self.lowest):
            self.lowest = found.get(self.best, math.inf)
            with gathered(list(self.modules.values()), main) if self.processes.sharded else nullcontext():
                if main:
                    self.keep()
        if self.samples is not None:
            shown = self.samples()
            if main:
                self.record.samples(self.step, shown)


def _half(precision: str, device: torch.device) -> torch.dtype | None:
    """The format of the matrix products, None for float32. Raises DiffilmError for fp16 on what has none."""
    if precision == "fp16":
        if device.type != "cuda":
            raise DiffilmError(f"precision fp16 on {device.type}: it needs a GPU; use bf16, fp32 or auto")
        return torch.float16
    return torch.bfloat16 if precision == "bf16" or (precision == "auto" and fast_in_bf16(device)) else None


def _optimizer(groups: list[dict[str, Any]], config: StageConfig, device: torch.device) -> torch.optim.Optimizer:
    options: dict[str, Any] = dict(lr=config.lr, betas=(0.9, 0.99), weight_decay=config.weight_decay)
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, fused=device.type == "cuda", **options)
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise DiffilmError(
            f"optimizer adamw8bit: bitsandbytes cannot be imported ({error}): pip install bitsandbytes, or use adamw"
        ) from error
    made: torch.optim.Optimizer = AdamW8bit(groups, **options)
    return made


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
