"""The one way in which a diffusion UNet is trained: stages `image`, `video` and `finetune` say on what, and which
parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from ..errors import DiffilmError
from ..sampling.over_time import OverTime, middle
from .base import Base, recompute
from .config import StageConfig
from .data.samples import collate
from .loop import Run, ValidatedRun
from .preview import preview
from .processes import Processes
from .room import check_room

HELD_SAMPLES = 16
HELD_NUMBERS = 1 << 40
"""Numbers of the validation's samples start here."""
TEXT_RATE = 0.1
"""The learning rate of the text encoder, of the UNet's."""
ENCODED = 16
"""Pictures that the autoencoder encodes at a time."""


@dataclass(frozen=True)
class Task:
    """What a stage trains: `feed(number)`, a batch as `data.feed.Feed` has it; `held(number)`, a sample of the
    validation, None where there is none. Parameters of the base that want gradients are trained; with `text` also
    those of its text encoder. Without `time` frames are pictures, and temporal layers are passed by. `dropout`: the
    share of captions (of pictures, where the network is told of one) that is left out. `check` is called before a
    result is written. `size` (width, height), `frames`, `fps`, `prompts`: of the samples in the log."""

    name: str
    result: str
    feed: Callable[[int], Mapping[str, Any]]
    held: Callable[[int], Mapping[str, Any]] | None
    about: Mapping[str, Any]
    size: tuple[int, int]
    frames: int = 1
    fps: float | None = None
    prompts: Sequence[str] = ("",)
    seed: int = 0
    dropout: float = 0.0
    text: bool = False
    time: bool = True
    check: Callable[[], None] = field(default=lambda: None)


class Captioned(nn.Module):
    """UNet and text encoder as one network, called with token ids in place of the context."""

    def __init__(self, base: Base) -> None:
        super().__init__()
        self.unet, self.encoder = base.unet, base.reads()
        self.text: nn.Module = self.encoder.model

    def forward(self, x: Tensor, t: Tensor, ids: Tensor, **conditions: Any) -> Tensor:
        made: Tensor = self.unet(x, t, self.encoder.hidden(ids), **conditions)
        return made


class Still(nn.Module):
    """A UNet whose temporal layers are passed by."""

    def __init__(self, unet: nn.Module) -> None:
        super().__init__()
        self.unet = unet

    def forward(self, x: Tensor, t: Tensor, context: Tensor) -> Tensor:
        made: Tensor = self.unet(x, t, context, enable_time=False)
        return made


def run_task(
    base: Base,
    task: Task,
    config: StageConfig,
    out: Path,
    device: torch.device,
    processes: Processes,
    *,
    checkpointing: bool = False,
    watch: Callable[[Run], object] | None = None,
) -> Path:
    """Train; returns the file of the weights with the lowest validation loss, of the last ones where none is held.

    A stopped run goes on from the checkpoint in `out`. Raises DiffilmError as `Run` and `check_room` do.
    """
    modules: dict[str, nn.Module] = {"unet": base.unet}
    trained: nn.Module = base.unet
    if task.text:
        if config.sharding == "fsdp":
            raise DiffilmError("text = true with sharding fsdp: the text encoder is not sliced; use ddp")
        trained = Captioned(base)
        modules["text"] = base.reads().model.requires_grad_(True)
    if checkpointing:
        recompute(base.unet)
    check_room(out, modules, config)
    network = processes.prepared(trained)

    def loss_of(number: int) -> Tensor:
        batch = task.feed(number)
        return batch_loss(base, network, batch, batch["numbers"], task)

    def validation() -> Mapping[str, float]:
        if task.held is None:
            return {}
        numbers = range(HELD_NUMBERS, HELD_NUMBERS + HELD_SAMPLES)
        with torch.no_grad():
            losses = [batch_loss(base, trained, collate([task.held(at)]), [at], task) for at in numbers]
        return {"loss": float(torch.stack(losses).mean())}

    def samples() -> Tensor:
        unet, objective = base.unet if task.time else Still(base.unet), base.objective
        parts = unet, base.vae, objective.schedule, objective.prediction, base.words(task.prompts)
        shown = preview(*parts, size=task.size, frames=task.frames, fps=task.fps)
        return shown if task.frames > 1 else rearrange(shown, "n 1 c h w -> 1 n c h w")

    def keep() -> None:
        task.check()
        base.save(out / task.result, {"stage": task.name, "steps": run.step, **task.about})

    pictures = base.pictured is None and isinstance(base.vae, nn.Module)
    run = ValidatedRun(
        Path(task.result).stem, modules, config, out, device,
        validation=validation, keep=keep, best="loss" if task.held else "", samples=samples if pictures else None,
        lr_scale={"text": TEXT_RATE}, processes=processes,
    )  # fmt: skip
    run.watch = watch
    run.train(loss_of)
    return out / task.result


def numbered_generator(seed: int, number: int) -> torch.Generator:
    """What is drawn for the sample of this number."""
    return torch.Generator().manual_seed((seed * 1_000_003 + number) % (1 << 63))


def batch_loss(base: Base, network: nn.Module, batch: Mapping[str, Any], numbers: Sequence[int], task: Task) -> Tensor:
    """The loss of samples with these numbers. What is drawn for a sample hangs on its number alone, so the loss is the
    same however a batch is parted among processes. network: the base's UNet, or `Captioned`, to be called."""
    device, dtype = base.context.device, base.context.dtype
    generators = [numbered_generator(task.seed, each) for each in numbers]
    pixels, fps = batch["pixels"], batch["fps"].to(device).float()
    with torch.no_grad():
        # contiguous: torch 2.13's GroupNorm crashes on the way back where frozen norms see channels last on a CPU
        flat = rearrange(pixels.to(device), "b t h w c -> (b t) c h w").contiguous().to(dtype) / 127.5 - 1
        encode: Any = base.vae.encode
        latents = torch.cat([encode(part) for part in flat.split(ENCODED)]).to(dtype)
        latents = rearrange(latents, "(b t) c h w -> b c t h w", b=len(pixels))
        drawn = [base.objective.draw((1, *latents.shape[1:]), each) for each in generators]
        noise, t = (torch.cat(each).to(device) for each in zip(*drawn, strict=True))
        dropped = [bool(torch.rand((), generator=each) < task.dropout) for each in generators]
        conditions: dict[str, Any] = {"fps": fps} if base.knows_fps else {}
        if isinstance(getattr(base.unet, "over_time", None), OverTime):
            conditions["picture"] = latents[:, :, middle(latents.shape[2])]
        conditions = conditions if task.time else {"enable_time": False}
        captions = ["" if gone else each for each, gone in zip(batch["captions"], dropped, strict=True)]
        if base.pictured is not None:
            frames = rearrange(flat, "(b t) c h w -> b t c h w", b=len(pixels))
            context, conditions = base.pictured(frames, fps, generators, dropped)
        elif task.text:
            context = base.tokens(captions)
        else:
            context = base.words(captions)
    return base.objective.loss(lambda x, t: network(x, t, context, **conditions), latents, noise.to(dtype), t)
