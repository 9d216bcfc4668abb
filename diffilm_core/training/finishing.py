"""Training of the interpolation network: its data, its losses, its stage."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..checkpoints.source import open_source
from ..models.interpolation.files import own_network, save_interpolation
from ..models.interpolation.net import Between, InterpolationConfig, InterpolationNet, pulled_images
from .clips import LENGTH, SIDE, read_part
from .config import StageConfig
from .loop import ValidatedRun
from .room import check_room

PARTS = {"film": 0.85, "emoji": 0.15}
MOST_PAN = 40
INTERPOLATION = "interpolate.safetensors"
"""What the trained network is called."""


def charbonnier(a: Tensor, b: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Smooth L1, in float32: mean of sqrt(d^2 + epsilon^2) (Charbonnier et al. 1994)."""
    return ((a.float() - b) ** 2 + epsilon**2).sqrt().mean()


def laplacian(a: Tensor, b: Tensor, levels: int = 4) -> Tensor:
    """Sum over octaves of the L1 difference of band-passed pictures, coarse ones weighted by their step (Bojanowski et
    al. 2018); each octave is the picture less its 2 x 2 mean."""
    difference, total = a - b, a.new_zeros(())
    for level in range(levels):
        smaller = F.avg_pool2d(difference, 2)
        band = difference - F.interpolate(smaller, scale_factor=2, mode="bilinear", align_corners=False)
        total = total + 2**level * band.abs().mean()
        difference = smaller
    return total + 2**levels * difference.abs().mean() / 2


def psnr(a: Tensor, b: Tensor) -> Tensor:
    """(b,) dB of pictures (b, 3, h, w) in [0, 1]."""
    return -10 * torch.log10(((a - b) ** 2).mean((1, 2, 3)).clamp(min=1e-10))


@dataclass(frozen=True)
class Crops:
    """`share` of the steps sees `batch` crops of `side` pixels."""

    side: int
    batch: int
    share: float


@dataclass(frozen=True)
class InterpolateConfig:
    """The interpolation stage. `stage.batch` is unused: `crops` say what a step sees."""

    network: InterpolationConfig = field(default_factory=InterpolationConfig)
    stage: StageConfig = field(
        default_factory=lambda: StageConfig(steps=20_000, batch=8, lr=6e-4, warmup=100, ema=0.997, weight_decay=1e-4)
    )
    crops: tuple[Crops, ...] = (Crops(128, 8, 0.75), Crops(192, 4, 0.25))


class Triplets:
    """Draws (first, second, between, t) from a clip store; the draw depends on nothing but the step."""

    def __init__(self, store: Path, crops: Sequence[Crops]) -> None:
        self.crops = crops
        self.parts: dict[str, tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.float64]]] = {}
        for part in PARTS:
            if part != "film" and not (store / f"{part}.npy").is_file():
                continue
            rows, pixels = read_part(store, part)
            if part == "film":
                self.held = np.flatnonzero(rows["validation"]), pixels
            free = np.flatnonzero(~rows["validation"])
            weight = np.sqrt(rows["motion"][free].clip(1, 40).astype(np.float64))
            self.parts[part] = pixels, free, weight / weight.sum()

    def draw(self, step: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Pictures float (b, 3, side, side) in [0, 1], channels last, and t (b,)."""
        rng = np.random.default_rng([7, step])
        crops = self.crops[rng.choice(len(self.crops), p=[each.share for each in self.crops])]
        samples = [self._sample(rng, crops.side) for _ in range(crops.batch)]
        t = torch.tensor([each[1] for each in samples])
        return *_pictures(np.stack([each[0] for each in samples], 1)), t

    def _sample(self, rng: np.random.Generator, side: int) -> tuple[NDArray[np.uint8], float]:
        names = list(self.parts)
        share = np.array([PARTS[name] for name in names])
        pixels, free, weight = self.parts[names[rng.choice(len(names), p=share / share.sum())]]
        clip = pixels[rng.choice(free, p=weight)]
        if rng.random() < 0.6:
            gap = int(rng.choice([1, 2, 3], p=[0.3, 0.4, 0.3]))
            first = int(rng.integers(0, LENGTH - 2 * gap))
            frames = [first, first + gap, first + 2 * gap]
        else:
            frames = sorted(rng.choice(LENGTH, 3, replace=False).tolist())
        pans = [_pan(rng, SIDE - side, frames) for _ in "yx"]
        cut = np.stack([clip[f, y : y + side, x : x + side] for f, y, x in zip(frames, *pans, strict=True)])
        if rng.random() < 0.5:
            cut, frames = cut[::-1], [-f for f in frames[::-1]]
        for axis in (1, 2):
            cut = np.flip(cut, axis) if rng.random() < 0.5 else cut
        cut = cut.transpose(0, 2, 1, 3) if rng.random() < 0.5 else cut
        cut = cut[..., rng.permutation(3)] if rng.random() < 0.3 else cut
        return cut, (frames[1] - frames[0]) / (frames[2] - frames[0])

    def validation(self, count: int = 48, side: int = 256) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Middle frames of validation shots, two apart, in fours."""
        rows, pixels = self.held
        chosen = rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)]
        for part in np.array_split(chosen, math.ceil(len(chosen) / 4)):
            clips = np.stack([pixels[i][[2, 3, 4], :side, :side] for i in part], 1)
            yield *_pictures(clips), torch.full((len(part),), 0.5)


def _pan(rng: np.random.Generator, room: int, frames: Sequence[int]) -> list[int]:
    """Where to cut each frame along one axis: half of the time a steady pan of whole pixels, which every frame between
    shows exactly, up to 40 pixels in all."""
    first, last = frames[0], frames[-1]
    most = min(MOST_PAN, room) // (last - first)
    speed = int(rng.integers(-most, most + 1)) if rng.random() < 0.5 else 0
    way = speed * (last - first)
    start = int(rng.integers(max(0, -way), room + 1 - max(0, way)))
    return [start + speed * (f - first) for f in frames]


def _pictures(frames: NDArray[np.uint8]) -> tuple[Tensor, Tensor, Tensor]:
    """uint8 (3, b, h, w, 3), in the order of time -> first, second, between."""
    first, between, second = (torch.from_numpy(np.ascontiguousarray(frames)).float() / 255).permute(0, 1, 4, 2, 3)
    return first, second, between


def interpolation_loss(found: Between, first: Tensor, second: Tensor, between: Tensor, t: Tensor) -> Tensor:
    """Charbonnier and Laplacian loss of the frame, with the merged frame and every level's motion also supervised."""
    loss = charbonnier(found.frame, between) + 0.3 * laplacian(found.frame, between)
    loss = loss + 0.5 * charbonnier(found.merged, between)
    when = t[:, None, None, None]
    for flow in found.levels:
        small = F.avg_pool2d(between, between.shape[-1] // flow.shape[-1])
        loss = loss + 0.4 * charbonnier(pulled_images(first, second, flow, when), small)
    return loss


def train_interpolation(
    store: Path,
    out: Path,
    config: InterpolateConfig,
    device: torch.device,
    start: Path | None = None,
    about: Mapping[str, Any] | None = None,
) -> InterpolationNet:
    """Train on the clips in `store`, from the weights of the file `start` where one is given; the checkpoint and the
    averaged weights so far go to `out`. about: what the file says of itself beside."""
    torch.manual_seed(0)
    net = own_network(open_source(start)).requires_grad_() if start else InterpolationNet(config.network)
    net = net.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    check_room(out, {"net": net}, config.stage)
    data = Triplets(store, config.crops)

    def loss_of(step: int) -> Tensor:
        first, second, between, t = (each.to(device) for each in data.draw(step))
        return interpolation_loss(net(first, second, t), first, second, between, t)

    def validation() -> Mapping[str, float]:
        ours, blend = [], []
        with torch.inference_mode():
            for first, second, between, t in data.validation():
                first, second, between, t = (each.to(device) for each in (first, second, between, t))
                frame = net(first, second, t).frame.clamp(0, 1).float()
                ours.append(psnr(frame, between))
                blend.append(psnr((first + second) / 2, between))
        mean, base = (float(torch.cat(each).mean()) for each in (ours, blend))
        return {"psnr": mean, "blend": base, "gain": mean - base}

    def samples() -> Tensor:
        """(4, 4, 3, h, w): the frame before, the one that was made, the true one, the frame after."""
        with torch.inference_mode():
            first, second, between, t = (each.to(device) for each in next(data.validation(4)))
            rows = torch.stack([first, net(first, second, t).frame.float(), between, second], 1)
        return (rows * 255).clamp(0, 255).round().to(torch.uint8)

    def keep() -> None:
        save_interpolation(net, out / INTERPOLATION, {"stage": asdict(config.stage), **(about or {})})

    run = ValidatedRun(
        "interpolate", {"net": net}, config.stage, out, device, validation=validation, keep=keep, samples=samples
    )
    run.train(loss_of)
    return net.eval()
