"""What is in this file? Read from names and shapes alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import DiffilmError
from .layout import ROLES, SYSTEMS, Layout
from .layouts import LAYOUTS
from .source import Checkpoint, Source, one_line, open_source

# what a layout's code meets when the names and shapes that it is given are no model's
MALFORMED = (KeyError, IndexError, ValueError, TypeError, AttributeError, RuntimeError, ZeroDivisionError,
             StopIteration, OverflowError, AssertionError)  # fmt: skip
MAIN = ("unet", "motion", "lora", "vae", "text", "image_encoder")
SHARED = ("vae", "text")  # parts that several systems have: a UNet beside them says whose they are


@dataclass(frozen=True)
class Part:
    """A network in a source: what it does, whose it is, how it is named; its size and how it is stored."""

    role: str
    system: str
    layout: str
    parameters: int
    dtype: str


@dataclass(frozen=True)
class CheckpointInfo:
    """What a source holds. system: of its main part. config: by role. missing, unexpected: tensors by name, with the
    shapes where those alone are wrong."""

    system: str
    parts: list[Part]
    config: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def matches(checkpoint: Checkpoint, roles: Collection[str]) -> tuple[list[tuple[Layout, dict[str, Tensor]]], str]:
    """The layout and the native tensors of each of these roles, and why one that is known does not run."""
    found: list[tuple[Layout, dict[str, Tensor]]] = []
    reason = ""
    for layout in LAYOUTS:
        if layout.role not in roles or any(layout.role == other.role for other, _ in found):
            continue
        try:
            tensors = layout.find(checkpoint)
        except DiffilmError as error:
            reason = reason or str(error)
        except MALFORMED as error:
            reason = reason or f"like {layout.named}, but malformed ({type(error).__name__}: {error})"
        else:
            if tensors:
                found.append((layout, tensors))
    return found, reason


def configured(layout: Layout, tensors: Mapping[str, Tensor], label: str) -> Any:
    """The shape of the network with these tensors. Raises DiffilmError where they do not add up to one."""
    try:
        return layout.config(tensors)
    except DiffilmError as error:
        raise DiffilmError(f"{label}: {error}") from error
    except MALFORMED as error:
        raise DiffilmError(f"{label}: like {layout.named}, but its shapes make none ({error}): get it again") from error


def built(layout: Layout, config: Any, label: str, **options: Any) -> nn.Module:
    """The network on the meta device; its buffers that no file holds have their values."""
    try:
        return layout.build(config, device="meta", **options)
    except DiffilmError as error:
        raise DiffilmError(f"{label}: {error}") from error
    except MALFORMED as error:
        raise DiffilmError(f"{label}: like {layout.named}, but its shapes make none ({error}): get it again") from error


def differences(module: nn.Module, tensors: Mapping[str, Tensor]) -> tuple[list[str], list[str]]:
    """Tensors that the network lacks, and those that it has no place for or of another shape."""
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    missing = [name for name in wanted if name not in tensors]
    unexpected = [
        name if name not in wanted else f"{name} {tuple(tensor.shape)}, expected {wanted[name]}"
        for name, tensor in tensors.items()
        if wanted.get(name) != tuple(tensor.shape)
    ]
    return missing, unexpected


def main_dtype(tensors: Mapping[str, Tensor]) -> torch.dtype:
    """How most of the numbers are stored."""
    count: Counter[torch.dtype] = Counter()
    for tensor in tensors.values():
        if tensor.is_floating_point():
            count[tensor.dtype] += tensor.numel()
    return count.most_common(1)[0][0] if count else torch.float32


@one_line()
def inspect(source: Source) -> CheckpointInfo:
    """What a source holds, without reading a weight. Raises DiffilmError where it is not readable or not known."""
    checkpoint = open_source(source, meta=True)
    if "diffilm" in checkpoint.metadata:
        from .own import inspect_own

        return inspect_own(checkpoint)
    found, reason = matches(checkpoint, MAIN)
    if not found:
        raise unknown(checkpoint, reason)
    found.sort(key=lambda each: MAIN.index(each[0].role))
    system = found[0][0].system
    parts, config = [], {}
    missing: list[str] = []
    unexpected: list[str] = []
    for layout, tensors in found:
        config[layout.role] = configured(layout, tensors, checkpoint.label)
        lost, odd = differences(built(layout, config[layout.role], checkpoint.label), tensors)
        missing += lost
        unexpected += odd
        shared = layout.role in SHARED and found[0][0].role == "unet"
        parts.append(part_of(layout.role, system if shared else layout.system, layout.name, tensors))
    return CheckpointInfo(system, parts, {role: plain(each) for role, each in config.items()}, missing, unexpected)


def part_of(role: str, system: str, layout: str, tensors: Mapping[str, Tensor]) -> Part:
    numbers = sum(tensor.numel() for tensor in tensors.values())
    return Part(role, system, layout, numbers, str(main_dtype(tensors)).removeprefix("torch."))


def plain(config: Any) -> Any:
    """A configuration as a dict."""
    if is_dataclass(config) and not isinstance(config, type):
        return asdict(config)
    return config.to_diff_dict() if hasattr(config, "to_diff_dict") else config


def described(checkpoint: Checkpoint) -> str:
    """What a checkpoint holds, in words."""
    found, reason = matches(checkpoint, MAIN)
    if reason and not found:
        return reason
    if not found:
        return f"{len(checkpoint)} tensors of no known model ({', '.join(list(checkpoint)[:3])} ...)"
    return " and ".join(layout.named for layout, _ in found)


def unknown(checkpoint: Checkpoint, reason: str) -> DiffilmError:
    if reason:
        return DiffilmError(f"{checkpoint.label}: {reason}")
    return DiffilmError(
        f"{checkpoint.label} holds {described(checkpoint)}: expected the {' or '.join(ROLES.values())} of "
        f"{', '.join(SYSTEMS.values())}"
    )
