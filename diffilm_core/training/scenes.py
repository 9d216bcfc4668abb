"""Random picture-book scenes: what is in a picture and how it moves, as tensors of parameters.

The way through the training data:

    bank = SpriteBank.load(".cache/sprites.safetensors")                   # emoji.py
    renderer = SceneRenderer(bank, size=128, device=device, variants=16)   # render.py: paints its backdrops first
    scenes = sample_scenes(512, seed=7, split="train")                     # SceneBatch on the CPU
    pixels = renderer.render(scenes)                                       # uint8 (n, 3, 128, 128)
    clips = renderer.render_clips(sample_scenes(32, seed=8, clips=True), frames=16, fps=8)
                                                                           # uint8 (n, 3, 16, 128, 128); fps: float or
                                                                           # (n,)
    words = captions(scenes, seed=7)                                       # captions.py: list[str], one a scene
    prompts = heldout_prompts(200)                                         # [(prompt, object id, place id)]

Object ids index `vocabulary.OBJECTS`, place ids `places.PLACES`, times `places.TIMES`, weathers `places.WEATHERS`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import torch
from torch import Tensor

from ..errors import DiffilmError
from .places import PLACES, WEATHERS
from .vocabulary import KINDS, OBJECTS, with_article

SPLITS = ("train", "heldout", "all")
MOTIONS = ("rest", "walk", "hop", "float", "sway", "approach")
REST, WALK, HOP, FLOAT, SWAY, APPROACH = range(6)

_SIZES = torch.tensor([[0.0, 0.0], [0.32, 0.42], [0.38, 0.52], [0.44, 0.62], [0.50, 0.70], [0.56, 0.76]])
_TIMES = torch.tensor([0.50, 0.27, 0.23])
_WEATHERS = torch.tensor([0.68, 0.13, 0.10, 0.09])
# Chances of the motions by kind, in the order of KINDS; fliers and swimmers float.
_MOVES = torch.tensor(
    [
        [0.22, 0.42, 0.20, 0.00, 0.02, 0.14],
        [0.26, 0.40, 0.10, 0.00, 0.10, 0.14],
        [0.14, 0.00, 0.06, 0.00, 0.66, 0.14],
        [0.16, 0.06, 0.36, 0.00, 0.26, 0.16],
        [0.04, 0.80, 0.00, 0.00, 0.00, 0.16],
        [0.55, 0.00, 0.00, 0.00, 0.03, 0.42],
        [0.16, 0.06, 0.32, 0.00, 0.30, 0.16],
    ]
)
_COLUMNS = 48
_DUOS = 79
"""Seed of the scenes that two-subject prompts name."""


@dataclass(frozen=True)
class SceneBatch:
    """n scenes; every field is a tensor (n,). Lengths are shares of the frame, times seconds; t = 0 is a clip's middle.

    object, other: ids of the subject and a second one, -1 for none; place, time, weather; variant: a free number that
    picks the backdrop. size, x, foot: the subject's height, its middle and the height of its foot from the top; flip;
    angle (radians); playing, phase: the sprite animation runs (where it has one), and where it is at t = 0; motion
    (see MOTIONS), speed (widths a second, signed), rate (Hz); other_*: the same for the second one. camera_x, camera_y
    in [-1, 1] of the backdrop's slack; pan (widths a second); zoom; zoom_rate (1/s, of its logarithm); mirror: the
    backdrop is mirrored; drift of the clouds; grain in [0, 1) seeds rain and snowflakes; gain of the exposure.
    """

    object: Tensor
    other: Tensor
    place: Tensor
    time: Tensor
    weather: Tensor
    variant: Tensor
    size: Tensor
    x: Tensor
    foot: Tensor
    flip: Tensor
    angle: Tensor
    playing: Tensor
    phase: Tensor
    motion: Tensor
    speed: Tensor
    rate: Tensor
    other_size: Tensor
    other_x: Tensor
    other_foot: Tensor
    other_flip: Tensor
    other_phase: Tensor
    other_motion: Tensor
    camera_x: Tensor
    camera_y: Tensor
    pan: Tensor
    zoom: Tensor
    zoom_rate: Tensor
    mirror: Tensor
    drift: Tensor
    grain: Tensor
    gain: Tensor

    def __len__(self) -> int:
        return len(self.object)

    def __getitem__(self, index: slice | Tensor | Sequence[int]) -> SceneBatch:
        """The scenes of a slice, or of indices."""
        return SceneBatch(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @property
    def objects(self) -> Tensor:
        """(n, 2) ids of the first and the second subject, -1 for none."""
        return torch.stack([self.object, self.other], 1)

    def to(self, device: torch.device | str) -> SceneBatch:
        return SceneBatch(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})


def _hash(*words: str) -> int:
    return int.from_bytes(hashlib.blake2b("|".join(words).encode(), digest_size=6).digest(), "big")


@lru_cache
def heldout_pairs() -> frozenset[tuple[int, int]]:
    """(object id, place id) never composed in the split "train": one or two places of every object, by hash."""
    pairs: set[tuple[int, int]] = set()
    for thing in OBJECTS:
        free = [place for place in PLACES if thing.noun not in place.shows]
        ranked = sorted(free, key=lambda place: _hash("held", thing.noun, place.name))
        count = 2 if _hash("two", thing.noun) % 10 < 6 else 1
        pairs.update((thing.id, place.id) for place in ranked[:count])
    return frozenset(pairs)


def heldout_prompts(n: int = 200) -> list[tuple[str, int, int]]:
    """n fixed plain captions of held-out pairs, places in turn, no object twice: (prompt, object id, place id)."""
    by_place: dict[int, list[int]] = {place.id: [] for place in PLACES}
    for pair in sorted(heldout_pairs(), key=lambda pair: _hash("prompt", *map(str, pair))):
        by_place[pair[1]].append(pair[0])
    out: list[tuple[str, int, int]] = []
    used: set[int] = set()
    while len(out) < n:
        before = len(out)
        for place in PLACES:
            thing = next((o for o in by_place[place.id] if o not in used), None)
            if thing is not None and len(out) < n:
                used.add(thing)
                kind = OBJECTS[thing]
                out.append((f"{with_article(kind.noun, kind.some[0])} {place.where[0]}", thing, place.id))
        if len(out) == before:
            raise DiffilmError(f"only {before} held-out prompts exist, {n} were asked for: ask for fewer")
    return out


def plain_words(objects: Tensor, places: Tensor) -> list[str]:
    """Such as "a fox and an owl in the snow": objects `(n, 2)`, the second -1 where there is none, places `(n,)`."""
    named = [[with_article(OBJECTS[o].noun, OBJECTS[o].some[0]) for o in pair if o >= 0] for pair in objects.tolist()]
    words = [PLACES[place].where[0] for place in places.tolist()]
    return [f"{' and '.join(some)} {where}" for some, where in zip(named, words, strict=True)]


def heldout_duos(n: int = 200) -> tuple[list[str], SceneBatch]:
    """n fixed plain captions of two subjects, the first in a place it was never composed with, and the scenes."""
    scenes = sample_scenes(n, seed=_DUOS, split="heldout", subjects=2)
    return plain_words(scenes.objects, scenes.place), scenes


@lru_cache
def _allowed(split: str) -> Tensor:
    """(objects, places) float: 1 where the split may compose the pair."""
    table = torch.zeros(len(OBJECTS), len(PLACES))
    for thing, place in heldout_pairs():
        table[thing, place] = 1.0
    return {"train": 1 - table, "heldout": table, "all": torch.ones_like(table)}[split]


def _pick(weights: Tensor, u: Tensor) -> Tensor:
    """Index by inverse distribution: weights (n, k) or (k,), u (n,) in [0, 1)."""
    edges = weights.cumsum(-1)
    return (u[:, None] * edges[..., -1:] >= edges.expand(len(u), -1)).sum(-1).clamp(max=weights.shape[-1] - 1)


@lru_cache
def _facts() -> dict[str, Tensor]:
    """The vocabulary and the places as tables."""
    weathers = torch.tensor([[float(w in p.weathers) for w in WEATHERS] for p in PLACES])
    moves = _MOVES[[KINDS.index(o.kind) for o in OBJECTS]].clone()
    flies, swims = torch.tensor([o.flies for o in OBJECTS]), torch.tensor([o.swims for o in OBJECTS])
    moves[flies] = torch.tensor([0.0, 0.0, 0.0, 0.84, 0.0, 0.16])
    return {
        "sizes": _SIZES[[o.size for o in OBJECTS]],
        "flies": flies,
        "swims": swims,
        "faces": torch.tensor([{"L": -1, "R": 1, "F": 0}[o.faces] for o in OBJECTS]),
        "moves": moves,
        "weathers": weathers,
        "has_time": torch.tensor([p.has_time for p in PLACES]),
        "foot": torch.tensor([p.foot for p in PLACES]),
        "surface": torch.tensor([p.water == "surface" for p in PLACES]),
        "under": torch.tensor([p.water == "under" for p in PLACES]),
        "space": torch.tensor([p.name == "space" for p in PLACES]),
    }


def sample_scenes(
    n: int,
    *,
    seed: int,
    split: str = "train",
    subjects: int | None = None,
    clips: bool = False,
    pairs: float = 0.25,
    empty: float = 0.03,
) -> SceneBatch:
    """n random scenes on the CPU; the same seed gives the same scenes, and fewer of them are the first of more.

    split: "train" never composes a held-out pair, "heldout" has only held-out subjects, "all" composes everything.
    clips: the sprites' animations run more often. subjects: 1 or 2 in every scene; None mixes them, with the shares
    `pairs` of scenes with two and `empty` of scenes with none ("heldout" has no empty ones). Raises DiffilmError on an
    unknown split.
    """
    if split not in SPLITS:
        raise DiffilmError(f'split was "{split}", expected one of {", ".join(SPLITS)}')
    if subjects is not None:
        pairs, empty = float(subjects == 2), 0.0
    f = _facts()
    generator = torch.Generator().manual_seed(seed)
    columns = iter(torch.rand(n, _COLUMNS, generator=generator).unbind(1))

    def u() -> Tensor:
        return next(columns)

    def between(low: float | Tensor, high: float | Tensor) -> Tensor:
        return low + (high - low) * u()

    thing = (u() * len(OBJECTS)).long().clamp(max=len(OBJECTS) - 1)
    place = _pick(_allowed(split)[thing], u())
    mates = _allowed("train" if split == "heldout" else split).T[place]
    second = _pick(mates.scatter(1, thing[:, None], 0.0), u())
    share, two = u(), u()
    bare = share < empty if split != "heldout" else torch.zeros(n, dtype=torch.bool)
    double = (two < pairs) & ~bare
    time = _pick(_TIMES, u()) * f["has_time"][place]
    weather = _pick(_WEATHERS * f["weathers"][place] + 1e-9, u())
    first_left = u() < 0.5
    shrink = torch.where(double, 0.84, 1.0)
    size = between(f["sizes"][thing, 0], f["sizes"][thing, 1]) * shrink
    other_size = (between(f["sizes"][second, 0], f["sizes"][second, 1]) * 0.78).clamp(max=0.50)
    gap = between(0.20, 0.26)
    middle = between(0.47, 0.53)
    side = torch.where(first_left, -1.0, 1.0)
    x = torch.where(double, middle + side * gap, between(0.36, 0.64))
    foot = _feet(thing, place, size, u(), u())
    other_foot = _feet(second, place, other_size, u(), u()) - 0.03
    motion, other_motion = _motions(thing, place, u()), _motions(second, place, u())
    direction = torch.where(u() < 0.5, -1.0, 1.0)
    pace = torch.tensor([0.0, 0.17, 0.06, 0.09, 0.0, 0.0])[motion] * between(0.5, 1.5)
    speed = direction * pace * torch.where(double, 0.35, 1.0)
    follow = (u() < 0.45) & (motion == WALK)
    wander = (between(-1.0, 1.0) * 0.055) * (u() < 0.6)
    pan = torch.where(follow, speed * between(0.6, 1.0), wander)
    looks = f["faces"][thing]
    flip = torch.where(((motion == WALK) | (motion == FLOAT)) & (looks != 0), looks * direction < 0, u() < 0.5)
    playing = u() < (0.8 if clips else 0.35)
    return SceneBatch(
        object=torch.where(bare, -1, thing),
        other=torch.where(double, second, -1),
        place=place,
        time=time.long(),
        weather=weather,
        variant=(u() * 2**20).long(),
        size=size,
        x=x,
        foot=foot,
        flip=flip,
        angle=between(-0.05, 0.05),
        playing=playing,
        phase=u(),
        motion=motion,
        speed=speed,
        rate=between(0.7, 1.3),
        other_size=other_size,
        other_x=middle - side * gap,
        other_foot=other_foot,
        other_flip=u() < 0.5,
        other_phase=u(),
        other_motion=other_motion,
        camera_x=between(-1, 1),
        camera_y=between(-1, 1),
        pan=pan,
        zoom=between(1.0, 1.18),
        zoom_rate=between(-0.06, 0.06) * (u() < 0.5),
        mirror=u() < 0.5,
        drift=between(-0.025, 0.025),
        grain=u(),
        gain=between(0.95, 1.05),
    )


def _feet(thing: Tensor, place: Tensor, size: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Where the foot is: larger subjects nearer, fliers in the air, swimmers off the sea's floor."""
    f = _facts()
    low, high = f["foot"][place].unbind(-1)
    near = (0.55 * a + 0.45 * ((size - 0.32) / 0.44).clamp(0, 1)).clamp(0, 1)
    foot = low + (high - low) * near
    lifted = f["flies"][thing] | (f["swims"][thing] & f["under"][place]) | (f["space"][place] & (b < 0.25))
    foot = foot - lifted * (0.10 + 0.22 * b)
    return torch.maximum(foot, size + 0.04).clamp(max=0.96)


def _motions(thing: Tensor, place: Tensor, u: Tensor) -> Tensor:
    f = _facts()
    motion = _pick(f["moves"][thing], u)
    afloat = f["surface"][place] | (f["under"][place] & f["swims"][thing]) | (f["space"][place] & (motion == WALK))
    return torch.where(afloat & (motion != APPROACH), FLOAT, motion)
