"""How the rooms and the far realms look: kitchen, bedroom, river, under the sea, space, up in the sky."""

from __future__ import annotations

import numpy as np

from .painter import HEIGHT, SKIES, WIDTH, At, Colour, Painter, Pen, smooth
from .scenery import HORIZON, grass, ground, hills, scatter, tree_row

FLOOR = 92.0


def river(p: Painter) -> None:
    p.open_sky()
    hills(p, [(150, 196, 160), (118, 186, 116)], [HORIZON - 8, HORIZON], 12)
    tree_row(p, ["tree", "pine", "tree"], 10, HORIZON + 5, (18, 32), (150, 205, 165), 0.2)
    ground(p, (92, 172, 78), (136, 204, 92), np.asarray(HORIZON + 3.0))
    depth = (p.y - HORIZON - 3).clip(0)
    bend, start = p.uniform(16, 26), p.uniform(80, 144)
    middle = start + bend * np.sin(depth / 13 + p.uniform(0, 6)) * np.exp(-depth / 60)
    half = 5 + depth * p.uniform(0.95, 1.2) + 2 * np.sin(p.y / 5)
    inside = smooth(-1.2, 1.2, half - np.abs(p.x - middle)) * p.below(np.asarray(HORIZON + 3.0))
    bank = smooth(-1.2, 1.2, half + 2.2 + depth * 0.06 - np.abs(p.x - middle)) * p.below(np.asarray(HORIZON + 3.0))
    p.paint("ground", (196, 168, 112), bank)
    p.paint("ground", p.mix((120, 200, 240), (44, 132, 206), p.down(HORIZON, HEIGHT)), inside)
    glint = smooth(0.60, 0.74, p.noise(17, 3, 2))
    p.paint("ground", (226, 246, 255), 0.7 * glint * inside)
    bottom = p.below(np.asarray(126.0), 4)
    p.paint("ground", (104, 180, 80), bottom)
    p.paint("ground", (196, 168, 112), 0.9 * np.exp(-(((p.y - 123.5) / 1.6) ** 2)))
    p.stamp(
        "ground",
        "tree",
        p.uniform(-4, 24) if p.chance(0.5) else WIDTH - p.uniform(-4, 24),
        112,
        p.uniform(54, 70),
        shadow=0.3,
    )
    scatter(p, ["rock", "rock", "herb"], 8, 122, 136, (7, 14))
    grass(p, (70, 150, 66), 110)


def underwater(p: Painter) -> None:
    stops: dict[str, list[tuple[float, Colour]]] = {
        "day": [(0, (120, 226, 240)), (60, (42, 158, 214)), (120, (16, 92, 168))],
        "sunset": [(0, (250, 190, 150)), (50, (92, 140, 188)), (120, (34, 76, 140))],
        "night": [(0, (38, 70, 136)), (60, (18, 42, 100)), (120, (8, 22, 66))],
    }
    p.paint("sky", p.gradient(stops[p.time]))
    lean, width = p.uniform(-0.5, 0.5), p.uniform(8, 13)
    ray = smooth(0.35, 1.0, np.sin((p.x + lean * p.y) / width + 3 * p.noise(120, 300, 1)))
    p.paint("sky", (236, 255, 255), (0.34 if p.time == "day" else 0.14) * ray * (1 - p.down(0, 112)))
    haze: Colour = (34, 120, 184)
    line = p.ridge(HORIZON + 12, 16, 120)
    p.paint("far", p.mix((36, 122, 180), (22, 92, 156), p.down(70, 120)), p.below(line, 1.5))
    for _ in range(int(p.rng.integers(3, 7))):
        p.stamp("far", "coral", p.uniform(0, WIDTH), p.uniform(94, 100), p.uniform(18, 34), fade=haze, haze=0.55)
    _kelp(p, "far", 9, 104, (30, 62), (24, 112, 128))
    floor = p.ridge(HORIZON + 24, 4, 110)
    caustic = smooth(0.56, 0.72, p.noise(12, 5, 2))
    sand = p.mix((226, 214, 168), (178, 166, 128), p.down(100, HEIGHT)) + 26 * caustic[..., None]
    p.paint("ground", np.clip(sand * np.array((0.86, 0.98, 1.0)), 0, 255), p.below(floor, 1))
    for x in (p.uniform(0, 46), p.uniform(WIDTH - 46, WIDTH), p.uniform(0, WIDTH)):
        p.stamp("ground", "coral", x, p.uniform(108, 116), p.uniform(22, 38), shadow=0.2)
    _kelp(p, "ground", 5, 112, (26, 58), (44, 150, 92))
    scatter(p, ["shell", "rock"], 8, 112, 140, (6, 13))
    for _ in range(26):
        x, y, r = p.uniform(0, WIDTH), p.uniform(6, 100), p.uniform(0.8, 2.4)
        d = np.sqrt((p.x - x) ** 2 + (p.y - y) ** 2)
        p.paint("clouds", (235, 252, 255), 0.75 * np.exp(-(((d - r) / 0.5) ** 2)) + 0.18 * (d < r))
    _kelp(p, "front", 4, 148, (18, 34), (20, 92, 84))


def _kelp(p: Painter, layer: str, count: int, foot: float, tall: tuple[float, float], colour: Colour) -> None:
    for _ in range(count):
        x, h, w, phase = p.uniform(0, WIDTH), p.uniform(*tall), p.uniform(1.6, 3.0), p.uniform(0, 6)
        up = (foot - p.y) / h
        edge = w * (1 - 0.75 * up.clip(0, 1)) * (1 + 0.35 * np.sin((foot - p.y) / 2.2))
        sway = x + 3.2 * np.sin((foot - p.y) / 9 + phase) * up.clip(0, 1)
        p.paint(layer, p.jitter(colour, 9), smooth(-0.6, 0.6, edge - np.abs(p.x - sway)) * (up > 0) * (up < 1))


def space(p: Painter) -> None:
    p.paint("sky", p.mix((8, 8, 28), (26, 18, 62), p.noise(110, 80, 2)))
    for colour in ((124, 60, 190), (40, 96, 206), (214, 70, 150)):
        cloud = smooth(0.5, 0.9, p.noise(70, 46, 4))
        p.paint("sky", p.jitter(colour, 14), 0.55 * cloud)
    p.stars(170, HEIGHT)
    for _ in range(5):
        p.paint_dot("sky", p.uniform(0, WIDTH), p.uniform(4, 84), 1.7, (255, 250, 220), 1.0)
    for name in p.rng.permutation(["planet", "earth", "full_moon", "comet", "star"])[: int(p.rng.integers(2, 4))]:
        size = p.uniform(13, 34)
        p.stamp("clouds", str(name), p.uniform(16, WIDTH - 16), p.uniform(24, 66), size, flip=False)
    line = 104 + ((p.x[:1] - WIDTH / 2) / 34) ** 2 * 0.9 + (p.ridge(0, 2.4, 60) - 0)
    dust = (p.noise(8, 4)[..., None] - 0.5) * 26
    p.paint(
        "ground",
        np.clip(p.mix((206, 208, 222), (118, 120, 142), np.clip((p.y - line) / 44, 0, 1)) + dust, 0, 255),
        p.below(line, 0.8),
    )
    for _ in range(15):
        y = p.uniform(110, 142)
        x, r = p.uniform(0, WIDTH), p.uniform(2.5, 7.5) * (0.5 + (y - 104) / 50)
        p.paint("ground", (104, 106, 128), 0.75 * p.blob(x, y, r, r * 0.36, 0.35))
        p.paint("ground", (226, 228, 240), 0.55 * p.blob(x, y + r * 0.34, r * 0.95, r * 0.12, 0.8))


def sky(p: Painter) -> None:
    p.open_sky(low=74)
    if p.time == "day" and p.chance(0.35):
        r = np.sqrt((p.x - WIDTH / 2) ** 2 + (p.y - 128) ** 2)
        bands: list[Colour] = [
            (150, 90, 220),
            (70, 130, 240),
            (80, 210, 120),
            (255, 230, 90),
            (255, 160, 60),
            (244, 80, 90),
        ]
        for i, colour in enumerate(bands):
            p.paint("sky", colour, 0.5 * np.exp(-(((r - 84 - 3.2 * i) / 2.0) ** 2)))
    shade = {"day": (1.0, 1.0, 1.0), "sunset": (1.0, 0.80, 0.76), "night": (0.62, 0.66, 0.86)}[p.time]
    for layer, y, count, size, fade in (
        ("far", 104, 9, (44, 66), 0.42),
        ("ground", 126, 11, (50, 76), 0.0),
        ("front", 158, 6, (30, 44), 0.0),
    ):
        for _ in range(count):
            big = p.uniform(*size)
            p.stamp(
                layer,
                "cloud",
                p.uniform(-8, WIDTH + 8),
                y + p.uniform(-4, 14),
                big,
                tint=shade,
                fade=(190, 216, 248),
                haze=fade,
            )
    white = np.array((250, 252, 255)) * np.array(shade)
    base = 116 + 3 * np.sin(p.x[:1] / 11 + p.uniform(0, 6)) + 2 * np.sin(p.x[:1] / 5)
    puff = p.mix(white, np.array((196, 214, 246)) * np.array(shade), smooth(116, 150, p.y + 16 * p.noise(26, 8, 2)))
    p.paint("ground", puff, p.below(base, 4))


def _room(p: Painter, wall: Colour, floor: Colour) -> None:
    shade = 1.05 - 0.15 * p.down(0, FLOOR)[..., None] - 0.10 * ((p.x - WIDTH / 2) / WIDTH)[..., None] ** 2 * 4
    p.paint("far", np.clip(np.asarray(wall) * shade, 0, 255) * np.ones((p.height, p.width, 1)))
    p.paint(
        "ground",
        p.mix(np.asarray(floor) * 0.88, np.asarray(floor) * 1.06, p.down(FLOOR, HEIGHT)).clip(0, 255),
        p.below(np.asarray(FLOOR)),
    )


def _window(p: Painter, x: float, y: float, w: float, h: float, frame: Colour) -> None:
    """A window that shows the hour's sky; painted after the tint, as light does not fall on it."""
    colours, tone = (
        SKIES[p.time],
        tuple(int(c) for c in np.asarray(frame) * {"day": 1.0, "sunset": 0.85, "night": 0.6}[p.time]),
    )
    stars = [(p.uniform(x - w / 2 + 2, x + w / 2 - 2), p.uniform(y - h / 2 + 2, y + h / 2 - 2)) for _ in range(12)]

    def panes() -> None:
        inside = ((np.abs(p.x - x) < w / 2) & (np.abs(p.y - y) < h / 2)).astype(np.float32)
        p.paint("far", p.gradient([(y - h / 2 + s / 92 * h, c) for s, c in colours]), inside)
        if p.time == "night":
            for sx, sy in stars:
                p.paint_dot("far", sx, sy, 0.7, (255, 255, 240), 0.9)
            p.stamp("far", "crescent", x + w / 4, y, 10, flip=False)
        elif p.time == "sunset":
            p.paint("far", (255, 236, 160), inside * p.blob(x, y + h / 4, 6, 6, 0.2))
        else:
            p.stamp("far", "cloud", x - w / 6, y + 2, min(w, h) * 0.45)
        p.draw("far", bars)
        if p.time != "night":
            beam = (255, 240, 190) if p.time == "day" else (255, 190, 120)
            p.paint("ground", beam, 0.28 * p.blob(x, 122, w * 0.9, 12, 0.9))

    def bars(pen: Pen, at: At) -> None:
        pen.rectangle(at(x - w / 2, y - h / 2, x + w / 2, y + h / 2), outline=tone, width=int(at(2.4)[0]))
        pen.line(at(x, y - h / 2, x, y + h / 2), fill=tone, width=int(at(1.5)[0]))
        pen.line(at(x - w / 2, y, x + w / 2, y), fill=tone, width=int(at(1.5)[0]))
        pen.rectangle(at(x - w / 2 - 3, y + h / 2, x + w / 2 + 3, y + h / 2 + 3), fill=tone)

    p.glow(panes)


def kitchen(p: Painter) -> None:
    walls = [(250, 236, 206), (206, 234, 222), (204, 226, 244), (250, 218, 206)]
    wall = walls[int(p.rng.integers(len(walls)))]
    _room(p, wall, (226, 214, 200))
    tile = ((np.mod(p.x, 10) < 0.8) | (np.mod(p.y, 10) < 0.8)) & (p.y > 44) & (p.y < FLOOR)
    p.paint("far", (252, 252, 250), 0.75 * tile.astype(np.float32))
    # the floor's checks, in perspective
    depth = (p.y - FLOOR + 5).clip(1)
    checks = np.sin((p.x - WIDTH / 2) / depth * 3.4) * np.sin(58 / depth * 3.0 + 1.2)
    p.paint(
        "ground",
        p.mix((206, 110, 84), (190, 92, 70), p.down(FLOOR, HEIGHT)),
        0.9 * smooth(-0.05, 0.05, checks) * p.below(np.asarray(FLOOR)),
    )
    front = [(246, 246, 244), (120, 176, 200), (232, 180, 110), (130, 186, 150)][int(p.rng.integers(4))]
    left, right = p.uniform(-20, 6), WIDTH - p.uniform(-20, 6)
    window = p.uniform(86, 138)

    def cupboards(pen: Pen, at: At) -> None:
        body, line = tuple(front), tuple(int(c * 0.82) for c in front)
        for x in np.arange(left, right, 27):
            pen.rectangle(at(x, 72, x + 26, FLOOR + 4), fill=body, outline=line, width=int(at(0.8)[0]))
            pen.ellipse(at(x + 20, 80, x + 22.4, 82.4), fill=(110, 90, 80))
            if abs(x + 13 - window) > 34:
                pen.rectangle(at(x, 2, x + 26, 34), fill=body, outline=line, width=int(at(0.8)[0]))
                pen.ellipse(at(x + 20, 27, x + 22.4, 29.4), fill=(110, 90, 80))
        pen.rectangle(at(left - 2, 67, right + 2, 72.5), fill=(172, 122, 82))
        pen.rectangle(at(left - 2, 67, right + 2, 68.4), fill=(204, 156, 110))
        pen.rectangle(at(left, FLOOR + 2, right, FLOOR + 4), fill=line)

    p.draw("far", cupboards)
    for x in np.arange(p.uniform(8, 26), WIDTH - 6, 25):
        if abs(x - window) > 14 or p.chance(0.4):
            p.stamp(
                "far",
                str(p.rng.choice(["teapot", "pot", "bread", "jar", "potted", "pan"])),
                float(x),
                68.5,
                p.uniform(14, 19),
                flip=False,
            )
    _window(p, window, 34, 40, 34, (250, 250, 248))
    p.paint("ground", (60, 40, 30), 0.35 * np.exp(-(((p.y - FLOOR - 1) / 2.5) ** 2)) * p.below(np.asarray(FLOOR)))


def bedroom(p: Painter) -> None:
    walls = [(176, 206, 240), (244, 196, 210), (200, 224, 190), (214, 196, 238)]
    wall = walls[int(p.rng.integers(len(walls)))]
    _room(p, wall, (198, 148, 100))
    dots = (np.mod(p.x, 13) - 6.5) ** 2 + (np.mod(p.y + 6.5 * (np.mod(p.x // 13, 2)), 13) - 6.5) ** 2
    p.paint("far", (255, 255, 255), 0.5 * (1 - smooth(2, 4.5, dots)) * (p.y < FLOOR - 6))
    p.paint("far", (250, 246, 240), ((p.y > FLOOR - 5) & (p.y < FLOOR)).astype(np.float32))
    depth = (p.y - FLOOR + 8).clip(1)
    plank = np.abs(np.mod((p.x - WIDTH / 2) / depth * 2.2, 1) - 0.5)
    p.paint("ground", (150, 104, 66), 0.7 * (1 - smooth(0, 0.07, plank)) * p.below(np.asarray(FLOOR)))
    side = 1 if p.chance(0.5) else -1
    window, bed = WIDTH / 2 + side * p.uniform(6, 30), WIDTH / 2 - side * p.uniform(56, 74)
    rug = p.jitter([(226, 92, 110), (86, 146, 214), (242, 186, 84)][int(p.rng.integers(3))], 10)
    p.paint("ground", rug, p.blob(WIDTH / 2, 124, 64, 13, 0.03))
    p.paint(
        "ground",
        np.minimum(rug * 1.3, 255),
        0.8 * (p.blob(WIDTH / 2, 124, 55, 10.6, 0.03) - p.blob(WIDTH / 2, 124, 50, 9.4, 0.03)),
    )
    p.stamp("ground", "bed", bed, 112, p.uniform(72, 84), shadow=0.3, flip=side < 0)
    if p.chance(0.7):
        p.stamp("far", "picture", WIDTH / 2 + side * p.uniform(54, 64), 46, p.uniform(22, 28), flip=False)
    other = WIDTH / 2 + side * p.uniform(64, 92)
    p.stamp("ground", str(p.rng.choice(["books", "teddy", "potted"])), other, 102, p.uniform(22, 30), shadow=0.3)
    curtain = tuple(int(c) for c in rug)
    _window(p, window, 44, 38, 44, (252, 250, 246))

    def curtains(pen: Pen, at: At) -> None:
        k = {"day": 1.0, "sunset": 0.85, "night": 0.6}[p.time]
        tone = tuple(int(c * k) for c in curtain)
        for s in (-1, 1):
            pen.polygon(
                at(
                    window + s * 25,
                    18,
                    window + s * 10,
                    18,
                    window + s * 16,
                    50,
                    window + s * 15,
                    72,
                    window + s * 25,
                    72,
                ),
                fill=tone,
            )
        pen.rectangle(at(window - 28, 16, window + 28, 18.5), fill=(140, 100, 70))

    p.glow(lambda: p.draw("far", curtains))
    if p.time == "night":
        p.glow(lambda: p.paint("far", (255, 214, 130), 0.42 * p.blob(other, 70, 52, 40)))
