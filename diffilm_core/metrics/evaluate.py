"""Generated clips or pictures measured, alone or against real ones: which metrics, on what, and one pass over each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..errors import DiffilmError
from ..frames.progress import Progress
from . import weights as files
from .collect import Collector, Networks, load_pair
from .figures import figures_of
from .options import Options
from .report import Report
from .sets import MediaSet, pairs

REAL, PAIRS, WORDS, MOVING, MANY = "a real set", "pairs", "prompts", "clips", "several clips"


@dataclass(frozen=True)
class Metric:
    """needs: of REAL, PAIRS, WORDS, MOVING and MANY; network: which weights, "" for none."""

    name: str
    needs: tuple[str, ...] = ()
    network: str = ""


METRICS = {
    each.name: each
    for each in (
        Metric("fvd", (REAL, MOVING, MANY), "i3d"),
        Metric("fid", (REAL, MANY), "inception"),
        Metric("is", (MANY,), "classifier"),
        Metric("is-video", (MOVING, MANY), "i3d"),
        Metric("clipsim", (WORDS,), "clip"),
        Metric("psnr", (REAL, PAIRS)),
        Metric("ssim", (REAL, PAIRS)),
        Metric("lpips", (REAL, PAIRS), "lpips"),
        Metric("flicker", (MOVING,)),
        Metric("motion", (MOVING,)),
        Metric("probe", (WORDS,), "probe"),
    )
}


def evaluate(
    made: MediaSet,
    real: MediaSet | None = None,
    *,
    metrics: Sequence[str] | None = None,
    captions: Sequence[str] | None = None,
    folder: str | Path | None = None,
    device: torch.device | str | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> Report:
    """Measure `made` (generated), against `real` where there is one.

    metrics: of METRICS; None: all that these sets allow. captions: the words of each item of `made`. folder: of the
    weights (`weights.places`); a metric whose weights are not there is left out, and the report says so. Items are
    read one at a time. Raises DiffilmError for an unknown metric, one that lacks what it needs (or when none is left),
    sets that do not fit together, and files that cannot be read.
    """
    options = options or Options()
    wanted = _wanted(made, real, metrics, captions)
    folders = files.places(folder)
    found = {
        METRICS[name].network: files.find(METRICS[name].network, folders) for name in wanted if METRICS[name].network
    }
    left_out = {
        name: files.WEIGHTS[METRICS[name].network].missing(folders)
        for name in wanted
        if METRICS[name].network and found[METRICS[name].network] is None
    }
    wanted = [name for name in wanted if name not in left_out]
    if not wanted:
        raise DiffilmError("nothing is left to measure. " + "; ".join(f"{k}: {v}" for k, v in left_out.items()))
    networks = Networks.load(wanted, {name: path for name, path in found.items() if path}, device)
    partners = pairs(made, real) if real is not None and {"psnr", "ssim", "lpips"} & {*wanted} else []
    for media in (made, real):
        if media is not None:
            media.check(progress)
    if partners and real is not None:
        load_pair(made, real, *partners[0])
    generated = Collector(wanted, networks, options).collect(made, "generated", captions, progress)
    others = None
    if real is not None:
        alone = [name for name in wanted if name not in ("clipsim", "probe", "psnr", "ssim", "lpips")]
        others = Collector(alone, networks, options).collect(real, "real", None, progress)
        Collector(wanted, networks, options).compare(generated, made, real, partners, progress)
    return Report(
        tuple(figures_of(wanted, generated, others, networks, options, progress)),
        left_out,
        _settings(made, real, options),
    )


def _wanted(
    made: MediaSet, real: MediaSet | None, metrics: Sequence[str] | None, captions: Sequence[str] | None
) -> list[str]:
    """The metrics to measure, in the order of METRICS. Raises DiffilmError for one that cannot be."""
    if captions is not None and len(captions) != len(made.items):
        raise DiffilmError(f"{len(captions)} prompts for {len(made.items)} items: expected one for each")
    lacks = _lacks(made, real, captions)
    if metrics is None:
        return [name for name, metric in METRICS.items() if not any(need in lacks for need in metric.needs)]
    for name in metrics:
        if name not in METRICS:
            raise DiffilmError(f"metric {name!r}: expected some of {', '.join(METRICS)}")
        for need in METRICS[name].needs:
            if need in lacks:
                raise DiffilmError(f"metric {name} needs {need}: {lacks[need]}")
    return [name for name in METRICS if name in metrics]


def _lacks(made: MediaSet, real: MediaSet | None, captions: Sequence[str] | None) -> dict[str, str]:
    """What is not there, and what to do about it."""
    lacks = {}
    if real is None:
        lacks[REAL] = "give a second file or folder, of real ones"
    elif made.moving != real.moving:
        kinds = {True: "clips", False: "pictures"}
        raise DiffilmError(
            f"{made.path} holds {kinds[made.moving]} and {real.path} {kinds[real.moving]}: expected two of one kind"
        )
    if captions is None:
        lacks[WORDS] = "give --prompts FILE, or a .txt beside each clip"
    if not made.moving:
        lacks[MOVING] = f"{made.path} holds pictures"
    if min(len(media.items) for media in (made, real) if media is not None) < 2:
        lacks[MANY] = "it says nothing of a single one; give a folder of them"
    if real is not None:
        try:
            pairs(made, real)
        except DiffilmError as error:
            lacks[PAIRS] = str(error)
    return lacks


def _settings(made: MediaSet, real: MediaSet | None, options: Options) -> dict[str, object]:
    def said(media: MediaSet) -> dict[str, object]:
        cut = media.cut
        return {
            "path": str(media.path),
            "items": len(media.items),
            "kind": "clips" if media.moving else "pictures",
            "frames": cut.frames if media.moving else 1,
            "fps": None if cut.fps is None else str(cut.fps),
            "start": cut.start,
            "size": None if cut.size is None else list(cut.size),
        }

    return {
        "generated": said(made),
        "real": None if real is None else said(real),
        "resize": options.resize,
        "splits": options.splits,
        "rounds": options.rounds,
        "seed": options.seed,
    }
