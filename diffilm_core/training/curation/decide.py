"""Which shots stay: thresholds first, then the best of each group of near-duplicates."""

from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray

from .row import Row
from .settings import REASONS, Thresholds
from .work import digest

BANDS = 4
"""A hash is looked up by four runs of 16 bits: shots that share one are compared."""


def reasons(row: Row, thresholds: Thresholds) -> list[str]:
    """Why a shot falls, by itself; empty where it stays."""
    found = []
    for reason, bounds in REASONS.items():
        for score, name in bounds:
            value, bound = getattr(row, score), getattr(thresholds, name)
            if value is None or bound is None:
                continue
            if value < bound if name.startswith("min") else value > bound:
                found.append(reason)
                break
    return found


class Duplicates:
    """Takes shots and their numbers by `add`; `leaders` says for those that repeat a better one, which.

    The better: one that does not fall anyway, then more pixels, then longer, then sharper. A shot repeats a better one
    that stays if enough of the frames of the shorter are found in the longer. It takes some 2 kB a shot.
    """

    def __init__(self, bits: int, share: float) -> None:
        self.bits, self.share = bits, share
        self.numbers, self.starts, self.hashes = array("q"), array("q", [0]), array("Q")
        self.frames, self.rank = array("q"), array("d")
        self.names, self.stays = array("Q"), array("b")

    def add(self, number: int, row: Row, stays: bool = True) -> None:
        if not row.hashes:
            return
        self.stays.append(stays)
        self.numbers.append(number)
        self.hashes.extend(row.hashes)
        self.starts.append(len(self.hashes))
        self.frames.append(row.frames)
        self.rank.extend((float(row.width * row.height), float(row.frames), row.sharpness or 0.0))
        self.names.append(digest(row.file, str(row.shot)))

    def leaders(self) -> dict[int, int]:
        """{number of a shot that repeats another: number of that other}."""
        count = len(self.numbers)
        if count < 2:
            return {}
        hashes = np.frombuffer(self.hashes, np.uint64)
        starts = np.frombuffer(self.starts, np.int64)
        index = _Index(hashes, np.repeat(np.arange(count), np.diff(starts)))
        pixels, frames, sharp = -np.frombuffer(self.rank, np.float64).reshape(count, 3).T
        leads = np.zeros(count, bool)
        found: dict[int, int] = {}
        falls = 1 - np.frombuffer(self.stays, np.int8)
        for at in np.lexsort((np.frombuffer(self.names, np.uint64), sharp, frames, pixels, falls)).tolist():
            mine = hashes[starts[at] : starts[at + 1]]
            for other in index.near(mine):
                theirs = hashes[starts[other] : starts[other + 1]]
                if leads[other] and self._same(mine, theirs, self.frames[at] <= self.frames[other]):
                    found[self.numbers[at]] = self.numbers[other]
                    break
            else:
                leads[at] = not falls[at]
        return found

    def _same(self, mine: NDArray[np.uint64], theirs: NDArray[np.uint64], shorter: bool) -> bool:
        apart = np.unpackbits((mine[:, None, None] ^ theirs[None, :, None]).view(np.uint8), axis=-1).sum(-1)
        return bool((apart.min(1 if shorter else 0) <= self.bits).mean() >= self.share)


class _Index:
    """Which shots have a hash that shares a run of bits, for hashes `(n,)` of shots `(n,)`."""

    def __init__(self, hashes: NDArray[np.uint64], shots: NDArray[np.int64]) -> None:
        keys = _keys(hashes).ravel()
        order = np.argsort(keys, kind="stable")
        self.keys, self.shots = keys[order], np.repeat(shots, BANDS).astype(np.int32)[order]

    def near(self, hashes: NDArray[np.uint64]) -> list[int]:
        keys = np.unique(_keys(hashes))
        first, end = np.searchsorted(self.keys, keys, "left"), np.searchsorted(self.keys, keys, "right")
        pieces = [self.shots[a:b] for a, b in zip(first, end, strict=True)]
        return [int(each) for each in np.unique(np.concatenate(pieces))] if pieces else []


def _keys(hashes: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Hashes `(n,)` to their runs of bits, each with its place, `(n, BANDS)`."""
    width = 64 // BANDS
    shifts = np.arange(BANDS, dtype=np.uint64) * np.uint64(width)
    runs = (hashes[:, None] >> shifts) & np.uint64((1 << width) - 1)
    return runs.astype(np.uint32) | (np.arange(BANDS, dtype=np.uint32) << np.uint32(width))
