"""One pass over a set: each item is read once, and every network sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..bundle import as_device
from ..errors import DiffilmError
from ..frames.progress import Progress
from .clip import Clip
from .i3d import LEAST_FRAMES, clip_features, load_i3d
from .images import flicker, motion, psnr, ssim
from .inception import Inception, load_inception, picture_features
from .lpips import Lpips
from .options import Options
from .sets import MediaSet

BATCH = 32
"""Frames that a picture network sees together."""
CLIPS = 4
"""Clips that I3D sees together."""


@dataclass
class Networks:
    """What the metrics asked for, loaded; None where none did. names: which file each is of."""

    i3d: nn.Module | None = None
    inception: Inception | None = None
    lpips: Lpips | None = None
    clip: Clip | None = None
    probe: Any = None
    names: dict[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, wanted: Sequence[str], files: dict[str, Path], device: torch.device | str | None) -> Networks:
        """Raises DiffilmError for a damaged file or a device that is not there."""
        where = as_device(device)
        found = cls(names={name: path.name for name, path in files.items()})
        if "i3d" in files:
            found.i3d = load_i3d(files["i3d"]).to(where)
        if picture := files.get("classifier") or files.get("inception"):
            found.inception = load_inception(picture).to(where)
            found.names["inception"] = picture.name
            if "is" in wanted and not found.inception.scores:
                raise DiffilmError(f"{picture} has no classifier, which the inception score needs: leave `is` out")
        if "lpips" in files:
            found.lpips = Lpips.load(files["lpips"]).to(where)
        if "clip" in files:
            found.clip = Clip(files["clip"], where)
            found.names["clip"] = found.clip.name
        if "probe" in files:
            from .probe import load_probe

            found.probe = load_probe(files["probe"]).to(where)
        return found


@dataclass
class Measured:
    """A set's features and values, an entry an item. clips `(400,)`, pictures `(t, 2048)`, words: (place, object,
    object among five); where a prompt is not of the probe's world, none."""

    items: int
    clips: list[Tensor] = field(default_factory=list)
    pictures: list[Tensor] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        self.values.setdefault(name, []).append(value)


class Collector:
    def __init__(self, wanted: Sequence[str], networks: Networks, options: Options) -> None:
        self.wanted, self.networks, self.options = set(wanted), networks, options
        self.waiting: list[Tensor] = []

    def collect(
        self, media: MediaSet, whose: str, captions: Sequence[str] | None, progress: Progress | None
    ) -> Measured:
        """Everything of one set alone. Raises DiffilmError for an item that cannot be read or is too short."""
        found = Measured(len(media.items))
        for index, item in enumerate(media.items):
            if progress is not None:
                progress(f"measuring {whose}", index, len(media.items), item.name)
            frames = media.load(index)
            self._networks(frames, found, media.items[index])
            self._values(frames, found)
            if captions is not None:
                self._words(frames, captions[index], found)
        self._flush(found)
        if progress is not None:
            progress(f"measuring {whose}", len(media.items), len(media.items), "")
        return found

    def compare(
        self,
        found: Measured,
        made: MediaSet,
        real: MediaSet,
        partners: Sequence[tuple[int, int]],
        progress: Progress | None,
    ) -> None:
        """PSNR, SSIM and LPIPS of each pair, into `found`."""
        for at, (first, second) in enumerate(partners):
            one, other = load_pair(made, real, first, second)
            if "psnr" in self.wanted:
                found.add("psnr", psnr(one, other))
            if "ssim" in self.wanted:
                found.add("ssim", ssim(one, other))
            if "lpips" in self.wanted and self.networks.lpips is not None:
                found.add("lpips", _lpips(self.networks.lpips, one, other))
            if progress is not None:
                progress("comparing pairs", at + 1, len(partners), made.items[first].name)

    def _networks(self, frames: Tensor, found: Measured, item: Path) -> None:
        if self.wanted & {"fvd", "is-video"} and self.networks.i3d is not None:
            if len(frames) < LEAST_FRAMES:
                raise DiffilmError(f"{item} has {len(frames)} frames: I3D needs at least {LEAST_FRAMES} of each clip")
            if self.waiting and self.waiting[0].shape != frames.shape:
                self._flush(found)
            self.waiting.append(frames)
            if len(self.waiting) == CLIPS:
                self._flush(found)
        if self.wanted & {"fid", "is"} and self.networks.inception is not None:
            network, how = self.networks.inception, self.options.resize
            parts = [picture_features(network, part, resize=how) for part in frames.split(BATCH)]
            found.pictures.append(torch.cat(parts).float())  # as they were computed; half the memory

    def _flush(self, found: Measured) -> None:
        if self.waiting and self.networks.i3d is not None:
            found.clips.extend(clip_features(self.networks.i3d, torch.stack(self.waiting)))
        self.waiting = []

    def _values(self, frames: Tensor, found: Measured) -> None:
        if "motion" in self.wanted:
            found.add("motion", motion(frames))
        if "flicker" in self.wanted:
            found.add("flicker", flicker(frames, frames))

    def _words(self, frames: Tensor, words: str, found: Measured) -> None:
        if "clipsim" in self.wanted and self.networks.clip is not None:
            found.add("clipsim", self.networks.clip.similarity(frames, words))
        if "probe" in self.wanted and self.networks.probe is not None:
            from .probe import answers, labels

            if (wanted := labels(words)) is not None:
                right = answers(self.networks.probe, frames[len(frames) // 2], wanted)
                for name, value in zip(("place", "object", "object5"), right, strict=True):
                    found.add(name, value)


def load_pair(made: MediaSet, real: MediaSet, first: int, second: int) -> tuple[Tensor, Tensor]:
    """Frames of one item of each. Raises DiffilmError where they differ in size or number."""
    one, other = made.load(first), real.load(second)
    if one.shape != other.shape:
        raise DiffilmError(
            f"{made.items[first]} is {_shape(one)}, {real.items[second]} {_shape(other)}: pairs must be alike; give "
            "--size and --frames, or leave PSNR, SSIM and LPIPS out"
        )
    return one, other


@torch.inference_mode()
def _lpips(network: Lpips, made: Tensor, real: Tensor) -> float:
    device = network.weight0.device
    pairs = zip(made.split(BATCH), real.split(BATCH), strict=True)
    found = [network(*(each.permute(0, 3, 1, 2).to(device) for each in pair)) for pair in pairs]
    return float(torch.cat(found).mean())


def _shape(frames: Tensor) -> str:
    return f"{frames.shape[0]} frames of {frames.shape[2]}x{frames.shape[1]}"
