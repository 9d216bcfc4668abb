"""Stage `vdm`: a UNet in pixels learns captioned GIFs (Ho et al. 2022), its captions seen through BERT.

The result is the network's tensors in the names of video-diffusion-pytorch, which the pack's loader and nodes take.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from ..checkpoints.files import write_tensors
from ..errors import DiffilmError
from ..frames.progress import Progress
from ..models.vdm import VDMConfig, VDMUNet
from ..sampling.vdm import sample_vdm, vdm_schedule
from ..text.bert import ADVICE, BertEncoder, load_bert
from .config import StageConfig, read_sections
from .data.feed import CaptionedFeed
from .data.samples import Buckets, Samples, collate
from .data.sources import gifs, side
from .data.windows import Windows
from .loop import ValidatedRun
from .objective import Objective
from .processes import launched
from .room import check_room

RESULT = "vdm.safetensors"
ABOUT = "diffilm.vdm"
"""The metadata's key of what the file says of itself."""
HELD_SAMPLES = 16
HELD_NUMBERS = 1 << 40
"""Numbers of the validation's samples start here."""
SHOWN, SHOWN_STEPS = 4, 25
KNOWN_CAPTIONS = 4096


@dataclass(frozen=True)
class GifsConfig(Windows):
    """`table`: lines of URL or file, tab, caption, as the Tumblr GIF data has them; `clips`: the folder of the GIFs, ""
    the table's own. Windows are of `size` x `size` pixels."""

    table: str
    clips: str = ""
    size: int = 64
    frames: int = field(default=10, kw_only=True)
    max_fps: float = field(default=10.0, kw_only=True)
    validation: float = field(default=0.02, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size < 1:
            raise DiffilmError(f"size {self.size}: expected at least 1 pixel; 64 is usual")


@dataclass(frozen=True)
class CaptionConfig:
    """`bert`: the folder of a BERT; `cls`: its [CLS] vector instead of the mean over the tokens."""

    bert: str = ""
    cls: bool = False


@dataclass(frozen=True)
class LossConfig:
    """`loss`: "l1", as video-diffusion-pytorch has it, or "l2", as the paper. `min_snr` as in `objective.Objective`."""

    loss: str = "l1"
    min_snr: float | None = None

    def __post_init__(self) -> None:
        if self.loss not in ("l1", "l2"):
            raise DiffilmError(f"loss {self.loss!r}: expected l1 or l2")


@dataclass(frozen=True)
class VDMTraining:
    data: GifsConfig
    train: StageConfig
    text: CaptionConfig = field(default_factory=CaptionConfig)
    objective: LossConfig = field(default_factory=LossConfig)
    network: VDMConfig = field(default_factory=VDMConfig)


def read(path: str | Path, changes: Mapping[str, Any] | None = None) -> VDMTraining:
    """The configuration in a TOML file; `changes` by "section.key". Raises DiffilmError as `read_sections` does."""
    kinds = {
        "data": GifsConfig, "train": StageConfig, "text": CaptionConfig, "objective": LossConfig, "network": VDMConfig,
    }  # fmt: skip
    return VDMTraining(**read_sections(path, kinds, changes or {}, optional=("text", "objective", "network")))


class Task:
    """The loss of captioned clips. A sample's noise, step and dropped caption hang on its number alone, so the loss is
    the same however the batch is parted among processes."""

    def __init__(self, config: VDMTraining, bert: BertEncoder, device: torch.device) -> None:
        self.objective = Objective(vdm_schedule(), "eps", config.objective.min_snr)
        self.squared, self.dropout = config.objective.loss == "l2", config.train.caption_dropout
        self.seed, self.device = config.data.seed, device
        self.encoded = lru_cache(KNOWN_CAPTIONS)(lambda caption: bert.encode([caption])[0].cpu())

    def contexts(self, captions: Sequence[str], like: Tensor) -> Tensor:
        """`(b, 1, d)`."""
        return torch.stack([self.encoded(caption) for caption in captions]).to(like)

    def loss(self, network: nn.Module, batch: Mapping[str, Any], numbers: Sequence[int]) -> Tensor:
        """batch: `collate`'s, of samples with these numbers."""
        parameter = next(network.parameters())
        pixels = rearrange(batch["pixels"].to(self.device), "b t h w c -> b c t h w").to(parameter.dtype) / 127.5 - 1
        drawn = [self._draw((1, *pixels.shape[1:]), number) for number in numbers]
        noise, t, drop = (torch.cat(each).to(self.device) for each in zip(*drawn, strict=True))
        x, target = self.objective.noisy(pixels, noise.to(pixels), t)
        made = network(x, t, self.contexts(batch["captions"], pixels), drop=drop)
        error = made.to(target) - target
        error = (error.square() if self.squared else error.abs()).flatten(1).mean(1)
        return (error * self.objective.weight(t).to(error)).mean()

    def _draw(self, shape: Sequence[int], number: int) -> tuple[Tensor, Tensor, Tensor]:
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + number) % (1 << 63))
        noise, t = self.objective.draw(shape, generator)
        return noise, t, torch.rand(1, generator=generator) < self.dropout


def train(config: VDMTraining, out: str | Path, device: torch.device, progress: Progress | None = None) -> Path:
    """Train on captioned clips; returns the file of the weights with the lowest validation loss.

    A stopped run goes on from the checkpoint in `out`. Raises DiffilmError as `load_bert`, `gifs`, `Batches`,
    `check_room` and `Run` do, and for a size that the network cannot take.
    """
    data, out = config.data, Path(out)
    if data.size % config.network.size_multiple:
        raise DiffilmError(f"size {data.size}: this network needs multiples of {config.network.size_multiple}")
    if not config.text.bert:
        raise DiffilmError(f"text.bert is empty, expected the folder of a BERT: {ADVICE}")
    out.mkdir(parents=True, exist_ok=True)
    processes, device = launched(device, config.train.sharding)
    bert = load_bert(config.text.bert, cls=config.text.cls).to(device)
    items = gifs(data.table, data.clips or None, progress)
    sides = [side(item.source, validation=data.validation, seed=data.seed) for item in items]
    used, held = (
        [item for item, each in zip(items, sides, strict=True) if each == name] for name in ("train", "validation")
    )
    buckets, fps = Buckets([(data.size, data.size)], (data.frames,)), data.fps
    feed = CaptionedFeed(
        used, buckets, config.train.batch, fps=fps, seed=data.seed, workers=data.workers, processes=processes
    )
    held = [item for item in held if buckets.of(item) is not None]
    watched = Samples(held, buckets, fps=fps, seed=data.seed)
    torch.manual_seed(data.seed)
    shape = replace(config.network, cond_dim=bert.width, caption_drop=config.train.caption_dropout)
    unet = VDMUNet(shape).to(device)
    check_room(out, {"unet": unet}, config.train)
    task = Task(config, bert, device)
    network = processes.prepared(unet)

    def loss_of(number: int) -> Tensor:
        batch = feed(number)
        return task.loss(network, batch, batch["numbers"])

    def validation() -> Mapping[str, float]:
        numbers = range(HELD_NUMBERS, HELD_NUMBERS + HELD_SAMPLES if held else HELD_NUMBERS)
        with torch.no_grad():
            losses = [task.loss(unet, collate([watched[at % len(held), at]]), [at]) for at in numbers]
        return {"loss": float(torch.stack(losses).mean())} if losses else {}

    def samples() -> Tensor:
        return shown(unet, task, [item.caption for item in (held or used)[:SHOWN]], data)

    def keep() -> None:
        about = {"steps": run.step, "training": asdict(config), "clips": len(used)}
        write_tensors(out / RESULT, unet.state_dict(), {ABOUT: json.dumps(about, sort_keys=True)})

    run = ValidatedRun(
        "vdm", {"unet": unet}, config.train, out, device,
        validation=validation, keep=keep, best="loss" if held else "", samples=samples, processes=processes,
    )  # fmt: skip
    run.train(loss_of)
    return out / RESULT


@torch.no_grad()
def shown(unet: VDMUNet, task: Task, captions: Sequence[str], data: GifsConfig) -> Tensor:
    """uint8 `(n, t, 3, h, w)`: what the captions become in a few steps, row i with the seed i."""
    parameter = next(unet.parameters())
    clips = []
    for seed, caption in enumerate(captions):
        context = task.contexts([caption], parameter)
        shape = unet.config.channels, data.frames, data.size, data.size
        clips.append(sample_vdm(unet, context, shape=shape, seed=seed, steps=SHOWN_STEPS))
    return rearrange((torch.stack(clips) * 255).round().to(torch.uint8), "n c t h w -> n t c h w")
