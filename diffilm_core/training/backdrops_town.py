"""How the places that people made look: city, farm, garden."""

from __future__ import annotations

from functools import partial

import numpy as np

from .painter import HEIGHT, WIDTH, Array, At, Colour, Painter, Pen, smooth
from .scenery import HORIZON, grass, ground, hills, scatter, tree_row


def city(p: Painter) -> None:
    p.open_sky(low=44)
    for base, tones, tall in ((HORIZON + 4, (150, 172, 206), (38, 64)), (HORIZON + 8, (112, 130, 172), (24, 50))):
        x = -p.uniform(0, 10)
        while x < WIDTH:
            w, h = p.uniform(13, 24), p.uniform(*tall)
            _tower(p, x, base, w, h, p.jitter(tones, 14))
            x += w + p.uniform(-1, 3)
    p.paint("far", (150, 160, 180), p.below(np.asarray(HORIZON + 8.0)))
    x = -p.uniform(0, 30)
    while x < WIDTH:
        size = p.uniform(38, 54)
        p.stamp(
            "ground",
            str(p.rng.choice(["office", "department", "bank", "hotel", "house"])),
            x + size / 2,
            HORIZON + 14,
            size,
            flip=False,
        )
        x += size * p.uniform(0.82, 1.05)
    noise = (p.noise(6)[..., None] - 0.5) * 12
    p.paint("ground", np.array((196, 198, 206)) + noise, p.below(np.asarray(HORIZON + 13.0)))
    p.paint("ground", (150, 152, 164), p.below(np.asarray(HORIZON + 23.0)))
    p.paint(
        "ground",
        p.mix((98, 102, 118), (72, 76, 92), p.down(HORIZON + 24, HEIGHT)) + noise,
        p.below(np.asarray(HORIZON + 24.5)),
    )
    shift = p.uniform(0, 30)
    dash = (np.mod((p.x - WIDTH / 2) / (0.6 + (p.y - HORIZON) / 60) + shift, 30) < 17) & (np.abs(p.y - 127) < 1.8)
    p.paint("ground", (250, 236, 190), 0.9 * dash.astype(np.float32))
    if p.time == "night":
        for x in np.arange(p.uniform(0, 50), WIDTH, 60):
            p.glow(partial(_street_light, p, float(x)))


def _street_light(p: Painter, x: float) -> None:
    p.paint("ground", (255, 226, 150), 0.55 * p.blob(x, 112, 26, 10) + 0.6 * p.blob(x, 74, 9, 9))


def _tower(p: Painter, x: float, base: float, w: float, h: float, tone: Array) -> None:
    lit, panes = p.time != "day", [(c, r) for c in np.arange(2, w - 3, 4) for r in np.arange(3, h - 3, 5)]
    on = p.rng.random(len(panes))

    def walls(pen: Pen, at: At) -> None:
        pen.rectangle(at(x, base - h, x + w, base + 6), fill=(*[int(v) for v in tone], 255))
        pen.rectangle(at(x, base - h, x + 1.6, base + 6), fill=(*[int(min(v * 1.15, 255)) for v in tone], 255))
        for (c, r), _ in zip(panes, on, strict=True):
            pen.rectangle(at(x + c, base - h + r, x + c + 2, base - h + r + 2.6), fill=(196, 220, 244, 255))

    def windows(pen: Pen, at: At) -> None:
        for (c, r), o in zip(panes, on, strict=True):
            if o < 0.55:
                pen.rectangle(at(x + c, base - h + r, x + c + 2, base - h + r + 2.6), fill=(255, 222, 130, 255))

    p.draw("far", walls)
    if lit:
        p.glow(lambda: p.draw("far", windows))


def farm(p: Painter) -> None:
    p.open_sky()
    hills(p, [(176, 206, 110), (206, 200, 96)], [HORIZON - 4, HORIZON + 2], 8)
    line = np.asarray(HORIZON + 5.0)
    ground(p, (122, 170, 66), (166, 196, 88), line)
    rows = np.sin((p.x - WIDTH / 2) / (0.16 + (p.y - HORIZON + 4).clip(0.5) / 40) / 1.5) * 0.5 + 0.5
    band = p.below(line, 1) * (1 - smooth(100, 106, p.y))
    p.paint("ground", p.mix((234, 190, 82), (170, 122, 52), smooth(0.3, 0.7, rows)), 0.92 * band)
    _barn(p, p.uniform(20, 74) if p.chance(0.5) else WIDTH - p.uniform(20, 74), HORIZON + 14, p.uniform(42, 54))
    for _ in range(int(p.rng.integers(1, 4))):
        _bale(p, p.uniform(20, WIDTH - 20), p.uniform(99, 107), p.uniform(6, 10))
    scatter(p, ["sheaf"], 9, 96, 106, (11, 17))
    _fence(p, p.uniform(106, 109), (170, 118, 70))
    grass(p, (120, 168, 62), 120)


def _barn(p: Painter, x: float, foot: float, w: float) -> None:
    h, red = w * 0.52, tuple(int(v) for v in p.jitter((206, 62, 54), 8))
    dark, white = tuple(int(v * 0.8) for v in red), (250, 246, 238)

    def shapes(pen: Pen, at: At) -> None:
        left, right, top = x - w / 2, x + w / 2, foot - h
        pen.polygon(
            at(
                left,
                foot,
                left,
                top,
                left + w * 0.18,
                top - h * 0.42,
                x,
                top - h * 0.66,
                right - w * 0.18,
                top - h * 0.42,
                right,
                top,
                right,
                foot,
            ),
            fill=red,
        )
        for i in range(1, 9):
            pen.line(at(left + w * i / 9, foot, left + w * i / 9, top), fill=dark, width=2)
        roof = at(
            left - 3,
            top + 2,
            left + w * 0.16,
            top - h * 0.46,
            x,
            top - h * 0.74,
            right - w * 0.16,
            top - h * 0.46,
            right + 3,
            top + 2,
        )
        pen.line(roof, fill=(112, 70, 66), width=int(at(4)[0]), joint="curve")
        pen.rectangle(
            at(x - w * 0.19, foot - h * 0.72, x + w * 0.19, foot), fill=dark, outline=white, width=int(at(1.4)[0])
        )
        pen.line(at(x - w * 0.19, foot - h * 0.72, x + w * 0.19, foot), fill=white, width=int(at(1.2)[0]))
        pen.line(at(x + w * 0.19, foot - h * 0.72, x - w * 0.19, foot), fill=white, width=int(at(1.2)[0]))
        pen.rectangle(
            at(x - w * 0.08, top - h * 0.34, x + w * 0.08, top - h * 0.08),
            fill=(70, 44, 44),
            outline=white,
            width=int(at(1)[0]),
        )

    p.paint("ground", (20, 25, 40), 0.3 * p.blob(x, foot, w * 0.62, 3.4))
    p.draw("ground", shapes)


def _bale(p: Painter, x: float, foot: float, r: float) -> None:
    p.paint("ground", (20, 25, 40), 0.3 * p.blob(x, foot, r * 1.2, 2.2))
    p.paint(
        "ground", p.mix((246, 212, 116), (196, 148, 62), p.down(foot - 2 * r, foot)), p.blob(x, foot - r, r, r, 0.05)
    )
    for k in (0.3, 0.62):
        d = np.sqrt((p.x - x) ** 2 + (p.y - foot + r) ** 2)
        p.paint("ground", (168, 122, 50), 0.6 * np.exp(-(((d - k * r) / 0.7) ** 2)))


def _fence(
    p: Painter,
    foot: float,
    tone: Colour,
    layer: str = "ground",
    tall: float = 13,
    gap: float = 15,
    pointed: bool = False,
) -> None:
    body, light = tuple(int(c) for c in tone), tuple(int(min(c * 1.18, 255)) for c in tone)

    def shapes(pen: Pen, at: At) -> None:
        for y in (foot - tall * 0.75, foot - tall * 0.38):
            pen.rectangle(at(0, y, WIDTH, y + 2), fill=body)
        for x in np.arange(4, WIDTH, gap):
            w = 3.2
            tip = foot - tall - (2.6 if pointed else 0)
            pen.polygon(at(x, foot, x, foot - tall, x + w / 2, tip, x + w, foot - tall, x + w, foot), fill=light)

    p.paint(layer, (20, 25, 40), 0.25 * np.exp(-(((p.y - foot) / 1.2) ** 2)))
    p.draw(layer, shapes)


def garden(p: Painter) -> None:
    p.open_sky(low=50)
    hills(p, [(160, 210, 150)], [HORIZON - 2], 8)
    tree_row(p, ["tree"], 8, HORIZON + 5, (26, 40), (130, 190, 130), 0.25)
    p.stamp(
        "ground",
        "house",
        p.uniform(28, 70) if p.chance(0.5) else WIDTH - p.uniform(28, 70),
        HORIZON + 15,
        p.uniform(54, 64),
        flip=False,
    )
    hedge = HORIZON + 3 + 3 * p.noise(7, 7, 2)
    ground(p, (112, 190, 84), (150, 214, 104), np.asarray(HORIZON + 13.0))
    p.paint(
        "ground",
        p.mix((92, 170, 84), (46, 120, 58), p.down(HORIZON, HORIZON + 15) + 0.3 * p.noise(4)),
        0.0 * p.below(hedge),
    )
    _fence(p, HORIZON + 17, (238, 240, 246), tall=14, gap=6.5, pointed=True)
    for foot, size in ((HORIZON + 22, 12), (HORIZON + 27, 14)):
        for x in np.arange(p.uniform(0, 8), WIDTH, 9.5):
            name = str(p.rng.choice(["tulip", "sunflower", "daisy", "tulip", "hyacinth"]))
            p.stamp(
                "ground", name, x + p.uniform(-2, 2), foot + p.uniform(-1, 1), size * p.uniform(0.85, 1.15), shadow=0.15
            )
    for x in np.arange(p.uniform(0, 12), WIDTH, 15):
        name = str(p.rng.choice(["tulip", "sunflower", "daisy"]))
        p.stamp("front", name, x + p.uniform(-4, 4), 144 + p.uniform(-1, 3), p.uniform(11, 17))
