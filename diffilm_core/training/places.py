"""The places of the shipped model's world: their words, their hours and weathers, and how a subject stands in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import backdrops, backdrops_rooms, backdrops_town
from .painter import Painter

TIMES = ("day", "night", "sunset")
WEATHERS = ("clear", "rain", "snow", "fog")


@dataclass(frozen=True)
class Place:
    """One place.

    name: the plain noun; where: prepositional phrases that finish "a fox ..."; nouns: what "... at night" alone can be;
    weathers: those that can be; has_time: whether day and night are to be seen; foot: where subjects stand, as
    shares of the frame's height from its top; water: "", "surface" (subjects float half sunk) or "under";
    indoors; shows: the vocabulary's nouns that the backdrop itself may show, never held out there; warp: how
    far waves move each layer (sky, clouds, far, ground, front), in shares of the frame.
    """

    id: int
    name: str
    paint: Callable[[Painter], None]
    where: tuple[str, ...]
    nouns: tuple[str, ...]
    weathers: tuple[str, ...] = WEATHERS
    has_time: bool = True
    foot: tuple[float, float] = (0.80, 0.92)
    water: str = ""
    indoors: bool = False
    shows: tuple[str, ...] = ()
    warp: tuple[float, float, float, float, float] = (0, 0, 0, 0, 0.006)


_DRY = ("clear",)
_HEAVEN = ("sun", "moon", "cloud")
_STILL = (0.0, 0.0, 0.0, 0.0, 0.0)

PLACES: tuple[Place, ...] = (
    Place(
        0,
        "meadow",
        backdrops.meadow,
        ("in the meadow", "in a green meadow", "on the grass", "in a meadow full of flowers"),
        ("a meadow", "a green meadow", "a field of flowers"),
        shows=(*_HEAVEN, "tree", "flower", "tulip", "sunflower"),
    ),
    Place(
        1,
        "forest",
        backdrops.forest,
        ("in the forest", "in the woods", "among the trees", "in a deep forest"),
        ("a forest", "the woods", "a deep forest"),
        shows=(*_HEAVEN, "pine tree", "tree", "mushroom"),
    ),
    Place(
        2,
        "snow",
        backdrops.snow,
        ("in the snow", "in the deep snow", "on the snow", "in a snowy field"),
        ("a snowy field", "a field of snow"),
        ("clear", "snow", "fog"),
        shows=(*_HEAVEN, "pine tree"),
    ),
    Place(
        3,
        "beach",
        backdrops.beach,
        ("on the beach", "on a sandy beach", "at the beach", "on the shore"),
        ("a beach", "a sandy beach", "a beach with palm trees"),
        warp=(0, 0, 0.007, 0, 0),
        shows=(*_HEAVEN, "palm tree", "boat", "shell", "rock"),
    ),
    Place(
        4,
        "desert",
        backdrops.desert,
        ("in the desert", "on the desert sand", "among the dunes", "in a hot desert"),
        ("a desert", "the desert", "a desert of sand dunes"),
        ("clear", "fog"),
        warp=_STILL,
        shows=(*_HEAVEN, "cactus", "rock"),
    ),
    Place(
        5,
        "city",
        backdrops_town.city,
        ("in the city", "in the town", "on a city street", "in a big city"),
        ("a city", "a big city", "a city street"),
        warp=_STILL,
        shows=(*_HEAVEN, "skyscraper", "house"),
    ),
    Place(
        6,
        "sea",
        backdrops.sea,
        ("in the sea", "on the sea", "in the ocean", "on the waves of the sea"),
        ("the sea", "the ocean", "the wide sea"),
        foot=(0.84, 0.92),
        water="surface",
        warp=(0, 0, 0, 0.010, 0.014),
        shows=(*_HEAVEN, "boat", "palm tree"),
    ),
    Place(
        7,
        "underwater",
        backdrops_rooms.underwater,
        ("under the sea", "under water", "at the bottom of the sea", "underwater"),
        ("the bottom of the sea", "an underwater world"),
        _DRY,
        water="under",
        warp=(0.004, 0.008, 0.008, 0.004, 0.012),
        shows=("coral", "shell", "rock"),
    ),
    Place(
        8,
        "mountains",
        backdrops.mountains,
        ("in the mountains", "on the mountain", "high in the mountains", "among the mountains"),
        ("the mountains", "snowy mountains", "high mountains"),
        warp=_STILL,
        shows=(*_HEAVEN, "rock", "pine tree"),
    ),
    Place(
        9,
        "kitchen",
        backdrops_rooms.kitchen,
        ("in the kitchen", "in a cosy kitchen", "on the kitchen floor"),
        ("a kitchen", "a cosy kitchen"),
        _DRY,
        indoors=True,
        warp=_STILL,
        shows=("teapot", "soup", "bread", "egg", "moon", "cloud"),
    ),
    Place(
        10,
        "bedroom",
        backdrops_rooms.bedroom,
        ("in the bedroom", "in a cosy bedroom", "on the bedroom rug"),
        ("a bedroom", "a cosy bedroom"),
        _DRY,
        indoors=True,
        warp=_STILL,
        shows=("bed", "teddy bear", "book", "moon", "cloud"),
    ),
    Place(
        11,
        "space",
        backdrops_rooms.space,
        ("in space", "in outer space", "on the moon", "far away in space"),
        ("outer space", "space"),
        _DRY,
        has_time=False,
        warp=_STILL,
        shows=("planet", "star", "moon"),
    ),
    Place(
        12,
        "farm",
        backdrops_town.farm,
        ("on the farm", "at the farm", "near the red barn", "on a little farm"),
        ("a farm", "a farm with a red barn"),
        shows=(*_HEAVEN, "wheat"),
    ),
    Place(
        13,
        "sky",
        backdrops_rooms.sky,
        ("in the sky", "in the clouds", "on a cloud", "high up in the sky"),
        ("the sky", "a sky full of clouds"),
        ("clear", "rain"),
        foot=(0.74, 0.88),
        warp=_STILL,
        shows=(*_HEAVEN, "rainbow", "star"),
    ),
    Place(
        14,
        "river",
        backdrops_rooms.river,
        ("by the river", "at the river", "beside the stream", "on the river bank"),
        ("a river", "a winding river"),
        foot=(0.87, 0.93),
        warp=(0, 0, 0, 0.004, 0.006),
        shows=(*_HEAVEN, "tree", "pine tree", "rock"),
    ),
    Place(
        15,
        "garden",
        backdrops_town.garden,
        ("in the garden", "in a flower garden", "behind the house in the garden"),
        ("a garden", "a flower garden"),
        shows=(*_HEAVEN, "house", "tree", "tulip", "sunflower", "flower"),
    ),
)

# How much of the hour falls on a subject: (time, rgb) factors. Milder than the backdrop's, so that it stays
# recognisable.
SUBJECT_LIGHT = ((1.0, 1.0, 1.0), (0.74, 0.77, 0.95), (1.02, 0.88, 0.78))
