"""Samples as a training loop asks for them: batches by number, decoded ahead, each process its share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import count
from typing import Any

from torch.utils.data import DataLoader, Dataset

from ..processes import Processes
from .samples import Batches, Buckets, Samples, collate
from .sources import Item

Keys = Callable[[int], Iterable[Sequence[Any]]]
"""From the batch of that number on: what its samples are asked for by."""


class Feed:
    """`feed(3)` is this process's share of the fourth batch, whatever came before: `collate`'s dict and `numbers`, the
    samples' own. Raises DiffilmError where the batch cannot be parted evenly."""

    def __init__(self, samples: Dataset[Any], keys: Keys, batch: int, workers: int, processes: Processes) -> None:
        self.samples, self.keys, self.batch, self.workers = samples, keys, batch, workers
        self.share = processes.share(batch)
        self.first = processes.rank * self.share
        self.next = -1
        self.loaded: Iterator[dict[str, Any]] = iter(())

    def __call__(self, number: int) -> dict[str, Any]:
        if number != self.next:
            loader = DataLoader(
                self.samples, batch_sampler=_Shares(self, number), collate_fn=collate, num_workers=self.workers
            )
            self.loaded = iter(loader)
        self.next = number + 1
        return {**next(self.loaded), "numbers": self.numbers(number)}

    def numbers(self, number: int) -> range:
        """The samples of a batch that are this process's."""
        first = number * self.batch + self.first
        return range(first, first + self.share)


class _Shares:
    """The batch sampler of a loader that begins at a number."""

    def __init__(self, feed: Feed, start: int) -> None:
        self.feed, self.start = feed, start

    def __iter__(self) -> Iterator[list[Any]]:
        first, end = self.feed.first, self.feed.first + self.feed.share
        return (list(keys[first:end]) for keys in self.feed.keys(self.start))


class CaptionedFeed(Feed):
    """Of captioned items. Raises DiffilmError where no item fills a bucket, or the batch cannot be parted evenly."""

    def __init__(
        self,
        items: Sequence[Item],
        buckets: Buckets,
        batch: int,
        *,
        fps: tuple[float, float] = (4.0, 16.0),
        seed: int = 0,
        workers: int = 0,
        processes: Processes,
    ) -> None:
        def keys(start: int) -> Batches:
            return Batches(items, buckets, batch=batch, seed=seed, start=start)

        keys(0)  # says at once what does not fit
        super().__init__(Samples(items, buckets, fps=fps, seed=seed), keys, batch, workers, processes)


def numbered(batch: int) -> Keys:
    """Of samples that are asked for by their number alone."""
    return lambda start: (range(at * batch, (at + 1) * batch) for at in count(start))
