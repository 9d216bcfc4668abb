"""Features and values to figures with intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from ..frames.progress import Progress
from .collect import Measured, Networks
from .frechet import frechet_distance, inception_score
from .inception import Inception
from .options import Options
from .report import Figure
from .resample import Spread, Statistic, bootstrap, mean_interval, with_sizes

MEANS = {
    "clipsim": ("CLIPSIM", "higher"),
    "psnr": ("PSNR (dB)", "higher"),
    "ssim": ("SSIM", "higher"),
    "lpips": ("LPIPS", "lower"),
    "flicker": ("flicker (levels of 255)", "lower"),
    "motion": ("motion (levels of 255)", ""),
    "place": ("place right", "higher"),
    "object": ("object right", "higher"),
    "object5": ("object among five", "higher"),
}
"""Metrics that are the mean over the items: title, and which way is better."""
LEAST = 50
"""Samples of a part for the inception score; smaller sets are measured in fewer parts."""


def figures_of(
    wanted: Sequence[str],
    made: Measured,
    real: Measured | None,
    networks: Networks,
    options: Options,
    progress: Progress | None = None,
) -> Iterator[Figure]:
    """Each wanted metric's figure; the probe gives three."""
    for name in wanted:
        if name in ("fvd", "fid") and real is not None:
            yield _distance(name, made, real, networks, options, progress)
        elif name in ("is", "is-video"):
            yield _score(name, made, real, networks, options, progress)
        else:
            for part in ("place", "object", "object5") if name == "probe" else (name,):
                if made.values.get(part):
                    yield _mean(part, made, real, networks, options)


def _distance(
    name: str, made: Measured, real: Measured, networks: Networks, options: Options, progress: Progress | None
) -> Figure:
    """FVD by clips; FID by frames, drawn by clips, since the frames of one clip are alike."""
    first, second = _groups(name, made), _groups(name, real)

    def figure(some: Tensor, others: Tensor) -> float:
        return frechet_distance(_joined(first, some), _joined(second, others))

    spread = _spread(name, figure, len(first), len(second), options, progress)
    network = networks.names["i3d" if name == "fvd" else "inception"]
    note = f"of {network}"
    if name == "fid":
        note += f" on {sum(map(len, first))} and {sum(map(len, second))} frames, resized as {options.resize} does"
    numbers = min(sum(map(len, first)), sum(map(len, second)))
    dims = first[0].shape[1]
    if numbers <= dims:
        note += f"; {numbers} samples do not fill {dims} dimensions: only compare it with figures of as many"
    return Figure(name, name.upper(), spread, len(first), "lower", network=network, note=note)


def _score(
    name: str,
    made: Measured,
    real: Measured | None,
    networks: Networks,
    options: Options,
    progress: Progress | None,
) -> Figure:
    """The inception score of the generated set; of its clips in an order drawn once, so that each part sees all."""
    network = networks.inception if name == "is" else None
    logits = [_logits(group, network) for group in _groups(name, made)]
    order = torch.randperm(len(logits), generator=torch.Generator().manual_seed(options.seed))

    splits = max(1, min(options.splits, sum(map(len, logits)) // LEAST))

    def figure(some: Tensor, _: Tensor) -> float:
        return inception_score(_joined(logits, order[some]), splits)[0]

    spread = _spread(name, figure, len(logits), len(logits), options, progress)
    deviation = inception_score(_joined(logits, order), splits)[1]
    other = None
    if real is not None:
        theirs = [_logits(group, network) for group in _groups(name, real)]
        mixed = torch.randperm(len(theirs), generator=torch.Generator().manual_seed(options.seed))
        other = inception_score(_joined(theirs, mixed), splits)[0]
    file = networks.names["i3d" if name == "is-video" else "inception"]
    what = (
        "the 400 actions of Kinetics, not C3D's of UCF-101" if name == "is-video" else "ImageNet's classes, by frames"
    )
    between = f", between which it varies by {deviation:.3f}" if splits > 1 else ""
    note = f"of {file} ({what}), {splits} split{'s' if splits > 1 else ''}{between}"
    title = "IS" if name == "is" else "IS (I3D)"
    return Figure(name, title, spread, len(logits), "higher", real=other, network=file, note=note)


def _mean(name: str, made: Measured, real: Measured | None, networks: Networks, options: Options) -> Figure:
    title, better = MEANS[name]
    values = made.values[name]
    theirs = real.values.get(name) if real is not None else None
    key = {"clipsim": "clip", "lpips": "lpips", "place": "probe", "object": "probe", "object5": "probe"}.get(name, "")
    network = networks.names.get(key, "")
    note = f"of {network}" if network else ""
    if key == "probe" and len(values) < made.items:
        note += f"; {made.items - len(values)} prompts name no object and place of its world"
    return Figure(
        name,
        title,
        mean_interval(values, seed=options.seed),
        len(values),
        better,
        real=sum(theirs) / len(theirs) if theirs else None,
        network=network,
        note=note,
    )


def _spread(name: str, figure: Statistic, made: int, real: int, options: Options, progress: Progress | None) -> Spread:
    told = None if progress is None else partial(_named, progress, f"bootstrap of {name.upper()}")
    spread = bootstrap(figure, made, real, rounds=options.rounds, seed=options.seed, progress=told)
    return with_sizes(figure, spread, made, real, seed=options.seed)


def _named(progress: Progress, stage: str, _: str, done: int, total: int, message: str) -> None:
    progress(stage, done, total, message)


def _groups(name: str, found: Measured) -> list[Tensor]:
    """Features of each item, `(k, d)`."""
    return [each[None] for each in found.clips] if name in ("fvd", "is-video") else found.pictures


def _joined(groups: Sequence[Tensor], chosen: Tensor) -> Tensor:
    """The features of the items of these numbers; those of one item stay together."""
    return torch.cat([groups[index] for index in chosen.tolist()])


def _logits(features: Tensor, network: Inception | None) -> Tensor:
    return features if network is None else network.logits(features)
