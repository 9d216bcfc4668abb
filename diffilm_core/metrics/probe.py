"""Whether clips of Diffilm's own world show what their prompts say, by a classifier of real compositions alone."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from ..errors import DiffilmError
from ..training.places import PLACES
from ..training.probe import Probe
from ..training.vocabulary import OBJECTS

SIDE = 128


def load_probe(path: str | Path) -> Probe:
    """Raises DiffilmError for a file that holds no probe of this vocabulary."""
    state: dict[str, Tensor] = {}
    try:
        state = load_file(path)
        probe = Probe(len(state["objects.bias"]), len(state["places.bias"]))
        probe.load_state_dict(state)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        if any(key.startswith("tower.") for key in state):
            raise DiffilmError(
                f"{path} was trained before a probe's parts voted, and would answer wrongly: train it again"
            ) from error
        reason = str(error).splitlines()[0]
        raise DiffilmError(f"{path} holds no probe ({reason}): give the probe.safetensors of a training run") from error
    if (probe.objects.out_features, probe.places.out_features) != (len(OBJECTS), len(PLACES)):
        raise DiffilmError(
            f"{path} knows {probe.objects.out_features} objects and {probe.places.out_features} places, this Diffilm "
            f"{len(OBJECTS)} and {len(PLACES)}: train it again"
        )
    return probe.eval().requires_grad_(False)


def labels(prompt: str) -> tuple[int, int] | None:
    """Object and place of a prompt in the world's own words, the first-named object; None where one is not named."""
    words = " ".join(re.findall(r"[a-z']+", prompt.lower()))
    found = [_first(words, table) for table in _tables()]
    return None if None in found else (found[0], found[1])  # type: ignore[return-value]


@torch.inference_mode()
def answers(probe: Probe, frame: Tensor, wanted: tuple[int, int]) -> tuple[float, float, float]:
    """Place right, object right, object among the five likeliest, each 1 or 0, of one frame `(h, w, 3)` in [0, 1]."""
    x = frame.permute(2, 0, 1)[None].to(next(probe.parameters()).device)
    if x.shape[2:] != (SIDE, SIDE):
        x = F.interpolate(x, (SIDE, SIDE), mode="bicubic", antialias=True).clamp(0, 1)
    objects, places = probe(x * 2 - 1)
    best = objects[0].topk(5).indices.tolist()
    return float(int(places[0].argmax()) == wanted[1]), float(best[0] == wanted[0]), float(wanted[0] in best)


@lru_cache
def _tables() -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Names of objects and of places with their ids, the longest first."""
    objects = [(name, kind.id) for kind in OBJECTS for name in kind.names]
    places = [(words, place.id) for place in PLACES for words in place.where]
    return _by_length(objects), _by_length(places)


def _by_length(table: list[tuple[str, int]]) -> list[tuple[str, int]]:
    return sorted(table, key=lambda row: (-len(row[0]), row[1]))


def _first(words: str, table: list[tuple[str, int]]) -> int | None:
    """The id of the name that comes first; of two at one place the longer one's."""
    hits = [(match.start(), -len(name), number) for name, number in table
            if (match := re.search(rf"\b{re.escape(name)}\b", words))]  # fmt: skip
    return min(hits)[2] if hits else None
