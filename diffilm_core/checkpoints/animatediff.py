"""AnimateDiff's files: motion models and LoRAs in the names of guoyww, of diffusers and of PEFT."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import DiffilmError
from ..models.motion import MotionConfig, MotionLora, MotionModel
from ..models.temporal.animatediff import frame_positions
from .files import write_tensors
from .layout import Layout
from .names import diffusers_unet_name
from .own_motion import ABOUT

UNCOUNTED = 64  # frames of a file without positions: AnimateLCM's
V1_POSITIONS = 24
POSITION_ERROR = 1e-2  # of a sinusoid kept in bfloat16

WANTED = "which Diffilm does not run: take one for Stable Diffusion 1.x, such as v3_sd15_mm"

_MODULE = re.compile(r"(?:.*?\.)?((?:down_blocks\.\d+|up_blocks\.\d+|mid_block)\.motion_modules\.\d+)\.(.+)")
_POSITIONS = re.compile(r"transformer_blocks\.\d+\.(?:attention_blocks\.\d+\.pos_encoder|pos_embed)\.pe")
_DIFFUSERS = (  # diffusers' words for guoyww's
    (re.compile(r"\.norm([12])\."), lambda m: f".norms.{int(m[1]) - 1}."),
    (re.compile(r"\.norm3\."), lambda m: ".ff_norm."),
    (re.compile(r"\.attn([12])\."), lambda m: f".attention_blocks.{int(m[1]) - 1}."),
)
_PROCESSOR = re.compile(r"(.+?)(?:\.processor)?\.(to_q|to_k|to_v|to_out)_lora\.(down|up)\.weight")
_ADAPTER = re.compile(r"(.+)\.(?:lora\.(down|up)|lora_(down|up|A|B)(?:\.default)?)\.weight")
_SIDES = {"A": "down", "B": "up"}
_IMAGE_LAYERS, _IMAGE_ATTENTION = 2, frozenset({1, 2, 3})  # of Stable Diffusion 1.x


def _inner(name: str) -> str:
    """A name inside a motion module in guoyww's words, without `temporal_transformer`."""
    name = name.removeprefix("temporal_transformer.")
    for pattern, word in _DIFFUSERS:
        name = pattern.sub(word, name)
    return name


def _modules(tensors: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """The tensors of each motion module."""
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if match := _MODULE.fullmatch(name):
            found.setdefault(match[1], {})[_inner(match[2])] = tensor
    return found


def _check_positions(pe: Tensor) -> None:
    frames, channels = pe.shape[-2:] if pe.ndim == 3 and pe.shape[0] == 1 else (0, 1)
    expected = frame_positions(frames, channels - channels % 2)
    if not frames or expected.shape != pe.shape[1:]:
        raise DiffilmError(f"positions of shape {tuple(pe.shape)} in the motion model; expected (1, frames, channels)")
    if not pe.is_meta and not float((pe.cpu().float() - expected).abs().max()) < POSITION_ERROR:
        raise DiffilmError("positions in the motion model that are not AnimateDiff's sinusoids; get it again")


def _find(tensors: Mapping[str, Tensor], original: bool) -> dict[str, Tensor] | None:
    if any(".temporal_attentions." in name for name in tensors):
        raise DiffilmError(f"a motion model of Hotshot-XL, {WANTED}")
    if original != any(".temporal_transformer." in name for name in tensors) or any("lora" in name for name in tensors):
        return None
    modules = _modules(tensors)
    levels = {int(name.split(".")[1]) for name in modules if name.startswith("down_blocks.")}
    layers = sum(name.startswith("down_blocks.0.") for name in modules)
    if not modules:
        return None
    if levels == {0, 1, 2}:
        raise DiffilmError(f"a motion model for SDXL (3 levels of layers), {WANTED}")
    places = MotionConfig(channels=(0,) * len(levels), layers=layers, mid_block=True).places()
    found: dict[str, Tensor] = {}
    for module, inner in modules.items():
        if module not in places:
            raise DiffilmError(f"a motion model with {module}, {WANTED}")
        for name in [name for name in inner if _POSITIONS.fullmatch(name)]:
            pe = inner.pop(name)
            _check_positions(pe)
            if module == "down_blocks.0.motion_modules.0":
                found["positions"] = pe[0]
        found |= {f"{places[module][0]}.motion.{name}": tensor for name, tensor in inner.items()}
    if "positions" not in found:
        width = found.get("input_blocks.1.1.motion.norm.weight", torch.zeros(2)).shape[0]
        found["positions"] = frame_positions(UNCOUNTED, width)
    return found


def find_original(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """A motion model in guoyww's names (v1, v2, v3, AnimateLCM, Lightning)."""
    return _find(tensors, True)


def find_diffusers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """A motion model in the names of diffusers' MotionAdapter."""
    return _find(tensors, False)


def motion_config(tensors: Mapping[str, Tensor]) -> MotionConfig:
    """The shape of the motion model with these native tensors. Raises DiffilmError where they are none."""
    down = {
        int(name.split(".")[1]): tensor.shape[0]
        for name, tensor in tensors.items()
        if name.startswith("input_blocks.") and name.endswith(".motion.norm.weight")
    }
    layers = next((count for count in range(1, len(down) + 1) if 1 + count not in down), 0)
    if not layers or "positions" not in tensors:
        raise DiffilmError(f"motion modules at {len(down)} layers on the way down, expected 8: get it again")
    head = "input_blocks.1.1.motion.transformer_blocks."
    parts = [name.removeprefix(head).split(".") for name in tensors if name.startswith(head)]
    positions, mid_block = tensors["positions"].shape[0], any(name.startswith("middle_block.") for name in tensors)
    return MotionConfig(
        channels=tuple(down[index] for index in sorted(down)[::layers]),
        layers=layers,
        positions=positions,
        mid_block=mid_block,
        joint_norms=positions == V1_POSITIONS and not mid_block,
        depth=len({part[0] for part in parts}),
        attentions=len({part[2] for part in parts if part[1] == "attention_blocks"}),
    )


def _lora_layer(name: str) -> str:
    """The UNet's name of a layer that a LoRA changes."""
    if match := _MODULE.fullmatch(name):
        places = MotionConfig(mid_block=True).places()
        layer = places[match[1]][0] if match[1] in places else match[1]
        return f"{layer}.motion.{_inner(match[2] + '.').removesuffix('.')}"
    return diffusers_unet_name(name + ".weight", _IMAGE_LAYERS, _IMAGE_ATTENTION).removesuffix(".weight")


def find_lora(tensors: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """A motion LoRA, or a LoRA for the image layers (v3's adapter) in diffusers' names."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        name = re.sub(r"^(?:module\.|unet\.)+", "", name)
        if match := _PROCESSOR.fullmatch(name):
            layer, side = f"{match[1]}.{match[2]}", match[3]
        elif match := _ADAPTER.fullmatch(name):
            layer, side = match[1], match[2] or match[3]
        elif name.endswith(".alpha"):
            layer, side = name.removesuffix(".alpha"), "alpha"
        else:
            continue
        if not layer.startswith(("down_blocks.", "up_blocks.", "mid_block.")):
            continue
        layer = _lora_layer(layer + ".0" if layer.endswith(".to_out") else layer)
        side = _SIDES.get(side, side)
        found[f"{layer}.alpha" if side == "alpha" else f"{layer}.lora_{side}.weight"] = tensor
    return found if any(".lora_" in name for name in found) else None


def lora_config(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """The LoRA's tensors and their shapes."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def save_motion(
    path: Path, config: MotionConfig, tensors: Mapping[str, Tensor], about: Mapping[str, Any] | None = None
) -> Path:
    """Write motion modules, in the names that they have in the UNet, as `original_names`.

    about: what the file says of itself, under the metadata key ABOUT.
    """
    return write_tensors(path, original_names(config, tensors), {ABOUT: json.dumps(about or {}, sort_keys=True)})


def original_names(config: MotionConfig, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Motion modules, in the names that they have in the UNet, in guoyww's names and float16; positions added."""
    found: dict[str, Tensor] = {}
    for module, (layer, channels) in config.places().items():
        head = f"{layer}.motion."
        for name in (name for name in tensors if name.startswith(head)):
            inner = f"{module}.temporal_transformer.{name.removeprefix(head)}"
            found[inner] = tensors[name].detach().cpu().half().contiguous()
        for depth in range(config.depth):
            for index in range(config.attentions):
                block = f"{module}.temporal_transformer.transformer_blocks.{depth}.attention_blocks.{index}"
                found[f"{block}.pos_encoder.pe"] = frame_positions(config.positions, channels)[None]
    return found


LAYOUTS = [
    Layout("original", "animatediff", "motion", find_original, motion_config, MotionModel),
    Layout("diffusers", "animatediff", "motion", find_diffusers, motion_config, MotionModel),
    Layout("lora", "animatediff", "lora", find_lora, lora_config, MotionLora),
]
