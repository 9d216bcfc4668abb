"""Fully sharded data parallel (Zhao et al. 2023): each process keeps a slice of every parameter, of its gradient, its
moments and its average, and gathers a block's weights while that block runs. torch's own engine, on any device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


def shard(module: nn.Module, device: torch.device, count: int) -> nn.Module:
    """Slices the module's parameters among `count` processes, in place. It must be called as `module(...)` from then
    on, by all processes at once."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (count,))
    for unit in units(module):
        fully_shard(unit, mesh=mesh)
    fully_shard(module, mesh=mesh)
    return module


def units(module: nn.Module, listed: bool = False) -> Iterator[nn.Module]:
    """What is gathered at a time: the blocks that the outermost lists hold, and lists that are blocks themselves. The
    rest is the module's own unit."""
    for child in module.children():
        runs, several = type(child).forward is not nn.Module.forward, isinstance(child, nn.ModuleList)
        if not (runs and (listed or several)):
            yield from units(child, listed or several)
        elif any(True for _ in child.parameters()):
            yield child


def sliced(tensor: Tensor) -> bool:
    from torch.distributed.tensor import DTensor

    return isinstance(tensor, DTensor)


def own(tensors: Sequence[Tensor]) -> list[Tensor]:
    """This process's slices, in place; what is not sliced as it is."""
    return [each.to_local() if sliced(each) else each for each in tensors]  # type: ignore[attr-defined]


def slice_as(value: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, which every process has, sliced as `like` is."""
    from torch.distributed.tensor import distribute_tensor

    if not sliced(like) or value.shape != like.shape:
        return value
    mesh, placements = like.device_mesh, like.placements  # type: ignore[attr-defined]
    return distribute_tensor(value, mesh, placements, src_data_rank=None)


def whole(values: Any, keep: bool) -> Any:
    """Nested dicts and lists with every sliced tensor put together, in CPU memory, for the processes that `keep` it.

    Every process must come here: each gives its slices.
    """
    if isinstance(values, dict):
        return {key: whole(value, keep) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        return type(values)(whole(value, keep) for value in values)
    if isinstance(values, Tensor) and sliced(values):
        full = values.detach().full_tensor()  # type: ignore[attr-defined]
        return full.cpu() if keep else None
    return values


def released(modules: Iterable[nn.Module]) -> None:
    """Lets go of gathered weights, so that the next call gathers the slices as they then are."""
    from torch.distributed.fsdp import FSDPModule

    for module in modules:
        for part in module.modules():
            if isinstance(part, FSDPModule):
                part.reshard()


@contextmanager
def gathered(modules: Sequence[nn.Module], keep: bool) -> Iterator[None]:
    """Inside, modules hold whole parameters where `keep`, to be read and not run. Every process must come here."""
    released(modules)
    slices: list[tuple[nn.Module, str, nn.Parameter]] = []
    try:
        for module in modules:
            for part in module.modules():
                for name, parameter in part._parameters.items():
                    if parameter is not None and sliced(parameter):
                        full = parameter.detach().full_tensor()  # type: ignore[attr-defined]
                        slices.append((part, name, parameter))
                        if keep:
                            part._parameters[name] = nn.Parameter(full, requires_grad=parameter.requires_grad)
        yield
    finally:
        for part, name, parameter in slices:
            part._parameters[name] = parameter
