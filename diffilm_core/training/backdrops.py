"""How the places of nature look: each function paints one random backdrop. Subjects stand at canvas
height 108 to 128.
"""

from __future__ import annotations

import numpy as np

from .painter import HEIGHT, WIDTH, Array, Painter, smooth
from .scenery import HORIZON, grass, ground, hills, scatter, tree_row, water


def meadow(p: Painter) -> None:
    p.open_sky()
    hills(p, [(150, 205, 150), (126, 200, 104)], [HORIZON - 6, HORIZON + 1])
    for _ in range(int(p.rng.integers(2, 6))):
        p.stamp(
            "far",
            "tree",
            p.uniform(0, WIDTH),
            HORIZON + p.uniform(0, 4),
            p.uniform(14, 26),
            fade=(150, 210, 150),
            haze=0.15,
        )
    ground(p, (76, 168, 62), (138, 208, 84), p.ridge(HORIZON + 6, 4, 160))
    scatter(p, ["daisy", "tulip", "daisy", "sunflower", "hyacinth"], 34, 92, 140, (5, 15), shadow=0.12)
    grass(p, (66, 160, 56))


def forest(p: Painter) -> None:
    p.open_sky(clouds=False, low=46)
    p.paint("far", (150, 196, 170), 0.75 * p.below(np.asarray(34.0), 26))
    tree_row(p, ["pine", "tree"], 16, HORIZON + 2, (44, 66), (120, 178, 150), 0.62)
    tree_row(p, ["pine", "pine", "tree"], 13, HORIZON + 8, (58, 84), (54, 120, 84), 0.40)
    ground(p, (70, 104, 48), (96, 140, 66), p.ridge(HORIZON + 8, 3, 120), 16)
    path = np.exp(-(((p.x - WIDTH / 2 - 16 * np.sin(p.y / 12)) / (4 + (p.y - HORIZON).clip(0) * 0.55)) ** 2))
    p.paint("ground", (148, 112, 74), 0.75 * path * p.below(np.asarray(HORIZON + 10.0), 3))
    for x in [p.uniform(4, 52), p.uniform(WIDTH - 52, WIDTH - 4), p.uniform(0, WIDTH)]:
        p.stamp("ground", "pine" if p.chance(0.7) else "tree", x, p.uniform(94, 102), p.uniform(78, 96), shadow=0.35)
    scatter(p, ["mushroom", "mushroom", "herb", "wood"], 12, 98, 140, (6, 17))
    if p.time == "day":
        beam = np.sin((p.x + p.y * 0.6) / p.uniform(9, 14) + p.uniform(0, 6))
        p.glow(
            lambda: p.paint(
                "far", (255, 250, 200), 0.16 * smooth(0.35, 1.0, beam) * (1 - p.down(50, 100)) * p.layers["far"][..., 3]
            )
        )
    grass(p, (52, 110, 48), 110)


def snow(p: Painter) -> None:
    p.open_sky()
    hills(p, [(206, 222, 244), (224, 236, 250)], [HORIZON - 8, HORIZON + 1], 14)
    for foot, size, haze in ((HORIZON - 1, 20, 0.72), (HORIZON + 5, 32, 0.52)):
        for _ in range(int(p.rng.integers(3, 7))):
            p.stamp(
                "far",
                "pine",
                p.uniform(0, WIDTH),
                foot + p.uniform(-3, 3),
                size * p.uniform(0.8, 1.2),
                fade=(240, 247, 255),
                haze=haze,
            )
    line = p.ridge(HORIZON + 8, 5, 140)
    drift = p.noise(50, 9)
    p.paint(
        "ground", p.mix((250, 253, 255), (206, 222, 246), 0.75 * drift * p.down(HORIZON, HEIGHT) + 0.12), p.below(line)
    )
    for x in (p.uniform(0, 44), p.uniform(WIDTH - 44, WIDTH)):
        if p.chance(0.7):
            foot = p.uniform(95, 104)
            p.stamp("ground", "pine", x, foot, p.uniform(44, 64), fade=(244, 250, 255), haze=0.38, shadow=0.18)
    for _ in range(40):
        p.paint_dot("ground", p.uniform(0, WIDTH), p.uniform(96, HEIGHT), 0.5, (255, 255, 255), 0.9)
    mound = p.ridge(139, 5, 70)
    p.paint("front", (246, 250, 255), p.below(mound, 1.2))


def beach(p: Painter) -> None:
    p.open_sky(low=54)
    water(p, "far", (66, 150, 214), (88, 214, 214), HORIZON - 14, HORIZON + 16)
    if p.chance(0.5):
        p.stamp("far", "sailboat", p.uniform(20, WIDTH - 20), HORIZON - 8, p.uniform(12, 18))
    shore = p.ridge(HORIZON + 14, 5, 120)
    p.paint("ground", (246, 252, 252), 0.9 * p.below(shore - 2.6, 1.2))
    p.paint("ground", (212, 178, 128), p.below(shore, 0.8))
    sand = p.mix((250, 226, 164), (238, 202, 132), p.down(HORIZON + 14, HEIGHT)) + (p.noise(5, 3)[..., None] - 0.5) * 18
    p.paint("ground", np.clip(sand, 0, 255), p.below(shore + 5, 3))
    side = p.uniform(-6, 20) if p.chance(0.5) else WIDTH - p.uniform(-6, 20)
    p.stamp("ground", "palm", side, p.uniform(104, 112), p.uniform(78, 98), shadow=0.3)
    if p.chance(0.55):
        p.stamp("ground", "parasol", WIDTH - side + p.uniform(-20, 20), p.uniform(102, 108), p.uniform(28, 38))
    if p.chance(0.6):
        p.stamp("ground", "palm", p.uniform(0, WIDTH), p.uniform(98, 102), p.uniform(50, 64), shadow=0.25)
    scatter(p, ["shell", "shell", "rock"], 7, 110, 138, (5, 11))


def desert(p: Painter) -> None:
    p.open_sky()
    for level, colour in ((HORIZON - 10, (226, 156, 104)), (HORIZON, (238, 178, 108))):
        x0, w = p.uniform(0, WIDTH), p.uniform(36, 60)
        top = level - 16 * smooth(0, 1, (w - np.abs(p.x[:1] - x0)) / 8) if p.chance(0.5) else level
        line = p.ridge(0, 10, p.uniform(90, 150)) + top
        p.paint(
            "far",
            p.mix(np.array(colour) * 1.05, np.array(colour) * 0.86, np.clip((p.y - line) / 26, 0, 1)).clip(0, 255),
            p.below(line),
        )
    line = p.ridge(HORIZON + 8, 6, 150)
    ripple = np.sin((p.y - HORIZON).clip(0) ** 1.15 * 0.55 + 9 * p.noise(80, 26, 2))
    colour = (
        p.mix((250, 206, 132), (232, 170, 92), p.down(HORIZON, HEIGHT))
        + 7 * (ripple * p.down(HORIZON, HEIGHT))[..., None]
    )
    p.paint("ground", np.clip(colour, 0, 255), p.below(line))
    for x, foot, size in (
        (p.uniform(8, 60), 100, 44),
        (p.uniform(WIDTH - 60, WIDTH - 8), 106, 56),
        (p.uniform(60, 160), 94, 24),
    ):
        p.stamp("ground", "cactus", x, foot + p.uniform(-3, 3), size * p.uniform(0.8, 1.1), shadow=0.3)
    scatter(p, ["rock"], 5, 98, 138, (5, 11))


def sea(p: Painter) -> None:
    p.open_sky(low=48)
    horizon = HORIZON - 14
    if p.chance(0.4):
        p.stamp(
            "far", str(p.rng.choice(["sailboat", "palm"])), p.uniform(10, WIDTH - 10), horizon + 2, p.uniform(12, 20)
        )
    water(p, "ground", (56, 140, 214), (20, 92, 178), horizon, HEIGHT)
    if p.time != "day":
        colour, x = ((255, 190, 110), WIDTH / 2) if p.time == "sunset" else ((190, 206, 255), p.uniform(60, 160))
        lane = np.exp(-(((p.x - x) / (8 + (p.y - horizon).clip(0) * 0.5)) ** 2)) * smooth(
            0.45, 0.6, p.noise(12, 2.4, 2)
        )
        p.glow(lambda: p.paint("ground", colour, 0.6 * lane * p.below(np.asarray(horizon))))
    crest = 130 + 2.6 * np.sin(p.x[:1] / p.uniform(7, 10)) + 1.6 * np.sin(p.x[:1] / 4.1 + p.uniform(0, 6))
    p.paint("front", p.mix((84, 170, 230), (30, 104, 190), np.clip((p.y - crest) / 16, 0, 1)), 0.88 * p.below(crest, 1))
    p.paint("front", (240, 250, 255), 0.85 * p.below(crest, 1) * (1 - smooth(1, 3.2, p.y - crest)))


def mountains(p: Painter) -> None:
    p.open_sky(low=40)
    for base, count, tall, tone in (
        (HORIZON + 4, 4, (46, 64), (138, 152, 186)),
        (HORIZON + 8, 4, (26, 42), (112, 126, 150)),
    ):
        for x in p.rng.permutation(np.linspace(0, WIDTH, count) + p.rng.uniform(-16, 16, count)):
            _peak(p, float(x), base, p.uniform(*tall), p.uniform(0.95, 1.25), p.jitter(tone, 7))
    tree_row(p, ["pine"], 15, HORIZON + 11, (11, 20), (96, 140, 130), 0.3)
    ground(p, (112, 128, 92), (142, 162, 116), p.ridge(HORIZON + 10, 4, 110), 26)
    scatter(p, ["rock"], 13, 96, 140, (7, 22), shadow=0.3)
    scatter(p, ["herb"], 5, 104, 140, (5, 9))
    for x in (p.uniform(-8, 22), WIDTH - p.uniform(-8, 22)):
        p.stamp("ground", "rock", x, p.uniform(104, 116), p.uniform(34, 50), shadow=0.35)


def _peak(p: Painter, x: float, base: float, tall: float, slope: float, tone: Array) -> None:
    wobble = (p.noise(9, 9, 2) - 0.5) * 7
    side = p.x - x + wobble
    line = base - tall + np.abs(p.x - x + 0.4 * wobble) * slope
    lit = smooth(-1.4, 1.4, side if p.rng.random() < 2 else -side)
    rock = p.mix(np.clip(tone * 1.22, 0, 255), tone * 0.78, lit)
    p.paint("far", rock, p.below(line))
    cap = base - tall * 0.64 + 3.4 * np.sin(p.x / 2.6 + x) + wobble
    snow = p.mix((252, 254, 255), (196, 210, 238), lit)
    p.paint("far", snow, p.below(line) * (1 - smooth(-0.8, 0.8, p.y - cap)))
