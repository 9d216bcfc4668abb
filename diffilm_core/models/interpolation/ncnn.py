"""RIFE 4.6 as ncnn keeps it (flownet.param beside flownet.bin), renamed to its authors' names.

An ncnn file lists layers in the order they run and their weights one after another without names: a 4-byte flag
(float32, or float16 by its magic number) and the weights of each convolution, then its bias in float32. The scale of a
skip (`beta`) is folded into its convolution. Source: the ncnn project's description of its model files.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...errors import DiffilmError

HALF = 0x01306B47
BLOCKS, CONVOLUTIONS = 4, 10


def read_ncnn(path: Path) -> dict[str, Tensor]:
    """Tensors by RIFE's names of `flownet.bin` or `flownet.param`. Raises DiffilmError for any other network."""
    param, data = path.with_suffix(".param"), path.with_suffix(".bin")
    try:
        lines = param.read_text("ascii").splitlines()[2:]
        raw = data.read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise DiffilmError(f"{path}: expected {param.name} and {data.name} of ncnn side by side ({error})") from error
    layers = [line.split() for line in lines if line.startswith(("Convolution ", "Deconvolution "))]
    if len(layers) != BLOCKS * (CONVOLUTIONS + 1):
        raise DiffilmError(
            f"{param} has {len(layers)} convolutions, expected the {BLOCKS * (CONVOLUTIONS + 1)} of RIFE 4.6: convert "
            "other versions from their .pkl, which loads as it is"
        )
    out: dict[str, Tensor] = {}
    at = 0
    for index, words in enumerate(layers):
        at = _layer(out, raw, at, index, words, data)
    if at != len(raw):
        raise DiffilmError(f"{data} has {len(raw)} bytes, its .param speaks of {at}: get both again")
    return out


def _layer(out: dict[str, Tensor], raw: bytes, at: int, index: int, words: list[str], data: Path) -> int:
    settings = dict(word.split("=") for word in words[4:] if "=" in word)
    try:
        width, count = int(settings["0"]), int(settings["6"])
        flag = int.from_bytes(raw[at : at + 4], "little")
        half = flag == HALF
        if flag not in (0, HALF):
            raise ValueError(f"weights of kind {flag:#x}")
        size = count * (2 if half else 4)
        weight = np.frombuffer(raw, "<f2" if half else "<f4", count, at + 4).astype(np.float32)
        at += 4 + (size + 3) // 4 * 4
        bias = np.frombuffer(raw, "<f4", width, at).copy()
        block, layer = divmod(index, CONVOLUTIONS + 1)
        kernel = int(settings["1"])
        shaped = torch.from_numpy(weight).view(width, -1, kernel, kernel)
    except (KeyError, ValueError, RuntimeError) as error:
        raise DiffilmError(f"{data} is cut short or damaged at layer {words[1]} ({error}): get it again") from error
    if words[0] == "Deconvolution":
        name, shaped = f"block{block}.lastconv.0", shaped.transpose(0, 1).contiguous()
    elif layer < 2:
        name = f"block{block}.conv0.{layer}.0"
    else:
        name = f"block{block}.convblock.{layer - 2}.conv"
        out[f"block{block}.convblock.{layer - 2}.beta"] = torch.ones(1, width, 1, 1)
    out[f"{name}.weight"], out[f"{name}.bias"] = shaped, torch.from_numpy(bias)
    return at + 4 * width
