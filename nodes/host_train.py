"""Motion trained for a host MODEL: its weights as the core's UNet, its VAE and CLIP as what training asks of them.
Touches ComfyUI's internals."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import comfy.model_management as mm
import torch
from einops import rearrange
from torch import Tensor

from ..diffilm_core.checkpoints.animatediff import save_motion
from ..diffilm_core.checkpoints.config import unet_config
from ..diffilm_core.checkpoints.own_motion import save_own_motion
from ..diffilm_core.errors import DiffilmError
from ..diffilm_core.models import UNet, UNetConfig
from ..diffilm_core.models.motion import MotionConfig, check_fits, put_motion
from ..diffilm_core.sampling import NoiseSchedule, OverTime, sample_clip
from ..diffilm_core.training.base import Base
from ..diffilm_core.training.bases import motion_for
from ..diffilm_core.training.objective import Objective
from . import host
from .host_motion import image_weights

OWN, MODULES = "pseudo3d", "animatediff"
"""Temporal dialects that are trained here; any other image model gets AnimateDiff's modules."""
STRIP = 4  # frames of a preview
PREVIEW_STEPS = 8


@dataclass(frozen=True)
class Wires:
    """What is connected. `fits` says what is wrong with it before anything slow."""

    model: Any
    clip: Any
    vae: Any

    @property
    def config(self) -> UNetConfig:
        """The core's shape of the MODEL's network. Raises DiffilmError where motion cannot be put into it."""
        network = self.model.model.diffusion_model
        if isinstance(network, UNet):
            if network.config.temporal not in (OWN, MODULES):
                raise DiffilmError(
                    f"a video model of another system ({network.config.temporal}): connect an image model of Stable "
                    "Diffusion 1.x, or one of Diffilm's own"
                )
            return network.config
        try:
            config = unet_config(network.state_dict())
            check_fits(config, motion_for(config).config)
        except DiffilmError as error:
            raise DiffilmError(
                f"a {type(self.model.model).__name__} model: motion is trained for Stable Diffusion 1.x models, and "
                f"Diffilm's own ({error})"
            ) from error
        return config

    @property
    def multiple(self) -> int:
        """Of pixels a side."""
        return int(self.vae.spacial_compression_decode()) * 2 ** (len(self.config.channel_mult) - 1)

    def context(self, prompt: str = "") -> Tensor:
        """`(1, l, d)` of a prompt."""
        if self.clip is None:
            raise DiffilmError("no text encoder: the model file has none; connect a CLIP that belongs to the model")
        with torch.inference_mode():
            found = self.clip.encode_from_tokens(self.clip.tokenize(prompt))
        return found.clone()

    def fits(self, width: int, height: int) -> None:
        """Raises DiffilmError where text encoder, autoencoder or sizes do not belong to the model."""
        config, each = self.config, self.multiple
        if width % each or height % each:
            raise DiffilmError(f"clips of {width}x{height}: this model needs multiples of {each}; change the size")
        if int(self.vae.latent_channels) != config.in_channels:
            raise DiffilmError(
                f"a VAE of {self.vae.latent_channels} channels, this model's latents have {config.in_channels}: "
                "connect the VAE that belongs to the model"
            )
        if (wide := self.context().shape[-1]) != config.context_dim:
            raise DiffilmError(
                f"a CLIP of width {wide}, this model reads {config.context_dim}: connect the CLIP that belongs to it"
            )


class Encoder:
    """A host VAE as the core's encoder: pixels `(n, 3, h, w)` in [-1, 1] to what the network sees.

    The host's layers look for Cancel, in the middle of a step, of which nothing could be kept: it waits for the end.
    """

    def __init__(self, vae: Any, latent_format: Any) -> None:
        self.vae, self.latent_format = vae, latent_format

    def encode(self, pixels: Tensor) -> Tensor:
        try:
            return self._encode(pixels)
        except mm.InterruptProcessingException:  # which took the wish back
            made = self._encode(pixels)
            mm.interrupt_current_processing()
            return made

    def _encode(self, pixels: Tensor) -> Tensor:
        with torch.inference_mode(), torch.autocast(pixels.device.type, enabled=False):
            z = self.vae.encode(rearrange(pixels.float(), "n c h w -> n h w c") / 2 + 0.5)
            z = self.latent_format.process_in(z)
        return z.clone().to(pixels.device)


@contextmanager
def training() -> Iterator[None]:
    """Gradients are on inside, which the host turns off for its nodes; other models make room, and ours does after."""
    mm.unload_all_models()
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        gc.collect()
        mm.soft_empty_cache()


@torch.no_grad()
def _weights(model: Any, device: torch.device) -> dict[str, Tensor]:
    """The MODEL's tensors, its LoRAs worked in, as float32 copies on the device."""
    found = {}
    for name, tensor in image_weights(model).items():
        key = f"diffusion_model.{name}"
        value = tensor.to(device, torch.float32, copy=True)
        if key in model.patches:
            import comfy.lora

            value = comfy.lora.calculate_weight(model.patches[key], value, key)
        found[name] = value
    return found


def open_base(wires: Wires, device: torch.device) -> Base:
    """What is trained, made of what is connected: temporal layers to go on from where it has some, else AnimateDiff's
    modules, as the identity. Raises DiffilmError as `Wires` does."""
    model, config = wires.model.model, wires.config
    target = {"EPS": "eps", "V_PREDICTION": "v"}.get(model.model_type.name)
    if target is None:
        raise DiffilmError(
            f"a model of type {model.model_type.name}: expected one that predicts noise or v; take another"
        )
    weights = _weights(wires.model, device)
    if config.temporal == "none":
        motion = motion_for(config).to(device)
        unet, shape = put_motion(weights, motion).to(device), motion.config
        unet.reset_temporal()
    else:
        unet = UNet(config, device="meta")
        unet.load_state_dict(weights, assign=True)
        if isinstance(over_time := getattr(model.diffusion_model, "over_time", None), OverTime):
            unet.over_time = over_time.everywhere()
        shape = _shape(config)
    del weights
    own = config.temporal == OWN
    if own:
        sigmas = wires.model.get_model_object("model_sampling").sigmas.clone().cpu().double()
        schedule = NoiseSchedule(1 / (sigmas.square() + 1))
    else:
        schedule = NoiseSchedule.create("linear")  # as Apply Motion sets it

    def save(path: Path, about: dict[str, Any]) -> Path:
        tensors = unet.temporal_parameters()
        return save_own_motion(path, tensors, about) if own else save_motion(path, shape, tensors, about)

    encoder: Any = Encoder(wires.vae, model.latent_format)
    return Base(
        unet=unet,
        vae=encoder,
        context=wires.context().to(device, torch.float32),
        objective=Objective(schedule, target),
        multiple=wires.multiple,
        knows_fps=own,
        save=save,
    )


def _shape(config: UNetConfig) -> MotionConfig:
    """The shape of the motion modules in a UNet that has some; its defaults for one that has Diffilm's own layers."""
    channels = tuple(config.model_channels * mult for mult in config.channel_mult)
    options = config.temporal_options if config.temporal == MODULES else {}
    return replace(MotionConfig(**options), channels=channels, layers=config.num_res_blocks)


def previewer(wires: Wires, base: Base, prompt: str, size: tuple[int, int, int], fps: float) -> Callable[[], Any]:
    """Makes a picture: some frames, side by side, of a clip of `size` (frames, height, width) as the network is now."""
    frames, height, width = size
    decoder = host.HostDecoder(wires.vae)
    shape = (base.unet.config.in_channels, frames, height // decoder.downscale, width // decoder.downscale)
    words = {"context": wires.context(prompt).to(base.context)}
    more = {"fps": torch.tensor([fps], device=base.context.device)} if base.knows_fps else {}

    @torch.no_grad()
    def make() -> Any:
        from PIL import Image

        base.unet.eval()
        latents = sample_clip(
            base.unet, base.objective.schedule, base.objective.prediction, {**words, **more},
            {"context": base.context, **more} if prompt else None, shape=shape, seed=0, steps=PREVIEW_STEPS,
            cfg=4.0 if prompt else 1.0, sampler="euler", callback=lambda *_: host.check_cancel(),
        )  # fmt: skip
        some = latents[:, :: max(1, frames // STRIP)][:, :STRIP]
        with torch.inference_mode():
            pixels = decoder.decode(wires.model.model.latent_format.process_out(some.movedim(1, 0)))
        strip = rearrange(pixels.clamp(-1, 1) / 2 + 0.5, "t c h w -> h (t w) c")
        return "JPEG", Image.fromarray((strip * 255).round().to(torch.uint8).numpy()), STRIP * max(width, height)

    return make
