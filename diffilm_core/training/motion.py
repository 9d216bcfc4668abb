"""Stage `video` on the user's own clips: an image model learns motion from clips without any text.

    config = read("configs/motion.toml")
    train(config, "runs/motion", device=torch.device("cuda"))      # -> runs/motion/motion.safetensors

The base is a Diffilm model, whose pseudo-3D layers are trained on; a Stable Diffusion 1.x checkpoint, which gets
AnimateDiff's motion modules; ModelScope, Zeroscope or Stable Video Diffusion, whose own layers over time are trained.
Every other parameter stays as it is, to the bit, and the context of every step is that of the empty prompt, or, for
Stable Video Diffusion, of the clip's own first frame.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import DiffilmError
from ..frames.progress import Progress
from ..models import is_temporal
from .base import Base, BaseConfig, ObjectiveConfig
from .bases import open_base
from .config import StageConfig, read_sections
from .data.clips import Clips, index_clips, split
from .data.feed import Feed, numbered
from .data.samples import ClipSamples
from .data.windows import Windows
from .diffusion import Task, run_task
from .loop import Run
from .processes import launched

RESULT = "motion.safetensors"


@dataclass(frozen=True)
class ClipsConfig(Windows):
    """`clips`: the folder. Its windows are of `width` x `height` pixels."""

    clips: str
    width: int = 256
    height: int = 256


@dataclass(frozen=True)
class MotionTraining:
    data: ClipsConfig
    train: StageConfig
    base: BaseConfig = field(default_factory=BaseConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)


def read(path: str | Path, changes: Mapping[str, Any] | None = None) -> MotionTraining:
    """The configuration in a TOML file of the sections base, data, objective and train; `changes` by "section.key".

    Raises DiffilmError for a missing file, broken TOML, unknown or missing keys, values that cannot be.
    """
    kinds = {"base": BaseConfig, "data": ClipsConfig, "objective": ObjectiveConfig, "train": StageConfig}
    return MotionTraining(**read_sections(path, kinds, changes or {}, optional=("base", "objective")))


def check_size(base: Base, width: int, height: int) -> None:
    """Raises DiffilmError for clips that the base cannot encode."""
    if min(width, height) < 1 or width % base.multiple or height % base.multiple:
        raise DiffilmError(f"clips of {width}x{height}: this model needs multiples of {base.multiple}")


def unchanged(unet: nn.Module) -> Callable[[], None]:
    """What raises RuntimeError once a spatial parameter is not what it is now, to the bit."""

    def digests() -> dict[str, bytes]:
        return {name: digest(p) for name, p in unet.named_parameters() if not is_temporal(name)}

    before = digests()

    def check() -> None:
        changed = [name for name, found in digests().items() if found != before[name]]
        if changed:
            raise RuntimeError(f"stage video changed the spatial parameter {changed[0]}")

    return check


def digest(tensor: Tensor) -> bytes:
    content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return hashlib.blake2b(content.numpy().tobytes()).digest()


def train(
    config: MotionTraining, out: str | Path, device: torch.device, progress: Progress | None = None,
    *, base: Base | None = None, watch: Callable[[Run], object] | None = None,
) -> Path:  # fmt: skip
    """Train on the clips of a folder; returns the file of the weights with the lowest validation loss.

    For a Diffilm base it is a whole model, for Stable Diffusion 1.x a motion model in AnimateDiff's own layout, else
    what `bases.open_base` says. A stopped run goes on from the checkpoint in `out`. base: instead of that of the
    configuration. watch: called with the run after each step; it may raise, and what was trained is kept. Raises
    DiffilmError as `open_base`, `index_clips`, `Clips` and `run_task` do, and for sizes that the base cannot encode.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    processes, device = launched(device, config.train.sharding)
    base = base or open_base(config.base, config.objective, device)
    data = config.data
    check_size(base, data.width, data.height)
    files, held = split(index_clips(data.clips, out / "clips.json", progress), data.validation, data.seed)
    shape: dict[str, Any] = dict(frames=data.frames, size=(data.width, data.height), fps=data.fps, seed=data.seed)
    batch = config.train.batch
    feed = Feed(ClipSamples(Clips(files, **shape)), numbered(batch), batch, data.workers, processes)
    watched = ClipSamples(Clips(held, **shape)) if held else None
    torch.manual_seed(data.seed)
    base.unet.requires_grad_(False)
    for parameter in base.unet.temporal_parameters().values():
        parameter.requires_grad_(True)
    task = Task(
        "video", RESULT, feed, None if watched is None else watched.__getitem__,
        {"training": asdict(config), "clips": len(files)},
        size=(data.width, data.height), frames=data.frames, fps=data.min_fps if base.knows_fps else None,
        seed=data.seed, dropout=config.train.caption_dropout, check=unchanged(base.unet),
    )  # fmt: skip
    return run_task(
        base, task, config.train, out, device, processes, checkpointing=config.objective.checkpointing, watch=watch
    )
