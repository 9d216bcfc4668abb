"""Motion models and motion LoRAs (Guo et al. 2024), and putting them into a Stable Diffusion 1.x UNet."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import DiffilmError
from .attention import AttentionFunction, sdpa_attention
from .build import Build
from .temporal.animatediff import AnimateDiff, MotionModule
from .unet import UNet, UNetConfig, is_temporal


@dataclass(frozen=True)
class MotionConfig:
    """The shape of a motion model. The defaults are AnimateDiff v3's.

    channels and layers: those of the image UNet, from the finest level, ResBlocks a level on the way down. The
    others: see `AnimateDiff`.
    """

    channels: tuple[int, ...] = (320, 640, 1280, 1280)
    layers: int = 2
    positions: int = 32
    mid_block: bool = False
    joint_norms: bool = False
    heads: int = 8
    depth: int = 1
    attentions: int = 2

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def options(self) -> dict[str, Any]:
        """The options of the temporal dialect `animatediff`."""
        return {key: value for key, value in asdict(self).items() if key not in ("channels", "layers")}

    def places(self) -> dict[str, tuple[str, int]]:
        """diffusers' name of each motion module to the layer that it follows, and its channels.

        Every level but the deepest has spatial transformers, as in Stable Diffusion.
        """
        levels, found = len(self.channels), {}
        for level, channels in enumerate(self.channels):
            for index in range(self.layers):
                layer = f"input_blocks.{1 + level * (self.layers + 1) + index}.{int(level + 1 < levels)}"
                found[f"down_blocks.{level}.motion_modules.{index}"] = (layer, channels)
        if self.mid_block:
            found["mid_block.motion_modules.0"] = ("middle_block.1", self.channels[-1])
        for level, channels in enumerate(reversed(self.channels)):
            for index in range(self.layers + 1):
                layer = f"output_blocks.{level * (self.layers + 1) + index}.{int(level > 0)}"
                found[f"up_blocks.{level}.motion_modules.{index}"] = (layer, channels)
        return found


class MotionModel(nn.Module):
    """The motion modules of a file under the names that they have inside the UNet, and its sinusoid `positions`."""

    system = "animatediff"

    def __init__(
        self, config: MotionConfig, *, operations: Any = nn, attention: AttentionFunction = sdpa_attention,
        dtype: torch.dtype | None = None, device: torch.device | str | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.config = config
        dialect = AnimateDiff(**config.options())
        build = Build(dialect, operations, attention, {"dtype": dtype, "device": device})
        self.register_buffer("positions", torch.zeros(config.positions, config.channels[0], dtype=dtype, device=device))
        for layer, channels in config.places().values():
            _holder(self, layer).add_module("motion", MotionModule(build, channels, dialect))

    def tensors(self) -> dict[str, Tensor]:
        """What the UNet takes."""
        return {name: tensor for name, tensor in self.state_dict().items() if name != "positions"}


class _Tensors(nn.Module):
    """Tensors of these names and shapes."""

    def __init__(
        self, config: Mapping[str, tuple[int, ...]], *, dtype: Any = None, device: Any = None, **_: Any
    ) -> None:
        super().__init__()
        self.config = dict(config)
        for name, shape in self.config.items():
            holder, leaf = name.rsplit(".", 1)
            tensor = torch.zeros(shape, dtype=dtype, device=device)
            _holder(self, holder).register_parameter(leaf, nn.Parameter(tensor, requires_grad=False))


class OwnMotion(_Tensors):
    """The temporal layers of one of Diffilm's own models, under the names that they have inside its UNet."""

    system = "diffilm"


class MotionLora(_Tensors):
    """Low-rank changes of a UNet with motion modules: `{layer}.lora_down.weight` `(r, in)` and `lora_up` `(out, r)`.

    Layers have the UNet's names.
    """

    system = "animatediff"

    def layers(self) -> list[str]:
        """The layers that it changes; their tensor is `{layer}.weight`."""
        return list(dict.fromkeys(name.rsplit(".lora_", 1)[0] for name in self.config if ".lora_" in name))

    @property
    def needs_motion(self) -> bool:
        return any(".motion." in name for name in self.config)


def _holder(root: nn.Module, path: str) -> nn.Module:
    """The submodule at a dotted path, made where it is not there."""
    for part in path.split("."):
        if part not in root._modules:
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    return root


def check_fits(image: UNetConfig, motion: MotionConfig) -> None:
    """Raises DiffilmError unless the motion model was made for UNets of this shape."""
    channels = tuple(image.model_channels * mult for mult in image.channel_mult)
    depths = (*(bool(depth) for depth in image.transformer_depth[:-1]), not image.transformer_depth[-1])
    if image.temporal != "none":
        raise DiffilmError(f"this UNet is a video model already ({image.temporal}); put motion on an image model")
    if channels != motion.channels or image.num_res_blocks != motion.layers or not all(depths) or image.use_linear:
        raise DiffilmError(
            f"a motion model for UNets of {motion.channels} channels and {motion.layers} ResBlocks a level; "
            f"this one has {channels} and {image.num_res_blocks}{', of Stable Diffusion 2' * image.use_linear}: "
            "take a Stable Diffusion 1.x checkpoint"
        )


def with_motion(image: UNetConfig, motion: MotionConfig) -> UNetConfig:
    """The shape of the image UNet with the motion modules in it."""
    return replace(image, temporal="animatediff", temporal_options=motion.options())


def check_own(motion: OwnMotion, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises DiffilmError unless these are the temporal layers of the UNet with tensors of these names and shapes."""
    wanted = {name: tuple(shape) for name, shape in shapes.items() if is_temporal(name)}
    odd = [name for name in {**wanted, **motion.config} if wanted.get(name) != motion.config.get(name)]
    if odd:
        raise DiffilmError(
            f"motion of one of Diffilm's own models, which does not fit this one ({odd[0]}: got "
            f"{motion.config.get(odd[0])}, expected {wanted.get(odd[0])}): apply it to the model that it was trained on"
        )


def put_motion(
    image: UNet | Mapping[str, Tensor], motion: MotionModel, *, operations: Any = nn,
    attention: AttentionFunction = sdpa_attention,
) -> UNet:  # fmt: skip
    """The UNet of Stable Diffusion 1.x with these motion modules in it; the tensors are shared, not copied.

    image: a UNet without a temporal dialect, or its tensors in LDM or diffusers names. The motion modules are taken
    to its dtype. Raises DiffilmError where the two do not fit.
    """
    from ..checkpoints.config import unet_config  # which imports this module
    from ..checkpoints.names import unet_to_ldm

    if isinstance(image, UNet):
        tensors, config = dict(image.state_dict()), image.config
    else:
        tensors = unet_to_ldm(image)
        config = unet_config(tensors)
    check_fits(config, motion.config)
    like = tensors["input_blocks.0.0.weight"]
    tensors |= {name: tensor.to(like) for name, tensor in motion.tensors().items()}
    config = with_motion(config, motion.config)
    unet = UNet(config, operations=operations, attention=attention, dtype=like.dtype, device="meta")
    missing, unexpected = unet.load_state_dict(tensors, strict=False, assign=True)
    if missing or unexpected:
        wrong = [*(f"missing {name}" for name in missing), *(f"unexpected {name}" for name in unexpected)]
        raise DiffilmError(f"these tensors are no Stable Diffusion 1.x UNet: {', '.join(wrong[:3])}")
    return unet


@torch.no_grad()
def put_lora(unet: UNet, lora: MotionLora, strength: float = 1.0) -> UNet:
    """Change the weights of the UNet by a motion or adapter LoRA: W + strength * alpha / rank * up @ down.

    Tensors that other models share are not touched. Raises DiffilmError where the LoRA does not fit.
    """
    parameters, values = dict(unet.named_parameters()), lora.state_dict()
    check_lora(lora, {name: tuple(each.shape) for name, each in parameters.items()})
    for layer in lora.layers():
        down, up = (values[f"{layer}.lora_{side}.weight"].float() for side in ("down", "up"))
        alpha = values.get(f"{layer}.alpha")
        scale = strength * (1.0 if alpha is None else float(alpha) / down.shape[0])
        target = parameters[f"{layer}.weight"]
        change = scale * up.flatten(1) @ down.flatten(1)
        target.data = target.data + change.to(target).view_as(target)
    return unet


def check_lora(lora: MotionLora, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raises DiffilmError unless every pair of the LoRA fits a tensor of these names and shapes."""
    if lora.needs_motion and not any(".motion." in name for name in shapes):
        raise DiffilmError("a motion LoRA for a model without motion modules: apply the motion model first")
    for layer in lora.layers():
        name = f"{layer}.weight"
        if name not in shapes:
            raise DiffilmError(f"the LoRA changes {layer}, which this model does not have: it is for another model")
        down, up = (lora.config.get(f"{layer}.lora_{side}.weight", ()) for side in ("down", "up"))
        rows, columns = (*shapes[name], 0)[:2]
        if len(down) < 2 or len(up) < 2 or down[0] != up[1] or (up[0], down[1]) != (rows, columns):
            raise DiffilmError(
                f"the LoRA's {layer} has down {down} and up {up}; expected (rank, {columns}) and ({rows}, rank): "
                "it is for another model, or damaged"
            )


def motion_strengths(keys: str, frames: int, scale: float = 1.0) -> Tensor:
    """The strength of each frame `(t,)` from keys such as "0: 0, 8: 1": linear between them, times `scale`.

    Empty: `scale` everywhere. Raises DiffilmError for text that is no such list.
    """
    points: dict[int, float] = {}
    for part in filter(str.strip, keys.replace("\n", ",").split(",")):
        frame, colon, value = part.partition(":")
        try:
            if not colon or int(frame) < 0 or not math.isfinite(float(value)):
                raise ValueError
        except ValueError as error:
            raise DiffilmError(
                f"motion strengths with {part.strip()!r}; expected frame: strength, such as 0: 0, 8: 1"
            ) from error
        points[int(frame)] = float(value)
    if not points:
        return torch.full((frames,), float(scale))
    at = torch.arange(frames, dtype=torch.float64)
    where = torch.tensor(sorted(points), dtype=torch.float64)
    values = torch.tensor([points[int(frame)] for frame in where], dtype=torch.float64)
    right = torch.searchsorted(where, at).clamp(max=len(where) - 1)
    left = (right - 1).clamp(min=0)
    span = (where[right] - where[left]).clamp(min=1)
    weight = ((at - where[left]) / span).clamp(0, 1)
    return (torch.lerp(values[left], values[right], weight) * scale).float()
