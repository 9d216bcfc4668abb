"""A file, whichever network it holds, as an `Interpolator`."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...bundle import as_device
from ...checkpoints.files import file_digest
from ...checkpoints.pickles import read_pickle
from ...checkpoints.source import Checkpoint, one_line, open_source
from ...errors import DiffilmError
from .files import KEY, own_network
from .ncnn import read_ncnn
from .net import InterpolationNet
from .rife import PARTS, is_rife, is_rife31, rife
from .rife3 import Rife31, Rife35
from .rife4 import Rife4

SHIPPED = Path(__file__).resolve().parents[2] / "assets" / "diffilm" / "interpolate.safetensors"
BATCH, HALVINGS, NEAR = 2, 5, 1 / 64
Network = InterpolationNet | Rife31 | Rife35 | Rife4


class NetworkInterpolator:
    """One of the networks as the stream uses it: see frames.interpolate.Interpolator.

    A network that knows the middle alone (RIFE 3.x) is applied to its own results, halving the interval until it is
    within 1/64 of t.
    """

    def __init__(self, network: Network, name: str, fingerprint: str, device: torch.device, dtype: torch.dtype) -> None:
        self.network = network.to(device, dtype)
        self.name, self.fingerprint, self.device, self.dtype = name, f"{fingerprint}:{dtype}", device, dtype
        self.batch = getattr(network, "batch", BATCH)

    @torch.inference_mode()
    def between(self, first: Tensor, second: Tensor, t: Tensor) -> Tensor:
        """(b, 3, h, w) in [0, 1] of any size, t (b,) in (0, 1) -> (b, 3, h, w) in [0, 1], on the frames' device."""
        given = first.device
        first, second, t = (each.to(self.device, self.dtype) for each in (first, second, t))
        found = (
            self._own(first, second, t)
            if isinstance(self.network, InterpolationNet)
            else self._rife(self.network, first, second, t)
        )
        return found.float().clamp(0, 1).to(given)

    def _own(self, first: Tensor, second: Tensor, t: Tensor) -> Tensor:
        return self.network(first, second, t).frame

    def _rife(self, network: Rife31 | Rife35 | Rife4, first: Tensor, second: Tensor, t: Tensor) -> Tensor:
        height, width = first.shape[-2:]
        pad = (0, -width % network.multiple, 0, -height % network.multiple)
        first, second = (F.pad(each, pad, mode="replicate") for each in (first, second))
        if network.any_time:
            return network(first, second, t)[..., :height, :width]
        low, high, done = torch.zeros_like(t), torch.ones_like(t), torch.zeros_like(t, dtype=torch.bool)
        out = first
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            found = network(first, second, middle)
            out = torch.where(done[:, None, None, None], out, found)
            done = done | ((middle - t).abs() <= NEAR)
            if bool(done.all()):
                break
            later = t > middle
            low, high = torch.where(later, middle, low), torch.where(later, high, middle)
            first = torch.where(later[:, None, None, None], found, first)
            second = torch.where(later[:, None, None, None], second, found)
        return out[..., :height, :width]


@one_line()
def load_interpolator(
    source: str | Path | None = None,
    *,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
) -> NetworkInterpolator:
    """The network of a file: Diffilm's own (None: the one that ships), or RIFE 3.1, 3.5, 3.8, 4.0 to 4.26.

    source: .safetensors, .pkl, .pth; for RIFE 3.1 the folder of its three .pkl, or its flownet.pkl beside the others;
    for ncnn's RIFE 4.6 the .param or .bin. dtype: float32 by default, as the networks warp by pixels. Raises
    DiffilmError for a file that is missing, damaged, or of another network.
    """
    path = SHIPPED if source is None else Path(source)
    if source is None and not path.is_file():
        raise DiffilmError(f"the interpolation network that ships is missing ({path}): install Diffilm again")
    files, checkpoint = _read(path)
    digests = [file_digest(file) for file in files]
    fingerprint = digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    if KEY in checkpoint.metadata:
        network: Network = own_network(checkpoint)
        name = "diffilm"
    elif is_rife(checkpoint):
        network = rife(checkpoint, checkpoint.label)
        name = f"RIFE ({files[0].stem if files[0].stem != 'flownet' else files[0].parent.name})"
    else:
        raise DiffilmError(
            f"{path} holds no interpolation network that is known ({len(checkpoint)} tensors, first: "
            f"{min(checkpoint)}): give Diffilm's own, or RIFE 3.1, 3.5, 3.8 or 4.0 to 4.26"
        )
    return NetworkInterpolator(network, name, fingerprint, as_device(device), dtype or torch.float32)


def _read(path: Path) -> tuple[list[Path], Checkpoint]:
    """The files of a source and their tensors."""
    if path.is_dir() and (path / PARTS["flownet"]).is_file():
        path = path / PARTS["flownet"]
    if path.is_dir() and (path / "flownet.param").is_file():
        path = path / "flownet.param"
    if path.suffix in (".param", ".bin") and path.with_suffix(".param").is_file():
        return [path.with_suffix(".param"), path.with_suffix(".bin")], Checkpoint(read_ncnn(path), str(path))
    if path.suffix != ".pkl":
        return [path], open_source(path)
    tensors = _pickled(path)
    if not is_rife31(tensors):
        return [path], Checkpoint(tensors, str(path))
    files = [path, *(path.with_name(name) for part, name in PARTS.items() if part != "flownet")]
    if lost := [file.name for file in files if not file.is_file()]:
        raise DiffilmError(f"{path} is RIFE 3.1, which needs {' and '.join(lost)} in the same folder: put it there")
    for part, file in zip(PARTS, files, strict=True):
        if part != "flownet":
            tensors |= {f"{part}.{name.removeprefix('module.')}": t for name, t in _pickled(file).items()}
    return files, Checkpoint(tensors, str(path))


def _pickled(path: Path) -> dict[str, Tensor]:
    try:
        return read_pickle(path)
    except OSError as error:
        raise DiffilmError(f"{path} cannot be read ({error.strerror or error}): give a file that can be") from error


def parameters(network: nn.Module) -> int:
    return sum(each.numel() for each in network.parameters())
