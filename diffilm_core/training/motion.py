"""Stage `video` on the user's own clips: an image model learns motion from clips without any text.

    config = read("configs/motion.toml")
    train(config, "runs/motion", device=torch.device("cuda"))      # -> runs/motion/motion.safetensors

The base is a Diffilm model, whose pseudo-3D layers are trained on, or a Stable Diffusion 1.x checkpoint, which gets
AnimateDiff's motion modules. Every other parameter stays as it is, to the bit, and the context of every step is that of
the empty prompt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader

from ..bundle import VideoModel, load_model, save_model
from ..checkpoints import load_motion, load_text_encoder, load_unet, load_vae
from ..checkpoints.animatediff import save_motion
from ..checkpoints.source import open_source
from ..errors import DiffilmError
from ..frames.progress import Progress
from ..models import UNet, UNetConfig, is_temporal
from ..models.motion import MotionConfig, MotionModel, put_motion
from ..models.temporal.animatediff import frame_positions
from ..sampling.schedules import NoiseSchedule
from .config import StageConfig, read_sections
from .data.clips import Clips, index_clips, split
from .loop import Run, ValidatedRun
from .objective import Objective
from .processes import Processes, launched

RESULT = "motion.safetensors"
HELD_SAMPLES = 16
HELD_NUMBERS = 1 << 40
"""Numbers of the validation's samples start here."""


@dataclass(frozen=True)
class BaseConfig:
    """`model`: a Diffilm model or a Stable Diffusion 1.x checkpoint, "" the model that ships. `vae`, `text`: files of
    their own where the checkpoint lacks them. `motion`: a motion model to go on from, instead of the identity."""

    model: str = ""
    vae: str = ""
    text: str = ""
    motion: str = ""


@dataclass(frozen=True)
class ClipsConfig:
    """`clips`: the folder. Windows of `frames` frames, `width` x `height` pixels, at `min_fps` to `max_fps`; the share
    `validation` of the files is only looked at. `workers`: processes that decode."""

    clips: str
    width: int = 256
    height: int = 256
    frames: int = 16
    min_fps: float = 4.0
    max_fps: float = 16.0
    validation: float = 0.05
    seed: int = 0
    workers: int = 2
    description: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.min_fps <= self.max_fps:
            raise DiffilmError(f"frame rates {self.min_fps:g} to {self.max_fps:g}: expected 0 < min_fps <= max_fps")
        if self.frames < 2:
            raise DiffilmError(f"frames {self.frames}: motion needs at least 2; 16 is usual")


@dataclass(frozen=True)
class ObjectiveConfig:
    """See `objective.Objective`; what the network predicts is the base's. `checkpointing`: activations are computed
    again on the way back, which takes a third more time and far less memory."""

    min_snr: float | None = None
    offset_noise: float = 0.0
    checkpointing: bool = False


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


@dataclass(frozen=True)
class Base:
    """What is trained, and what stays: `context` (1, l, d) of the empty prompt; `multiple` of pixels a side."""

    unet: UNet
    vae: nn.Module
    context: Tensor
    objective: Objective
    multiple: int
    knows_fps: bool
    save: Callable[[Path, dict[str, Any]], Path]


def open_base(config: BaseConfig, objective: ObjectiveConfig, device: torch.device) -> Base:
    """Raises DiffilmError where a file is missing or damaged, or is no model that motion can be put into."""
    options: dict[str, Any] = {"min_snr": objective.min_snr, "offset_noise": objective.offset_noise}
    if not config.model or Path(config.model).is_dir() or "diffilm" in open_source(config.model).metadata:
        model = load_model(config.model or None, device=device, dtype=torch.float32)
        if config.motion:
            raise DiffilmError(f"motion {config.motion}: a Diffilm model has its own; leave base.motion out")
        return Base(
            unet=model.unet,
            vae=model.vae,
            context=model.text.encode([""]).to(device),
            objective=Objective(model.schedule, model.prediction, **options),
            multiple=model.size_multiple,
            knows_fps=True,
            save=lambda path, about: save_own(model, path, about),
        )
    image: Any = load_unet(config.model, systems=("sd1",), dtype=torch.float32, device=device)
    vae: Any = load_vae(config.vae or config.model, dtype=torch.float32, device=device)
    text = load_text_encoder(config.text or config.model, dtype=torch.float32, device=device)
    motion = motion_for(image.config, config.motion).to(device)
    unet = put_motion(image, motion).to(device)
    if not config.motion:
        unet.reset_temporal()
    return Base(
        unet=unet,
        vae=vae.requires_grad_(False),
        context=text.encode([""]).to(device),
        objective=Objective(NoiseSchedule.create("linear"), "eps", **options),  # AnimateDiff's, which its users expect
        multiple=vae.downscale * 2 ** (len(image.config.channel_mult) - 1),
        knows_fps=False,
        save=lambda path, about: save_motion(path, motion.config, unet.temporal_parameters(), about),
    )


def motion_for(image: UNetConfig, path: str = "") -> MotionModel:
    """The motion model of a file, or a fresh one of AnimateDiff v3's kind for a UNet of this shape."""
    if path:
        found: Any = load_motion(path, systems=("animatediff",), dtype=torch.float32)
        if not isinstance(found, MotionModel):
            raise DiffilmError(f"motion {path} is a LoRA, expected a motion model such as v3_sd15_mm.ckpt; give one")
        return found
    channels = tuple(image.model_channels * mult for mult in image.channel_mult)
    motion = MotionModel(MotionConfig(channels=channels, layers=image.num_res_blocks))
    motion.get_buffer("positions").copy_(frame_positions(motion.config.positions, channels[0]))
    return motion


def save_own(model: VideoModel, path: Path, about: Mapping[str, Any]) -> Path:
    """A Diffilm model as it is now, in float16; what it says of itself is joined by `about`."""
    config = replace(model.config, about={**(model.config.about or {}), "motion": dict(about)})
    return save_model(path, config, model.unet.state_dict(), model.vae.state_dict(), model.text.model.state_dict())


class Feed:
    """Batches of clips by number, decoded ahead in worker processes: `feed(3)` is this process's share of the fourth,
    whatever came before."""

    def __init__(self, clips: Clips, batch: int, workers: int, processes: Processes) -> None:
        self.clips, self.batch, self.workers, self.rank = clips, batch, workers, processes.rank
        self.share = processes.share(batch)
        self.next = -1
        self.batches: Iterator[tuple[Tensor, Tensor]] = iter(())

    def first(self, number: int) -> int:
        """The number of the batch's first sample that is ours."""
        return number * self.batch + self.rank * self.share

    def __call__(self, number: int) -> tuple[Tensor, Tensor]:
        """uint8 `(b, t, h, w, 3)` and frames a second `(b,)`."""
        if number != self.next:
            order = (self.first(at) + each for at in count(number) for each in range(self.share))
            loader = DataLoader(self.clips, self.share, sampler=order, num_workers=self.workers)
            self.batches = iter(loader)
        self.next = number + 1
        return next(self.batches)


def train(
    config: MotionTraining, out: str | Path, device: torch.device, progress: Progress | None = None,
    *, base: Base | None = None, watch: Callable[[Run], object] | None = None,
) -> Path:  # fmt: skip
    """Train on the clips of a folder; returns the file of the weights with the lowest validation loss.

    For a Diffilm base it is a whole model, for Stable Diffusion 1.x a motion model in AnimateDiff's own layout. A
    stopped run goes on from the checkpoint in `out`. base: instead of that of the configuration. watch: called with the
    run after each step; it may raise, and what was trained is kept. Raises DiffilmError as `open_base`, `index_clips`, `Clips` and
    `Run` do, and for sizes that the base cannot encode.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    processes, device = launched(device)
    base = base or open_base(config.base, config.objective, device)
    data = config.data
    if data.width % base.multiple or data.height % base.multiple:
        raise DiffilmError(f"clips of {data.width}x{data.height}: this model needs multiples of {base.multiple}")
    files, held = split(index_clips(data.clips, out / "clips.json", progress), data.validation, data.seed)
    shape: dict[str, Any] = dict(
        frames=data.frames, size=(data.width, data.height), fps=(data.min_fps, data.max_fps), seed=data.seed
    )
    feed = Feed(Clips(files, **shape), config.train.batch, data.workers, processes)
    watched = Clips(held, **shape) if held else None
    torch.manual_seed(data.seed)
    base.unet.requires_grad_(False)
    for parameter in base.unet.temporal_parameters().values():
        parameter.requires_grad_(True)
    frozen = {name: p.detach().clone() for name, p in base.unet.named_parameters() if not is_temporal(name)}
    if config.objective.checkpointing:
        recompute(base.unet)
    network = processes.prepared(base.unet)

    def loss_of(number: int) -> Tensor:
        return _loss(base, network, data.seed, feed.first(number), *feed(number))

    def validation() -> Mapping[str, float]:
        if watched is None:
            return {}
        numbers = range(HELD_NUMBERS, HELD_NUMBERS + HELD_SAMPLES)
        with torch.no_grad():
            losses = [_loss(base, base.unet, data.seed, at, *_single(watched[at])) for at in numbers]
        return {"loss": float(torch.stack(losses).mean())}

    def keep() -> None:
        changed = [n for n, p in base.unet.named_parameters() if not is_temporal(n) and not torch.equal(p, frozen[n])]
        if changed:
            raise RuntimeError(f"stage video changed the spatial parameter {changed[0]}")
        base.save(out / RESULT, {"steps": run.step, "training": asdict(config), "clips": len(files)})

    run = ValidatedRun(
        "motion", {"unet": base.unet}, config.train, out, device,
        validation=validation, keep=keep, best="loss" if held else "", processes=processes,
    )  # fmt: skip
    run.watch = watch
    run.train(loss_of)
    return out / RESULT


def _single(sample: tuple[Tensor, float]) -> tuple[Tensor, Tensor]:
    return sample[0][None], torch.tensor([sample[1]])


def _loss(base: Base, network: nn.Module, seed: int, first: int, pixels: Tensor, fps: Tensor) -> Tensor:
    """The loss of a batch whose samples have the numbers from `first` on; a sample's noise hangs on its number alone,
    so the loss is the same however the batch is parted among processes. network: the base's UNet, to be called."""
    device, dtype = base.context.device, base.context.dtype
    drawn = []
    with torch.no_grad():
        # contiguous: torch 2.13's GroupNorm crashes on the way back where frozen norms see channels last on a CPU
        flat = rearrange(pixels.to(device), "b t h w c -> (b t) c h w").contiguous().to(dtype) / 127.5 - 1
        encode: Any = base.vae.encode
        latents = torch.cat([encode(part) for part in flat.split(16)]).to(dtype)
        latents = rearrange(latents, "(b t) c h w -> b c t h w", b=len(pixels))
        for number in range(first, first + len(pixels)):
            generator = torch.Generator().manual_seed((seed * 1_000_003 + number) % (1 << 63))
            drawn.append(base.objective.draw((1, *latents.shape[1:]), generator))
    noise, t = (torch.cat(each).to(device) for each in zip(*drawn, strict=True))
    noise = noise.to(dtype)
    context = base.context.expand(len(latents), -1, -1)
    conditions = {"fps": fps.to(device).float()} if base.knows_fps else {}
    return base.objective.loss(lambda x, t: network(x, t, context, **conditions), latents, noise, t)


def recompute(unet: UNet) -> None:
    """Gradient checkpointing (Chen et al. 2016): each block keeps its input alone and is run again on the way back."""
    for block in (*unet.input_blocks, unet.middle_block, *unet.output_blocks):
        block.forward = _checkpointed(block.forward)


def _checkpointed(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def run(*arguments: Any) -> Tensor:
        if not torch.is_grad_enabled():
            return forward(*arguments)
        made: Tensor = checkpoint(forward, *arguments, use_reentrant=False)
        return made

    return run
