"""Motion modules and their LoRAs on a host MODEL of Stable Diffusion 1.x. Touches ComfyUI's internals."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import comfy.model_management as mm
import folder_paths
import torch
from torch import Tensor

from ..diffilm_core.checkpoints.config import unet_config
from ..diffilm_core.errors import DiffilmError
from ..diffilm_core.models import UNet
from ..diffilm_core.models.motion import (
    MotionLora,
    MotionModel,
    OwnMotion,
    check_fits,
    check_lora,
    check_own,
    motion_strengths,
    with_motion,
)
from ..diffilm_core.sampling import OverTime
from . import host
from .host_models import CONDITION, HostUNet, model_classes

MOTION_FOLDERS = ("animatediff_models",)
LORA_FOLDERS = ("animatediff_motion_lora", "loras")
SUFFIXES = {".safetensors", ".ckpt", ".pth", ".bin"}
SCALE = CONDITION + "motion_scale"
SCHEDULES = ("as trained", "of the image model")
# what a MODEL carries beside its network; object patches but for the sampling, which the motion model decides
CARRIED = (
    "patches", "patches_uuid", "object_patches", "model_options", "callbacks", "wrappers", "attachments", "injections",
    "additional_models", "hook_patches", "forced_hooks", "hook_mode", "weight_wrapper_patches", "force_cast_weights",
)  # fmt: skip


class HostMotionUNet(HostUNet):
    """The core's UNet with motion modules, whose strength is one a frame."""

    def conditions(self, kwargs: dict[str, Any], frames: int) -> dict[str, Any]:
        kwargs = dict(kwargs)
        scale = kwargs.pop(SCALE, None)
        found = super().conditions(kwargs, frames)
        if scale is not None:
            found["motion_scale"] = scale.reshape(-1, frames)
            found["enable_time"] = bool((scale != 0).any())
        return found


@lru_cache(maxsize=1)
def _model_class() -> Any:
    import comfy.conds

    class MotionHostModel(model_classes().Model):
        def extra_conds(self, **kwargs: Any) -> dict:
            out = super().extra_conds(**kwargs)
            strengths = motion_strengths(self.motion_keys, kwargs["noise"].shape[0], self.motion_scale)
            if bool((strengths != 1).any()):
                out[SCALE] = comfy.conds.CONDRegular(strengths)
            return out

    return MotionHostModel


def register_folders() -> None:
    """The folders of AnimateDiff's files under models/, which extra_model_paths.yaml may name too."""
    for name in (*MOTION_FOLDERS, LORA_FOLDERS[0]):
        folder_paths.add_model_folder_path(name, os.path.join(folder_paths.models_dir, name))
        paths, extensions = folder_paths.folder_names_and_paths[name]
        folder_paths.folder_names_and_paths[name] = (paths, set(extensions) | SUFFIXES)


def image_weights(model: Any) -> dict[str, Tensor]:
    """The MODEL's own tensors, without its patches, where it keeps them when it is not in use."""
    others = [each for each in mm.current_loaded_models if each.model is None or not model.is_clone(each.model)]
    if len(others) < len(mm.current_loaded_models):
        mm.free_memory(1e30, model.load_device, others)
    return dict(model.model.diffusion_model.state_dict())


def apply_motion(
    model: Any, motion: MotionModel, *, scale: float = 1.0, strengths: str = "", schedule: str = SCHEDULES[0]
) -> Any:
    """A MODEL of Stable Diffusion 1.x with these motion modules, as a new MODEL.

    It has the image model's weights (shared, not copied), its patches (LoRAs) and options. scale and strengths: see
    `motion_strengths`. schedule: a name of SCHEDULES. Raises DiffilmError for a MODEL of another kind.
    """
    motion_strengths(strengths, 1, scale)
    base = model.model
    if isinstance(base.diffusion_model, HostMotionUNet):
        raise DiffilmError("this model has motion already: connect the image model")
    try:
        image = unet_config(base.diffusion_model.state_dict())
    except DiffilmError as error:
        raise DiffilmError(
            f"a {type(base).__name__} model: motion modules go on Stable Diffusion 1.x models ({error})"
        ) from error
    check_fits(image, motion.config)
    weights = image_weights(model)
    dtype = base.manual_cast_dtype or base.get_dtype()
    weights |= {name: tensor.to(model.offload_device, dtype) for name, tensor in motion.tensors().items()}
    config = object.__new__(type(base.model_config))  # not copy.copy: it answers None to every name that it lacks
    config.__dict__.update(base.model_config.__dict__)
    config.unet_config = {**config.unet_config, "core": with_motion(image, motion.config), "conditions": {}}
    if schedule == SCHEDULES[0]:
        config.sampling_settings = {**config.sampling_settings, "beta_schedule": "sqrt_linear"}
    made = _model_class()(config, base.model_type, device=torch.device("meta"), unet_model=HostMotionUNet)
    made.device = model.offload_device
    made.motion_scale, made.motion_keys = float(scale), strengths
    missing, unexpected = made.diffusion_model.load_state_dict(weights, strict=False, assign=True)
    if missing or unexpected:
        raise DiffilmError(f"this model's weights are not Stable Diffusion 1.x's: {[*missing, *unexpected][:3]}")
    made.diffusion_model.requires_grad_(False)
    parts = host.weights_key(made.diffusion_model), made.motion_scale, strengths, schedule
    made.diffilm_fingerprint = host.digest("motion", *parts)
    return _patcher(model, made)


def apply_own(model: Any, motion: OwnMotion) -> Any:
    """One of Diffilm's own MODELs with these temporal layers in the place of its own, as patches of the host, and
    without its motion prior, so that the movement is theirs.

    Raises DiffilmError for a MODEL of another kind.
    """
    network = model.model.diffusion_model
    if not isinstance(network, UNet):
        raise DiffilmError(
            f"motion of one of Diffilm's own models on a {type(model.model).__name__} model: connect the one that it "
            "was trained on, from Load Diffilm Model"
        )
    check_own(motion, {name: tuple(value.shape) for name, value in network.state_dict().items()})
    patched = model.clone()
    patched.add_patches({f"diffusion_model.{name}": ("set", (value,)) for name, value in motion.state_dict().items()})
    if isinstance(network.over_time, OverTime):
        patched.add_object_patch("diffusion_model.over_time", network.over_time.unmoved())
    return patched


def _patcher(model: Any, made: Any) -> Any:
    """A ModelPatcher of the new network with all that the old one carries."""
    patcher = type(model)(made, load_device=model.load_device, offload_device=model.offload_device)
    twin = model.clone()
    for name in CARRIED:
        if hasattr(twin, name):
            setattr(patcher, name, getattr(twin, name))
    patcher.object_patches.pop("model_sampling", None)
    return patcher


def add_lora(model: Any, lora: MotionLora, strength: float) -> Any:
    """A MODEL with a motion LoRA, or an adapter for the image layers, beside its other patches.

    Raises DiffilmError where the LoRA is not for this model.
    """
    import comfy.lora

    shapes = {name: tuple(value.shape) for name, value in model.model.diffusion_model.state_dict().items()}
    check_lora(lora, shapes)
    values = dict(lora.state_dict())
    names = {layer: f"diffusion_model.{layer}.weight" for layer in lora.layers()}
    for layer in names:
        if f"{layer}.alpha" not in values:
            values[f"{layer}.alpha"] = torch.tensor(float(values[f"{layer}.lora_down.weight"].shape[0]))
    patched = model.clone()
    done = patched.add_patches(comfy.lora.load_lora(values, names), strength)
    if len(done) != len(names):
        raise DiffilmError(f"the host took {len(done)} of the LoRA's {len(names)} layers: it is for another model")
    return patched
