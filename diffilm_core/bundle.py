"""A model file: UNet, autoencoder, text encoder and how to sample with them, in one safetensors file.

Its tensors carry Stable Diffusion's prefixes; its metadata has one entry, `diffilm`: a JSON object with the
configuration of each part, the noise schedule, the defaults, the data that it was trained on and the licence. A model
may also be a folder of such files, each with some of the tensors, as the one that ships is.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .checkpoints.files import file_digest, read_tensors, write_tensors
from .errors import DiffilmError
from .models import AutoencoderConfig, AutoencoderKL, UNet, UNetConfig, is_temporal
from .models.motion_prior import MotionPrior, MotionPriorConfig
from .sampling.mover import Mover
from .sampling.over_time import OverTime
from .sampling.schedules import NoiseSchedule
from .text.clip import TextEncoder

ASSETS = Path(__file__).parent / "assets"
SHIPPED = ASSETS / "diffilm"
FINISHING = ("interpolate.safetensors", "upscale.safetensors")
"""Networks that finish a film; they may lie beside a model and are no part of it."""
TOKENIZER = ASSETS / "tokenizer"
PREFIXES = {
    "unet": "model.diffusion_model.", "vae": "first_stage_model.", "text": "cond_stage_model.transformer.",
    "motion": "motion_prior.",
}  # fmt: skip


@dataclass(frozen=True)
class Defaults:
    """The settings that a model was trained for, used where a user names none. `over_time`: the noise
    level below which layers over time work, a clip being its picture above it (`sampling.OverTime`); None: at every
    one, without a picture. `cfg_over_time`: the guidance of the frames around the picture; None: the picture's.
    `moved`: the level below which they work on a clip that a motion prior has moved; None: `over_time`."""

    width: int = 128
    height: int = 128
    frames: int = 16
    fps: float = 8.0
    steps: int = 20
    cfg: float = 4.0
    sampler: str = "dpmpp_2m"
    spacing: str = "sgm_uniform"
    negative: str = ""
    over_time: float | None = None
    cfg_over_time: float | None = None
    moved: float | None = None

    def __post_init__(self) -> None:
        level = self.over_time
        if level is not None and not (isinstance(level, (int, float)) and level > 0):
            raise DiffilmError(f"over_time = {level!r}: expected a noise level above 0, as 3.0; or leave it out")
        moved = self.moved
        if moved is not None and (level is None or not (isinstance(moved, (int, float)) and moved > 0)):
            raise DiffilmError(f"moved = {moved!r}: expected a noise level above 0, beside over_time; or leave it out")
        cfg = self.cfg_over_time
        if cfg is not None and (level is None or not isinstance(cfg, (int, float))):
            raise DiffilmError(f"cfg_over_time = {cfg!r}: expected a number, as 1.0, beside over_time; or leave it out")


@dataclass(frozen=True)
class ModelConfig:
    """All that a model file says about itself. `schedule` are the arguments of `NoiseSchedule.create`; `motion`: the
    shape of its motion prior, where it has one."""

    unet: UNetConfig
    vae: AutoencoderConfig
    text: dict[str, Any]
    schedule: dict[str, Any]
    prediction: str
    defaults: Defaults
    tokenizer: str = ""
    about: dict[str, Any] | None = None
    motion: MotionPriorConfig | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelConfig:
        values = json.loads(text)
        motion = values.pop("motion", None)
        return cls(
            motion=None if motion is None else MotionPriorConfig.from_dict(motion),
            unet=UNetConfig.from_dict(values.pop("unet")),
            vae=AutoencoderConfig.from_dict(values.pop("vae")),
            defaults=Defaults(**values.pop("defaults")),
            **values,
        )


@dataclass(frozen=True)
class VideoModel:
    """A loaded model. `size_multiple`: what width and height must divide by; `window`: the frames it was trained on."""

    unet: UNet
    vae: AutoencoderKL
    text: TextEncoder
    schedule: NoiseSchedule
    prediction: str
    fingerprint: str
    path: Path
    config: ModelConfig

    @property
    def defaults(self) -> Defaults:
        return self.config.defaults

    @property
    def size_multiple(self) -> int:
        return self.vae.downscale * 2 ** (len(self.unet.config.channel_mult) - 1)

    @property
    def window(self) -> int:
        return self.defaults.frames

    @property
    def device(self) -> torch.device:
        return next(self.unet.parameters()).device


def part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of `unet`, `vae`, `text` or `motion`, without their prefix."""
    prefix = PREFIXES[name]
    return {key[len(prefix) :]: tensor for key, tensor in tensors.items() if key.startswith(prefix)}


def read_model(path: str | Path | None = None) -> tuple[dict[str, Tensor], ModelConfig, Path]:
    """Tensors and configuration of a Diffilm model, a file or a folder (None: the one that ships), no network built.

    Raises DiffilmError where a file is missing, truncated, no safetensors or no Diffilm model, or a folder holds
    several.
    """
    path = SHIPPED if path is None else Path(path)
    tensors: dict[str, Tensor] = {}
    metadata: dict[str, str] = {}
    for file in model_files(path):
        more, words = read_tensors(file)
        if twice := sorted(tensors.keys() & more.keys()):
            raise DiffilmError(
                f"{path} holds more than one model ({twice[0]} is in {file.name} and in another file): give one of "
                "its files, or a folder with one model"
            )
        tensors.update(more)
        metadata.update(words)
    if "diffilm" not in metadata:
        raise DiffilmError(f"{path} is no Diffilm model: no 'diffilm' metadata; give one that Diffilm made")
    try:
        config = ModelConfig.from_json(metadata["diffilm"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DiffilmError(f"{path}: its configuration cannot be read ({error}); get the file again") from error
    if config.tokenizer and config.tokenizer != tokenizer_digest():
        raise DiffilmError(f"{path} was trained with another tokenizer than the one in {TOKENIZER}: update Diffilm")
    return tensors, config, path


def model_files(path: Path) -> list[Path]:
    """The safetensors files of a model: those of a folder by name but FINISHING, or the file itself."""
    if not os.path.isdir(path):
        return [path]
    return sorted(file for file in path.glob("*.safetensors") if file.name not in FINISHING) or [path]


def fingerprint(path: Path) -> str:
    """SHA-256 over a model's files, as hex: the file's own, or that of the digests of a folder's files."""
    digests = [file_digest(file) for file in model_files(path)]
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def tokenizer_digest() -> str:
    """Tells one tokenizer from another: the digest of its vocabulary and merges."""
    return file_digest(TOKENIZER / "vocab.json")[:16] + file_digest(TOKENIZER / "merges.txt")[:16]


def default_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps") if torch.backends.mps.is_available() else torch.device("cpu")


def as_device(device: torch.device | str | None) -> torch.device:
    """A usable device. Raises DiffilmError for a name that torch does not know or a device that is not there."""
    if device is None:
        return default_device()
    try:
        found = torch.device(device)
        torch.zeros(1, device=found).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise DiffilmError(f"device {str(device)!r} cannot be used here: try cpu, cuda or mps") from error
    return found


def usual_dtype(device: torch.device) -> torch.dtype:
    """What networks are loaded in where nothing else is said: float32 on a CPU, float16 elsewhere."""
    return torch.float32 if device.type == "cpu" else torch.float16


def _fill(module: nn.Module, tensors: dict[str, Tensor], what: str, path: Path) -> None:
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        detail = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise DiffilmError(f"{path}: its {what} does not fit its configuration ({detail[:200]})") from error


def load_model(
    path: str | Path | None = None,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> VideoModel:
    """Load a model, ready to sample.

    path: a Diffilm model, a file or a folder, or the folder of a published one (`pipeline.load_pipeline`); None for the
    model that ships. device: the GPU where there is one, else the CPU. dtype: of the UNet and the autoencoder; float32
    on a CPU, float16 elsewhere. Long prompts are cut where ComfyUI's CLIP Text Encode cuts them, so that both give the
    same conditioning. Raises DiffilmError as `read_model` and `as_device` do.
    """
    from .pipeline import is_pipeline, load_pipeline

    if path is not None and is_pipeline(Path(path)):
        device = as_device(device)
        return load_pipeline(Path(path), device=device, dtype=dtype or usual_dtype(device))
    tensors, config, path = read_model(path)
    device = as_device(device)
    dtype = dtype or usual_dtype(device)
    unet, vae = UNet(config.unet), AutoencoderKL(config.vae)
    _fill(unet, part(tensors, "unet"), "UNet", path)
    _fill(vae, part(tensors, "vae"), "autoencoder", path)
    text = TextEncoder.from_parts(part(tensors, "text"), config.text, TOKENIZER, split="tokens")
    schedule, d = NoiseSchedule.create(**config.schedule), config.defaults
    vae = vae.eval().requires_grad_(False).to(device, dtype)
    if d.over_time is not None:
        mover = None
        if config.motion is not None:
            prior = MotionPrior(config.motion)
            _fill(prior, part(tensors, "motion"), "motion prior", path)
            mover = Mover(prior.eval().requires_grad_(False).to(device), vae, schedule, d.moved or d.over_time)
        unet.over_time = OverTime(schedule, config.prediction, d.over_time, d.cfg_over_time, mover)
    return VideoModel(
        unet=unet.eval().requires_grad_(False).to(device, dtype),
        vae=vae,
        text=text.to(device),
        schedule=schedule,
        prediction=config.prediction,
        fingerprint=fingerprint(path),
        path=path,
        config=config,
    )


def save_model(
    path: str | Path,
    config: ModelConfig,
    unet: Mapping[str, Tensor],
    vae: Mapping[str, Tensor],
    text: Mapping[str, Tensor],
    motion: Mapping[str, Tensor] | None = None,
    *,
    dtype: torch.dtype = torch.float16,
) -> Path:
    """Write a model from the state dicts of its parts (text in transformers' names).

    path: a name ending in .safetensors, or a folder, where the image UNet (image.safetensors), the motion prior, if
    there is one (motion.safetensors), and the rest with the configuration (video.safetensors) become a file each. The
    same tensors make the same bytes.
    """
    path = Path(path)
    tensors = {
        PREFIXES[name] + key: tensor.detach().to("cpu", dtype if tensor.is_floating_point() else tensor.dtype)
        for name, state in (("unet", unet), ("vae", vae), ("text", _with_text_prefix(text)), ("motion", motion or {}))
        for key, tensor in state.items()
    }
    metadata = {"diffilm": config.to_json()}  # one entry: safetensors writes several in any order
    if path.suffix == ".safetensors":
        return write_tensors(path, tensors, metadata)
    path.mkdir(parents=True, exist_ok=True)
    prefix = PREFIXES["unet"]
    image = {key: t for key, t in tensors.items() if key.startswith(prefix) and not is_temporal(key[len(prefix) :])}
    write_tensors(path / "image.safetensors", image, {"part": "image UNet of a Diffilm model"})
    moves = {key: tensor for key, tensor in tensors.items() if key.startswith(PREFIXES["motion"])}
    if moves:
        write_tensors(path / "motion.safetensors", moves, {"part": "motion prior of a Diffilm model"})
    rest = {key: tensor for key, tensor in tensors.items() if key not in image and key not in moves}
    write_tensors(path / "video.safetensors", rest, metadata)
    return path


def _with_text_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    inner = {key.removeprefix("text_model."): tensor for key, tensor in state.items()}
    return {f"text_model.{key}": tensor for key, tensor in inner.items() if not key.endswith("position_ids")}
