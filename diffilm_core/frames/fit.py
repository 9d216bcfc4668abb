"""How a network stage is fitted into memory: how many frames it sees at once, and in tiles of what size.

Both change pixels (a batch by a rounding, tiles by what lies outside of them), so they are stated settings and part of
a shot's key. Out of memory goes down to the next stated setting; see `Fit.lower`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

from ..errors import DiffilmError

LOG = logging.getLogger(__name__)
T = TypeVar("T")
TILES = (1024, 512, 256, 128)
"""Sides of the tiles that a stage goes down through, in pixels of what comes in."""
RETRIES = 8 * (len(TILES) + 2)
"""How often a clip is begun anew: more than eight stages in a row have settings to go down through."""
ALLOCATOR = ("can't allocate memory", "not enough memory", "out of memory")


class OutOfMemory(DiffilmError):
    """A stage ran out of memory after it gave its first frames away. Its `Fit` is at the next setting: make the clip's
    stream again and begin anew."""


@dataclass
class Fit:
    """`batch` (None: the model's own) and `tile` (None: whole frames), and the way down from there.

    One object may serve the stages of many clips: where one of them runs out of memory, those made later start lower.
    Read `settings()` after a clip is done, for its key.
    """

    batch: int | None = None
    tile: int | None = None

    def __post_init__(self) -> None:
        if self.batch is not None and self.batch < 1:
            raise DiffilmError(f"batch {self.batch}: expected at least 1; give a larger batch")
        if self.tile is not None and self.tile < 32:
            raise DiffilmError(f"tile {self.tile}: expected at least 32 pixels; give a larger tile")

    def __str__(self) -> str:
        return f"batch {self.batch or 'of the model'}, {f'tiles of {self.tile}' if self.tile else 'whole frames'}"

    def settings(self) -> dict[str, Any]:
        return {"batch": self.batch, "tile": self.tile}

    def lower(self, batch: int, side: int) -> Fit | None:
        """The next setting down for frames whose longer side is `side`: batch 1, then ever smaller tiles, then None.

        `batch`: what None stands for.
        """
        if (self.batch or batch) > 1:
            return Fit(1, self.tile)
        tile = next((tile for tile in TILES if tile < min(side, self.tile or side)), None)
        return None if tile is None else Fit(1, tile)


def until_it_fits(work: Callable[[], T], lowered: Callable[[], None] | None = None) -> T:
    """What `work` returns, begun anew after each OutOfMemory, as the stage is then at its next setting.

    lowered: called before that. Raises DiffilmError where it never ends, and what `work` raises.
    """
    for _ in range(RETRIES):
        try:
            return work()
        except OutOfMemory as error:
            LOG.warning("%s", error)
        if lowered is not None:
            lowered()
    raise DiffilmError(
        f"out of memory {RETRIES} times, begun anew each time: expected it to fit at one of the lower settings; close "
        "other programs or make smaller frames"
    )


def is_out_of_memory(error: BaseException) -> bool:
    """True for what torch raises on a GPU and on a CPU, and Python itself, when memory is out."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in ALLOCATOR)


def free_cache() -> None:
    """Gives back what torch keeps of a GPU's memory, so that a smaller setting finds room."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
