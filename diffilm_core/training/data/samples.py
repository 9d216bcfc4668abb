"""Captioned items as training takes them: decoded when asked for, in batches of one size and one length.

buckets = Buckets(bucket_sizes(256, 8), lengths=(1, 16))
batches = Batches(items, buckets, batch=8, seed=0)
loader = DataLoader(Samples(items, buckets, fps=(4, 16), seed=0), batch_sampler=batches, collate_fn=collate,
                    num_workers=4)                                   # {"pixels": (b, t, h, w, 3), ...}
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from ...errors import DiffilmError
from ...frames.read import read_window
from .clips import Clips, fitted
from .sources import Item

RATIOS = (1 / 2, 9 / 16, 2 / 3, 3 / 4, 1.0, 4 / 3, 3 / 2, 16 / 9, 2.0)


def bucket_sizes(side: int, multiple: int, ratios: Sequence[float] = RATIOS) -> list[tuple[int, int]]:
    """Widths and heights of about `side`^2 pixels, whole multiples, for shapes of width over height."""
    found = []
    for ratio in ratios:
        width = max(1, round(side * math.sqrt(ratio) / multiple)) * multiple
        height = max(1, round(side / math.sqrt(ratio) / multiple)) * multiple
        if (width, height) not in found:
            found.append((width, height))
    return found


@dataclass(frozen=True)
class Buckets:
    """`sizes` (width, height) and `lengths` in frames; an item goes to the size nearest to its shape and to the longest
    length that it fills."""

    sizes: Sequence[tuple[int, int]]
    lengths: Sequence[int] = (1,)

    def of(self, item: Item) -> tuple[int, int, int] | None:
        """(width, height, frames), None for a clip that is too short."""
        lengths = [length for length in self.lengths if length <= item.frames]
        if not lengths:
            return None
        shape = math.log(item.width / item.height)
        width, height = min(self.sizes, key=lambda size: abs(math.log(size[0] / size[1]) - shape))
        return width, height, max(lengths)


class Batches(Sampler[list[tuple[int, int]]]):
    """Lists of (item, number of the sample), each of one bucket, epoch after epoch without end.

    What is drawn goes by the seed and the number of the batch alone; `start` goes on there. A bucket's last batch takes
    some items twice. Raises DiffilmError where no item fills the shortest length.
    """

    def __init__(self, items: Sequence[Item], buckets: Buckets, *, batch: int, seed: int = 0, start: int = 0) -> None:
        self.batch, self.seed, self.start = batch, seed, start
        groups: dict[tuple[int, int, int], list[int]] = {}
        for number, item in enumerate(items):
            if (bucket := buckets.of(item)) is not None:
                groups.setdefault(bucket, []).append(number)
        if not groups:
            longest = max((item.frames for item in items), default=0)
            raise DiffilmError(
                f"none of {len(items)} clips has {min(buckets.lengths)} frames (the longest has {longest}): train on "
                "fewer frames or give longer clips"
            )
        self.groups = [np.array(groups[bucket]) for bucket in sorted(groups)]
        self.per_epoch = sum(-(-len(group) // batch) for group in self.groups)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        number = self.start
        while True:
            epoch, at = divmod(number, self.per_epoch)
            for batch in self._epoch(epoch)[at:]:
                yield [(int(item), number * self.batch + place) for place, item in enumerate(batch)]
                number += 1

    def _epoch(self, epoch: int) -> list[Any]:
        rng = np.random.default_rng([self.seed, epoch])
        out = []
        for group in self.groups:
            order = rng.permutation(group)
            whole = np.resize(order, -(-len(order) // self.batch) * self.batch)
            out += list(whole.reshape(-1, self.batch))
        return [out[at] for at in rng.permutation(len(out))]


class Samples(Dataset[dict[str, Any]]):
    """`samples[item, number]`: uint8 `pixels` (t, h, w, 3), `caption`, `fps` (0 for a picture), by the seed and these
    numbers alone. A clip's frames are taken at a rate drawn from `fps` (lowest, highest) as far as they reach; what is
    beyond the bucket's shape is cut off at a random place."""

    def __init__(
        self, items: Sequence[Item], buckets: Buckets, *, fps: tuple[float, float] = (4.0, 16.0), seed: int = 0
    ) -> None:
        self.items, self.buckets, self.fps, self.seed = items, buckets, fps, seed

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        item, rng = self.items[key[0]], np.random.default_rng([self.seed, key[1]])
        bucket = self.buckets.of(item)
        if bucket is None:
            raise DiffilmError(f"{item.path}: {item.frames} frames, expected at least {min(self.buckets.lengths)}")
        width, height, frames = bucket
        if item.fps:
            most = (item.frames - 1) // max(1, frames - 1)
            stride = max(1, min(most, round(item.fps / rng.uniform(*self.fps))))
            first = int(rng.integers(0, item.frames - (frames - 1) * stride))
            pixels, rate = read_window(item.path, first, frames, stride), item.fps / stride
        else:
            pixels, rate = _picture(item), 0.0
        return {"pixels": fitted(pixels, (width, height), rng), "caption": item.caption, "fps": rate}


class ClipSamples(Dataset[dict[str, Any]]):
    """Windows of a folder's clips, by number, as `Samples` gives them. With `captions` a clip's is in the .txt of its
    name beside it, where there is one; without, none is read."""

    def __init__(self, clips: Clips, captions: bool = False) -> None:
        self.clips, self.captions = clips, captions

    def __getitem__(self, number: int) -> dict[str, Any]:
        file, pixels, fps = self.clips.sample(number)
        return {"pixels": pixels, "caption": file.caption() if self.captions else "", "fps": fps}


def collate(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`pixels` (b, t, h, w, 3), `captions`, `fps` (b,)."""
    return {
        "pixels": torch.stack([sample["pixels"] for sample in samples]),
        "captions": [sample["caption"] for sample in samples],
        "fps": torch.tensor([sample["fps"] for sample in samples]),
    }


def _picture(item: Item) -> Tensor:
    """`(1, h, w, 3)` in [0, 1]; transparency lies on white."""
    from PIL import Image

    try:
        with Image.open(io.BytesIO(item.data())) as image:
            if image.has_transparency_data:
                layer = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
            return torch.from_numpy(np.array(image.convert("RGB"))).float().div(255)[None]
    except (OSError, ValueError, SyntaxError) as error:
        raise DiffilmError(
            f"picture {Path(item.path)}: {item.source} cannot be decoded ({error}); make it again"
        ) from error
