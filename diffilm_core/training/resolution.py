"""Training of the two super-resolution layers together: clean and damaged pairs to a loss, and their validation."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from ..checkpoints.source import open_source
from ..models.upscaling.net import Doubler, DoublerConfig, twice
from ..models.upscaling.own import own_layers, save_layers
from .autoencoder import lpips_loss
from .clips import LENGTH, read_part
from .config import StageConfig
from .degrade import Clip, read_pairs, write_pairs
from .finishing import PARTS, charbonnier
from .loop import ValidatedRun, fast_in_bf16
from .room import check_room

log = logging.getLogger(__name__)
EVERY = {("clean", 4): 1, ("damaged", 4): 2, ("clean", 2): 2, ("damaged", 2): 8}
"""Which clips have a small twin of this kind and scale: every so many."""
SHARE = {"clean": 0.6, "damaged": 0.4}
UPSCALING = "upscale.safetensors"
"""What both layers are called, in one file."""

Perceptual = Callable[[Tensor, Tensor], Tensor]
"""Two batches `(b, 3, h, w)` in [0, 1] to a scalar distance, LPIPS for one."""


@dataclass(frozen=True)
class PairSource:
    """In memory: `strengths` (n,), `small` windows (n, t, s, s, 3), `large` (n, 256, 256, 3), their middle frames."""

    scale: int
    strengths: NDArray[np.float32]
    small: Clip
    large: Clip


def open_pairs(
    store: Path, pairs: Path, part: str, kind: str, scale: int, every: int, radius: int, *, validation: bool = False
) -> PairSource:
    """Pairs written by `write_pairs(..., every=every)`, only those kept for validation, or only the others."""
    rows, large = read_part(store, part)
    strengths, small = read_pairs(pairs, part, kind, scale)
    middle = LENGTH // 2
    kept = np.flatnonzero(rows["validation"][::every][: len(small)] == validation)
    window = np.stack([small[row, middle - radius : middle + radius + 1] for row in kept])
    return PairSource(scale, strengths[kept], window, np.stack([large[row * every, middle] for row in kept]))


class ResolutionTask:
    """`loss(step)` draws a batch of its own. `first` sees 2 * radius + 1 frames; `second` what `first` made.

    A share of `native` of the steps trains `first` alone on films halved once. Clean pictures are judged by
    Charbonnier alone; damaged ones also by `perceptual` where there is one, every `pause` steps.
    """

    def __init__(
        self,
        first: Doubler,
        second: Doubler,
        quarter: Sequence[tuple[PairSource, float]],
        half: Sequence[tuple[PairSource, float]],
        *,
        batch: int = 16,
        side: int = 128,
        native: float = 0.3,
        perceptual: Perceptual | None = None,
        pause: int = 3,
        weight: float = 0.1,
        seed: int = 0,
    ) -> None:
        self.first, self.second = first, second
        self.quarter, self.half = quarter, half
        self.batch, self.side, self.native = batch, side, native
        self.perceptual, self.pause, self.weight, self.seed = perceptual, pause, weight, seed

    def loss(self, step: int) -> Tensor:
        rng = np.random.default_rng([self.seed, step])
        if self.half and rng.random() < self.native:
            window, truth, strength = self._drawn(self.half, self.batch // 2, rng)
            made = self.first(window, strength)
            return charbonnier(made, truth) + self.seen(made, truth, strength, step)
        window, truth, strength = self._drawn(self.quarter, self.batch, rng)
        middle = self.first(window, strength)
        made = self.second(middle[:, None], strength)
        size = (truth.shape[-2] // 2, truth.shape[-1] // 2)
        half = F.interpolate(truth, size, mode="bicubic", antialias=True, align_corners=False)
        return charbonnier(made, truth) + 0.5 * charbonnier(middle, half) + self.seen(made, truth, strength, step)

    def _drawn(
        self, sources: Sequence[tuple[PairSource, float]], count: int, rng: np.random.Generator
    ) -> tuple[Tensor, ...]:
        return tuple(each.to(_device(self.first)) for each in draw_batch(sources, count, self.side, rng))

    def seen(self, made: Tensor, truth: Tensor, strength: Tensor, step: int) -> Tensor:
        """The perceptual term of up to 4 of the damaged ones, over a quarter of their pixels."""
        marred = torch.nonzero(strength > 0)[:4, 0]
        if self.perceptual is None or step % self.pause or not len(marred):
            return made.new_zeros(())
        side = truth.shape[-1] // 4
        area = (marred, slice(None), slice(side, 3 * side), slice(side, 3 * side))
        return self.weight * self.perceptual(made.float().clamp(0, 1)[area], truth[area])


def _device(layer: Doubler) -> torch.device:
    return next(layer.parameters()).device


def draw_batch(
    sources: Sequence[tuple[PairSource, float]], count: int, side: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Windows `(b, t, 3, s, s)`, truths `(b, 3, side, side)` of their middles, strengths `(b,)`.

    sources: with the share of the batch that each gives. Random places, mirrored, turned and reversed in time.
    """
    shares = np.array([share for _, share in sources])
    windows, truths, strengths = [], [], []
    for pick in rng.choice(len(sources), count, p=shares / shares.sum()):
        source = sources[pick][0]
        row = int(rng.integers(len(source.small)))
        small = side // source.scale
        y, x = rng.integers(0, source.small.shape[2] - small + 1, 2)
        window = source.small[row, :, y : y + small, x : x + small]
        y, x = y * source.scale, x * source.scale
        truth = source.large[row, y : y + side, x : x + side]
        order = rng.integers(0, 2, 4)
        window = window[:: 1 - 2 * order[0], :: 1 - 2 * order[1], :: 1 - 2 * order[2]]
        truth = truth[:: 1 - 2 * order[1], :: 1 - 2 * order[2]]
        if order[3]:
            window, truth = window.transpose(0, 2, 1, 3), truth.transpose(1, 0, 2)
        windows.append(window)
        truths.append(truth)
        strengths.append(source.strengths[row])
    return (
        rearrange(torch.from_numpy(np.stack(windows)), "b t h w c -> b t c h w").float() / 255,
        rearrange(torch.from_numpy(np.stack(truths)), "b h w c -> b c h w").float() / 255,
        torch.tensor(np.array(strengths), dtype=torch.float32),
    )


@torch.no_grad()
def validate(
    first: Doubler, second: Doubler, source: PairSource, strength: float | None = None, most: int = 48
) -> dict[str, float]:
    """Mean PSNR in dB over a source's middle frames, ours (`first`, for a scale of 4 then `second`) and bicubic; of
    at most `most` of them, evenly taken."""
    found: dict[str, list[float]] = {"ours": [], "bicubic": []}
    every, device = max(1, len(source.small) // most), _device(first)
    rows = zip(source.small[::every], source.large[::every], source.strengths[::every], strict=True)
    for window, picture, own in rows:
        frames = rearrange(torch.from_numpy(window).to(device), "t h w c -> 1 t c h w").float() / 255
        truth = rearrange(torch.from_numpy(picture).to(device), "h w c -> 1 c h w").float() / 255
        level = torch.tensor([own if strength is None else strength], dtype=torch.float32, device=device)
        made, plain = first(frames, level), twice(frames[:, first.config.radius])
        if source.scale == 4:
            made, plain = second(made[:, None], level), twice(plain)
        for name, image in (("ours", made), ("bicubic", plain)):
            error = float(F.mse_loss(image.float().clamp(0, 1), truth))
            found[name].append(-10 * np.log10(max(error, 1e-10)))
    return {name: round(float(np.mean(values)), 3) for name, values in found.items()}


@torch.no_grad()
def shown(first: Doubler, second: Doubler, source: PairSource, count: int = 3) -> Tensor:
    """uint8 (count, 3, 3, h, w): bicubic, ours and the truth of a few of a source's middle frames, at four times."""
    rows, device = [], _device(first)
    for at in np.linspace(0, len(source.small) - 1, min(count, len(source.small))).round().astype(int):
        frames = rearrange(torch.from_numpy(source.small[at]).to(device), "t h w c -> 1 t c h w").float() / 255
        truth = rearrange(torch.from_numpy(source.large[at]).to(device), "h w c -> 1 c h w").float() / 255
        level = torch.tensor([source.strengths[at]], device=device)
        made = second(first(frames, level)[:, None], level)
        rows.append(torch.cat([twice(twice(frames[:, first.config.radius])), made.float(), truth]))
    return (torch.stack(rows) * 255).clamp(0, 255).round().to(torch.uint8)


@dataclass(frozen=True)
class UpscaleConfig:
    """The super-resolution stage: both layers, `stage.batch` crops of `side` pixels a step."""

    first: DoublerConfig = field(default_factory=lambda: DoublerConfig(width=64, blocks=8, radius=2))
    second: DoublerConfig = field(default_factory=lambda: DoublerConfig(width=64, blocks=6, radius=0, fold=2))
    side: int = 128
    stage: StageConfig = field(default_factory=lambda: StageConfig(steps=20_000, batch=8, lr=6e-4, warmup=50))


def sources(
    store: Path, pairs: Path, scale: int, radius: int, parts: Mapping[str, float], *, validation: bool = False
) -> list[tuple[PairSource, float]]:
    """The pairs of one scale with their shares, written first where they are not there."""
    out = []
    for part, share in parts.items():
        for kind, part_share in SHARE.items():
            every = EVERY[kind, scale]
            if not (pairs / f"{part}_{kind}{scale}.npy").is_file():
                log.info("writing the %s pairs of %s at 1/%d", kind, part, scale)
                write_pairs(store, part, pairs, scale, damaged=kind == "damaged", every=every)
            source = open_pairs(store, pairs, part, kind, scale, every, radius, validation=validation)
            out.append((source, share * part_share))
    return out


def train_upscaling(
    store: Path,
    out: Path,
    config: UpscaleConfig,
    device: torch.device,
    start: Path | None = None,
    lpips: Path | None = None,
    about: Mapping[str, Any] | None = None,
) -> tuple[Doubler, Doubler]:
    """Train both layers on the clips in `store`, from the weights of the file `start` where one is given.

    The small twins of the clips (minutes, once), the checkpoint and the averaged weights so far go to `out`. lpips: VGG
    or AlexNet weights; with them damaged pictures are also judged by LPIPS. about: what the file says of itself beside.
    """
    torch.manual_seed(0)
    layers = own_layers(open_source(start)) if start else (Doubler(config.first), Doubler(config.second))
    for layer in layers:
        layer.requires_grad_().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    first, second = layers
    check_room(out, {"first": first, "second": second}, config.stage)
    radius, pairs = first.config.radius, out / "pairs"
    parts = {part: share for part, share in PARTS.items() if part == "film" or (store / f"{part}.npy").is_file()}
    perceptual: Perceptual | None = None
    if lpips is not None:
        judge = lpips_loss(lpips, device)

        def perceptual(made: Tensor, truth: Tensor) -> Tensor:
            return judge(made, truth).mean()

    quarter, half = (sources(store, pairs, scale, radius, parts) for scale in (4, 2))
    task = ResolutionTask(
        first, second, quarter, half, batch=config.stage.batch, side=config.side, perceptual=perceptual
    )
    held = {scale: sources(store, pairs, scale, radius, {"film": 1.0}, validation=True) for scale in (4, 2)}

    def validation() -> Mapping[str, float]:
        figures: dict[str, float] = {}
        with torch.autocast(device.type, torch.bfloat16, enabled=fast_in_bf16(device)):
            for scale, kinds in held.items():
                for (source, _), kind in zip(kinds, SHARE, strict=True):
                    found = validate(first, second, source)
                    figures |= {f"{kind} x{scale} {name}": value for name, value in found.items()}
        return figures

    def keep() -> None:
        words = {"stage": asdict(config.stage), "steps": run.step, **(about or {})}
        save_layers(first, second, out / UPSCALING, words)

    def samples() -> Tensor:
        return torch.cat([shown(first, second, source) for source, _ in held[4]])

    run = ValidatedRun(
        "upscale", {"first": first, "second": second}, config.stage, out, device,
        validation=validation, keep=keep, samples=samples,
    )  # fmt: skip
    run.train(task.loss)
    return first.eval(), second.eval()
