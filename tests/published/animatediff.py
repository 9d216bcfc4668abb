"""Random AnimateDiff files in the names that are published: guoyww's, diffusers', and those of the LoRAs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from diffilm_core.models.motion import MotionConfig
from diffilm_core.models.temporal.animatediff import frame_positions

FULL = (320, 640, 1280, 1280)
VERSIONS = {
    "v1": MotionConfig(positions=24, joint_norms=True),
    "v2": MotionConfig(mid_block=True),
    "v3": MotionConfig(),
    "lcm": MotionConfig(positions=64, mid_block=True),
}


def module_shapes(channels: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """The tensors of one motion module in guoyww's names."""
    block = "temporal_transformer.transformer_blocks.0."
    wide, square = (channels,), (channels, channels)
    for name in ("norm", "proj_in", "proj_out"):
        yield f"temporal_transformer.{name}.weight", wide if name == "norm" else square
        yield f"temporal_transformer.{name}.bias", wide
    for index in range(2):
        for name in ("to_q", "to_k", "to_v", "to_out.0"):
            yield f"{block}attention_blocks.{index}.{name}.weight", square
        yield f"{block}attention_blocks.{index}.to_out.0.bias", wide
        yield from ((f"{block}norms.{index}.{leaf}", wide) for leaf in ("weight", "bias"))
    yield f"{block}ff.net.0.proj.weight", (channels * 8, channels)
    yield f"{block}ff.net.0.proj.bias", (channels * 8,)
    yield f"{block}ff.net.2.weight", (channels, channels * 4)
    yield from ((f"{block}{name}", wide) for name in ("ff.net.2.bias", "ff_norm.weight", "ff_norm.bias"))


def original(
    version: str, channels: tuple[int, ...] = FULL, *, layers: int = 2, scale: float = 1.0
) -> dict[str, Tensor]:
    """A motion model in guoyww's names."""
    kind = VERSIONS[version]
    places = MotionConfig(channels=channels, layers=layers, mid_block=kind.mid_block).places()
    tensors: dict[str, Tensor] = {}
    for module, (_, width) in places.items():
        for name, shape in module_shapes(width):
            fan = shape[-1] if len(shape) > 1 else 25
            tensor = torch.randn(shape) * scale / fan**0.5
            is_norm = ".norm" in name or "ff_norm" in name
            tensors[f"{module}.{name}"] = tensor + 1 if is_norm and name.endswith("weight") else tensor
        for index in range(2) if version != "lcm" else ():
            head = f"{module}.temporal_transformer.transformer_blocks.0.attention_blocks.{index}"
            tensors[f"{head}.pos_encoder.pe"] = frame_positions(kind.positions, width)[None]
    return tensors


def diffusers_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same in the names of diffusers' MotionAdapter."""
    words = {
        ".temporal_transformer": "", ".attention_blocks.0.pos_encoder": ".pos_embed", ".attention_blocks.0": ".attn1",
        ".attention_blocks.1": ".attn2", ".norms.0": ".norm1", ".norms.1": ".norm2", ".ff_norm": ".norm3",
    }  # fmt: skip
    renamed = {}
    for name, tensor in tensors.items():
        if ".1.pos_encoder" not in name:
            for old, new in words.items():
                name = name.replace(old, new)
            renamed[name] = tensor
    return renamed


def motion_lora(
    version: str = "v2", channels: tuple[int, ...] = FULL, *, layers: int = 2, rank: int = 4
) -> dict[str, Tensor]:
    """A motion LoRA in guoyww's names."""
    places = MotionConfig(channels=channels, layers=layers, mid_block=VERSIONS[version].mid_block).places()
    tensors = {}
    for module, (_, width) in places.items():
        for index in range(2):
            head = f"{module}.temporal_transformer.transformer_blocks.0.attention_blocks.{index}.processor"
            for leaf in ("to_q", "to_k", "to_v", "to_out"):
                tensors[f"{head}.{leaf}_lora.down.weight"] = torch.randn(rank, width) / width**0.5
                tensors[f"{head}.{leaf}_lora.up.weight"] = torch.randn(width, rank) * 0.2
    return tensors


def adapter_lora(channels: tuple[int, ...] = FULL, context: int = 768, *, rank: int = 4) -> dict[str, Tensor]:
    """A LoRA for the image layers, as v3's adapter has it."""
    tensors = {}
    levels = len(channels)
    places = [(f"down_blocks.{n}.attentions.{m}", channels[n]) for n in range(levels - 1) for m in range(2)]
    places += [("mid_block.attentions.0", channels[-1])]
    places += [(f"up_blocks.{n}.attentions.{m}", channels[-1 - n]) for n in range(1, levels) for m in range(3)]
    for place, width in places:
        for attention, inputs in (("attn1", width), ("attn2", context)):
            head = f"{place}.transformer_blocks.0.{attention}.processor"
            for leaf in ("to_q", "to_k", "to_v", "to_out"):
                fan = inputs if leaf in ("to_k", "to_v") else width
                tensors[f"{head}.{leaf}_lora.down.weight"] = torch.randn(rank, fan) / fan**0.5
                tensors[f"{head}.{leaf}_lora.up.weight"] = torch.randn(width, rank) * 0.2
    return tensors


def write_animatediff(folder: Path, version: str = "v3", channels: tuple[int, ...] = FULL, *, seed: int = 0) -> Path:
    """A motion model of that version as .safetensors in half precision, under the name of its published file."""
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    names = {"v1": "mm_sd_v15", "v2": "mm_sd_v15_v2", "v3": "v3_sd15_mm", "lcm": "AnimateLCM_sd15_t2v"}
    path = folder / f"{names[version]}.safetensors"
    save_file({name: each.half().contiguous() for name, each in original(version, channels).items()}, str(path))
    return path


def write_motion_lora(folder: Path, version: str = "v3", channels: tuple[int, ...] = FULL, *, seed: int = 0) -> Path:
    """A motion LoRA as .safetensors, under the name of a published file."""
    from safetensors.torch import save_file

    torch.manual_seed(seed)
    path = folder / "v2_lora_ZoomIn.safetensors"
    save_file(motion_lora(version, channels), str(path))
    return path
