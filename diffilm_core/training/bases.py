"""Opening what a stage trains: Diffilm's own models, Stable Diffusion 1.x, ModelScope and Zeroscope, Stable Video
Diffusion.

    base = open_base(BaseConfig("v1-5-pruned.safetensors"), ObjectiveConfig(), torch.device("cuda"), "video")
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from ..bundle import TOKENIZER, VideoModel, load_model, save_model
from ..checkpoints import inspect, load_image_encoder, load_motion, load_text_encoder, load_unet, load_vae
from ..checkpoints.animatediff import original_names, save_motion
from ..checkpoints.layout import SYSTEMS
from ..checkpoints.source import open_source
from ..checkpoints.whole import as_modelscope, besides_unet, save_whole
from ..errors import DiffilmError
from ..models import AutoencoderKL, UNet, UNetConfig, is_temporal
from ..models.motion import MotionConfig, MotionModel, put_motion
from ..models.temporal.animatediff import frame_positions
from ..pipeline import is_pipeline, load_pipeline
from ..sampling.edm import EDMSchedule
from ..sampling.over_time import OverTime
from ..sampling.schedules import NoiseSchedule
from ..text.clip import TextEncoder
from .base import About, Base, BaseConfig, ObjectiveConfig
from .config import read_shape
from .contrast import text_fields, text_model
from .objective import Objective
from .pictured import FirstFrame


def open_base(config: BaseConfig, objective: ObjectiveConfig, device: torch.device, stage: str = "video") -> Base:
    """What the stage `video`, `image`, `finetune` or `text` trains, all of it frozen.

    Raises DiffilmError where a file is missing or damaged, or is no model that this stage trains.
    """
    return OPEN[system_of(config.model)](config, objective, device, stage)


def system_of(model: str) -> str:
    """Whose model a base is, a key of OPEN. Raises DiffilmError where it is none that is trained here."""
    path = Path(model)
    if not model or path.suffix == ".toml":
        return "diffilm"
    if path.is_dir() and not (path / "unet").is_dir():
        return "modelscope" if is_pipeline(path) else "diffilm"
    system = "diffilm" if "diffilm" in open_source(model, meta=True).metadata else inspect(model).system
    if system not in OPEN:
        other = "; stage vdm trains a network of its own" if system == "vdm" else ""
        raise DiffilmError(
            f"base {model} is of {SYSTEMS[system]}, which is not trained here: expected a model of "
            f"{', '.join(SYSTEMS[each] for each in OPEN)}; give one{other}"
        )
    return system


def open_own(config: BaseConfig, objective: ObjectiveConfig, device: torch.device, stage: str) -> Base:
    if config.motion or config.vae or config.text:
        raise DiffilmError("a Diffilm model has its own motion, autoencoder and text encoder: leave them out of [base]")
    model = own_model(config.model, device)
    if isinstance(model.unet.over_time, OverTime):  # layers over time are trained, and shown, at every noise level
        model.unet.over_time = model.unet.over_time.everywhere()
    return Base(
        unet=model.unet,
        vae=model.vae,
        context=model.text.encode([""]).to(device),
        objective=Objective(model.schedule, model.prediction, **objective.options()),
        multiple=model.size_multiple,
        knows_fps=model.unet.config.temporal == "pseudo3d",
        save=lambda path, about: save_own(model, path, about),
        text=model.text,
    )


def own_model(model: str, device: torch.device) -> VideoModel:
    """One of Diffilm's models in float32; of the shape in a .toml a new one, its random weights the same each time."""
    if Path(model).suffix != ".toml":
        return load_model(model or None, device=device, dtype=torch.float32)
    shape = read_shape(model)
    config = replace(shape, text=text_fields(shape.text))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet, vae, text = UNet(config.unet), AutoencoderKL(config.vae), text_model(config.text)
    encoder = TextEncoder.from_parts(text.state_dict(), config.text, TOKENIZER, split="tokens")
    return VideoModel(
        unet=unet.eval().requires_grad_(False).to(device),
        vae=vae.eval().requires_grad_(False).to(device),
        text=encoder.to(device),
        schedule=NoiseSchedule.create(**config.schedule),
        prediction=config.prediction,
        fingerprint="",
        path=Path(model),
        config=config,
    )


def save_own(model: VideoModel, path: Path, about: Mapping[str, Any]) -> Path:
    """A Diffilm model as it is now, in float16; what it says of itself is joined by `about`, under its stage. After a
    stage that trained layers over time the motion prior is left out, so that their own movement is seen."""
    mover = model.unet.over_time.mover if isinstance(model.unet.over_time, OverTime) else None
    prior = None if mover is None or about.get("stage") != "image" else mover.prior
    said = {**(model.config.about or {}), str(about.get("stage", "video")): dict(about)}
    config = replace(model.config, vae=model.vae.config, about=said, motion=None if prior is None else prior.config)
    unet, vae, text = (module.state_dict() for module in (model.unet, model.vae, model.text.model))
    return save_model(path, config, unet, vae, text, None if prior is None else prior.state_dict())


def open_sd1(config: BaseConfig, objective: ObjectiveConfig, device: torch.device, stage: str) -> Base:
    """Motion modules are put in where motion is trained; the result is those alone (`video`), or a whole checkpoint,
    which holds them too (`finetune`)."""
    image: Any = load_unet(config.model, systems=("sd1",), dtype=torch.float32, device=device)
    vae: Any = load_vae(config.vae or config.model, dtype=torch.float32, device=device)
    text = load_text_encoder(config.text or config.model, dtype=torch.float32, device=device)
    multiple = vae.downscale * 2 ** (len(image.config.channel_mult) - 1)
    unet, shape = image, None
    if stage in ("video", "finetune"):
        motion = motion_for(image.config, config.motion).to(device)
        unet, shape = put_motion(image, motion).to(device), motion.config
        if not config.motion:
            unet.reset_temporal()
    elif config.motion:
        raise DiffilmError(f"motion {config.motion}: stage {stage} trains the image model alone; leave base.motion out")

    def save(path: Path, about: About) -> Path:
        tensors = unet.state_dict()
        if stage == "video" and shape is not None:
            return save_motion(path, shape, unet.temporal_parameters(), about)
        parts = {"unet": {name: t for name, t in tensors.items() if not is_temporal(name)}}
        parts |= {"vae": vae.state_dict(), "text": text.model.state_dict()}
        if shape is not None:
            parts["motion"] = original_names(shape, tensors)
        return save_whole(path, parts, about)

    moving = NoiseSchedule.create("linear")  # AnimateDiff's, which users of motion modules expect
    return Base(
        unet=unet,
        vae=vae.requires_grad_(False),
        context=text.encode([""]).to(device),
        objective=Objective(moving if shape else NoiseSchedule.create(), "eps", **objective.options()),
        multiple=multiple,
        knows_fps=False,
        save=save,
        text=text,
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


def open_modelscope(config: BaseConfig, objective: ObjectiveConfig, device: torch.device, stage: str) -> Base:
    """The result is the UNet in the original file's names and shapes, to lie beside the base's other files."""
    if not Path(config.model).is_dir():
        raise DiffilmError(f"base {config.model}: expected the folder with ModelScope's UNet, text encoder and VAE")
    if stage == "text":
        raise DiffilmError("stage text trains no text encoder of ModelScope: take a Diffilm or Stable Diffusion model")
    _no_extras(config, "ModelScope")
    model = load_pipeline(Path(config.model), device=device, dtype=torch.float32)
    return Base(
        unet=model.unet,
        vae=model.vae.requires_grad_(False),
        context=model.text.encode([""]).to(device),
        objective=Objective(model.schedule, model.prediction, **objective.options()),
        multiple=model.size_multiple,
        knows_fps=False,
        save=lambda path, about: save_whole(path, {"unet": as_modelscope(model.unet.state_dict())}, about),
        text=model.text,
    )


def open_svd(config: BaseConfig, objective: ObjectiveConfig, device: torch.device, stage: str) -> Base:
    """The result is the checkpoint with another UNet."""
    if stage not in ("video", "finetune"):
        raise DiffilmError(f"base {config.model} makes clips of a picture, without text: stage {stage} cannot train it")
    _no_extras(config, "Stable Video Diffusion")
    unet: Any = load_unet(config.model, systems=("svd",), dtype=torch.float32, device=device)
    vae: Any = load_vae(config.model, systems=("svd",), dtype=torch.float32, device=device)
    encoder = load_image_encoder(config.model, dtype=torch.float32, device=device)

    def save(path: Path, about: About) -> Path:
        rest = besides_unet(open_source(config.model))
        return save_whole(path, {"unet": unet.state_dict()}, about, rest)

    return Base(
        unet=unet,
        vae=vae.requires_grad_(False),
        context=torch.zeros(1, 1, unet.config.context_dim, device=device),
        objective=Objective(EDMSchedule.between(), "edm", **objective.options()),
        multiple=vae.downscale * 2 ** (len(unet.config.channel_mult) - 1),
        knows_fps=False,
        save=save,
        pictured=FirstFrame(vae, encoder),
    )


def _no_extras(config: BaseConfig, system: str) -> None:
    if extra := config.motion or config.vae or config.text:
        raise DiffilmError(f"base {config.model} is of {system}, which has all its parts: leave {extra} out of [base]")


OPEN = {"diffilm": open_own, "sd1": open_sd1, "modelscope": open_modelscope, "svd": open_svd}
"""The systems that are trained here."""
