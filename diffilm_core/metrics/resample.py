"""How far to trust a figure: bootstrap intervals, and how a figure changes with the number of samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..frames.progress import Progress

ROUNDS = 50
LEVEL = 0.95
NORMAL = 1.959964
"""Standard deviations to each side that hold 95 % of a normal distribution."""
Statistic = Callable[[Tensor, Tensor], float]
"""A figure of the clips of these numbers, of the generated and of the real set."""


@dataclass(frozen=True)
class Spread:
    """A figure with its interval, and with fewer samples: (clips of each set, mean of some draws). `limit`: where the
    line through those goes with ever more samples; None for fewer than three sizes."""

    value: float
    low: float
    high: float
    sizes: tuple[tuple[int, float], ...] = ()
    limit: float | None = None


def mean_interval(values: Sequence[float], *, rounds: int = 1000, seed: int = 0) -> Spread:
    """The mean of independent values with the percentile bootstrap's interval (Efron 1979)."""
    numbers = torch.tensor(values, dtype=torch.float64)
    draws = torch.randint(len(numbers), (rounds, len(numbers)), generator=torch.Generator().manual_seed(seed))
    rest = (1 - LEVEL) / 2
    low, high = torch.quantile(numbers[draws].mean(1), torch.tensor([rest, 1 - rest], dtype=torch.float64)).tolist()
    return Spread(float(numbers.mean()), low, high)


def bootstrap(
    figure: Statistic, made: int, real: int, *, rounds: int = ROUNDS, seed: int = 0, progress: Progress | None = None
) -> Spread:
    """`figure` of all clips with the interval of `rounds` draws of clips with replacement from both sets.

    A Frechet distance of a draw is larger than that of the whole, since a draw repeats clips and so has fewer: the
    interval is therefore the figure and 1.96 standard deviations of the draws to each side. It says how the figure
    would vary with other clips *as many as these*; what more clips would give, `with_sizes` says.
    """
    dice = torch.Generator().manual_seed(seed)
    value = figure(torch.arange(made), torch.arange(real))
    drawn = []
    for at in range(rounds):
        first, second = (torch.randint(n, (n,), generator=dice) for n in (made, real))
        drawn.append(figure(first, second))
        if progress is not None:
            progress("bootstrap", at + 1, rounds, "")
    if len(drawn) < 2:
        return Spread(value, value, value)
    reach = NORMAL * float(torch.tensor(drawn, dtype=torch.float64).std())
    return Spread(value, max(0.0, value - reach), value + reach)


def with_sizes(
    figure: Statistic, spread: Spread, made: int, real: int, *, draws: int = 5, seed: int = 0, least: int = 8
) -> Spread:
    """The figure at an eighth, a quarter and half of the clips (drawn without replacement, `draws` times each) as well,
    and the limit for endless clips by a line over 1 / n (Chong and Forsyth 2020). With sets of two sizes, n is the
    smaller one's, and the other falls in proportion."""
    dice = torch.Generator().manual_seed(seed)
    sizes: list[tuple[int, float]] = []
    for share in (8, 4, 2):
        first, second = made // share, real // share
        if min(first, second) >= least:
            values = [
                figure(torch.randperm(made, generator=dice)[:first], torch.randperm(real, generator=dice)[:second])
                for _ in range(draws)
            ]
            sizes.append((min(first, second), sum(values) / draws))
    sizes.append((min(made, real), spread.value))
    limit = _limit(sizes) if len(sizes) >= 3 else None
    return Spread(spread.value, spread.low, spread.high, tuple(sizes), limit)


def _limit(sizes: list[tuple[int, float]]) -> float:
    """The value at 1 / n = 0 of the least-squares line through (1 / n, value)."""
    x = torch.tensor([[1.0, 1 / n] for n, _ in sizes], dtype=torch.float64)
    y = torch.tensor([[value] for _, value in sizes], dtype=torch.float64)
    return float(torch.linalg.lstsq(x, y).solution[0, 0])
