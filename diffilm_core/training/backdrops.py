"""How the outdoor places look: each function paints one random backdrop. Subjects stand at canvas height 108 to 128."""

from __future__ import annotations

import numpy as np

from .painter import HEIGHT, WIDTH, Array, Colour, Painter, smooth

HORIZON = 80.0


def _scatter(p: Painter, names: list[str], count: int, y0: float, y1: float, size: tuple[float, float], shadow: float = 0.25,
             layer: str = "ground", x0: float = 0, x1: float = WIDTH) -> None:
    """Small props, far ones first and smaller."""
    for foot in sorted(p.rng.uniform(y0, y1, count)):
        near = (foot - y0) / max(y1 - y0, 1)
        big = size[0] + (size[1] - size[0]) * (0.35 + 0.65 * near) * p.uniform(0.8, 1.1)
        p.stamp(layer, str(p.rng.choice(names)), p.uniform(x0, x1), foot, big, shadow=shadow)


def _ground(p: Painter, near: Colour, far: Colour, line: Array | float, patches: float = 12) -> None:
    noise = p.noise(40, 10)
    colour = p.mix(far, near, p.down(HORIZON - 6, HEIGHT) ** 0.8) + (noise[..., None] - 0.5) * 2 * patches
    light = 1.06 - 0.12 * p.noise(90, 30, 2)
    p.paint("ground", np.clip(colour * light[..., None], 0, 255), p.below(np.asarray(line)))


def _grass(p: Painter, colour: Colour, count: int = 150, y: float = 140, tall: float = 13) -> None:
    """Blades along the bottom edge, on the layer in front of the subject."""
    blades = [(p.uniform(-4, WIDTH + 4), p.uniform(-4, 4), tall * p.uniform(0.45, 1.0), p.jitter(colour, 9)) for _ in range(count)]

    def shapes(pen, at) -> None:  # type: ignore[no-untyped-def]
        for x, lean, height, tone in blades:
            pen.polygon(at(x - 1.3, y + 6, x + 1.3, y + 6, x + lean, y + 4 - height), fill=(*[int(c) for c in tone], 255))

    p.draw("front", shapes)
    p.paint("front", np.asarray(colour, np.float32) * 0.9, p.below(np.asarray(y + 0.0), 3))


def _tree_row(p: Painter, names: list[str], count: int, foot: float, size: tuple[float, float], fade: Colour, haze: float,
              layer: str = "far") -> None:
    for x in p.rng.permutation(np.linspace(-5, WIDTH + 5, count)):
        p.stamp(layer, str(p.rng.choice(names)), x + p.uniform(-5, 5), foot + p.uniform(-2, 3), p.uniform(*size), fade=fade, haze=haze)


def _hills(p: Painter, colours: list[Colour], levels: list[float], height: float = 12) -> None:
    for colour, level in zip(colours, levels, strict=True):
        line = p.ridge(level, height, p.uniform(90, 150))
        shade = 1.08 - 0.16 * np.clip((p.y - line) / 30, 0, 1)[..., None]
        p.paint("far", np.clip(p.jitter(colour, 6) * shade, 0, 255) * np.ones((p.height, p.width, 1)), p.below(line))


def meadow(p: Painter) -> None:
    p.open_sky()
    _hills(p, [(150, 205, 150), (126, 200, 104)], [HORIZON - 6, HORIZON + 1])
    for _ in range(int(p.rng.integers(2, 6))):
        p.stamp("far", "tree", p.uniform(0, WIDTH), HORIZON + p.uniform(0, 4), p.uniform(14, 26), fade=(150, 210, 150), haze=0.15)
    _ground(p, (76, 168, 62), (138, 208, 84), p.ridge(HORIZON + 6, 4, 160))
    _scatter(p, ["daisy", "tulip", "daisy", "sunflower", "hyacinth"], 34, 92, 140, (5, 15), shadow=0.12)
    _grass(p, (66, 160, 56))


def forest(p: Painter) -> None:
    p.open_sky(clouds=False, low=46)
    p.paint("far", (150, 196, 170), 0.75 * p.below(np.asarray(34.0), 26))
    _tree_row(p, ["pine", "tree"], 16, HORIZON + 2, (44, 66), (120, 178, 150), 0.62)
    _tree_row(p, ["pine", "pine", "tree"], 13, HORIZON + 8, (58, 84), (54, 120, 84), 0.40)
    _ground(p, (70, 104, 48), (96, 140, 66), p.ridge(HORIZON + 8, 3, 120), 16)
    path = np.exp(-(((p.x - WIDTH / 2 - 16 * np.sin(p.y / 12)) / (4 + (p.y - HORIZON).clip(0) * 0.55)) ** 2))
    p.paint("ground", (148, 112, 74), 0.75 * path * p.below(np.asarray(HORIZON + 10.0), 3))
    for x in [p.uniform(4, 52), p.uniform(WIDTH - 52, WIDTH - 4), p.uniform(0, WIDTH)]:
        p.stamp("ground", "pine" if p.chance(0.7) else "tree", x, p.uniform(94, 102), p.uniform(78, 96), shadow=0.35)
    _scatter(p, ["mushroom", "mushroom", "herb", "wood"], 12, 98, 140, (6, 17))
    if p.time == "day":
        beam = np.sin((p.x + p.y * 0.6) / p.uniform(9, 14) + p.uniform(0, 6))
        p.glow(lambda: p.paint("far", (255, 250, 200), 0.16 * smooth(0.35, 1.0, beam) * (1 - p.down(50, 100)) * p.layers["far"][..., 3]))
    _grass(p, (52, 110, 48), 110)


def snow(p: Painter) -> None:
    p.open_sky()
    _hills(p, [(206, 222, 244), (224, 236, 250)], [HORIZON - 8, HORIZON + 1], 14)
    for foot, size, haze in ((HORIZON - 1, 20, 0.72), (HORIZON + 5, 32, 0.52)):
        for _ in range(int(p.rng.integers(3, 7))):
            p.stamp("far", "pine", p.uniform(0, WIDTH), foot + p.uniform(-3, 3), size * p.uniform(0.8, 1.2), fade=(240, 247, 255), haze=haze)
    line = p.ridge(HORIZON + 8, 5, 140)
    drift = p.noise(50, 9)
    p.paint("ground", p.mix((250, 253, 255), (206, 222, 246), 0.75 * drift * p.down(HORIZON, HEIGHT) + 0.12), p.below(line))
    for x in (p.uniform(0, 44), p.uniform(WIDTH - 44, WIDTH)):
        if p.chance(0.7):
            foot = p.uniform(95, 104)
            p.stamp("ground", "pine", x, foot, p.uniform(44, 64), fade=(244, 250, 255), haze=0.38, shadow=0.18)
    for _ in range(40):
        p.paint_dot("ground", p.uniform(0, WIDTH), p.uniform(96, HEIGHT), 0.5, (255, 255, 255), 0.9)
    mound = p.ridge(139, 5, 70)
    p.paint("front", (246, 250, 255), p.below(mound, 1.2))


def _water(p: Painter, layer: str, top: Colour, bottom: Colour, y0: float, y1: float) -> None:
    """Sea in perspective from y0 down: light lines that widen and slow down towards us."""
    depth = np.maximum(p.y - y0, 0.2)
    wave = np.sin(190 / (depth + 9) * 4 + 2.2 * p.noise(34, 7)) * 0.5 + 0.5
    glint = smooth(0.72, 1.0, wave) * smooth(0.38, 0.62, p.noise(13, 3.2, 2))
    colour = p.mix(top, bottom, p.down(y0, y1) ** 0.7) + 10 * (wave[..., None] - 0.5)
    p.paint(layer, np.clip(colour, 0, 255), p.below(np.asarray(y0), 0.5))
    p.paint(layer, (236, 250, 255), 0.55 * glint * p.below(np.asarray(y0 + 1.0)))


def beach(p: Painter) -> None:
    p.open_sky(low=54)
    _water(p, "far", (66, 150, 214), (88, 214, 214), HORIZON - 14, HORIZON + 16)
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
    _scatter(p, ["shell", "shell", "rock"], 7, 110, 138, (5, 11))


def desert(p: Painter) -> None:
    p.open_sky()
    for level, colour in ((HORIZON - 10, (226, 156, 104)), (HORIZON, (238, 178, 108))):
        x0, w = p.uniform(0, WIDTH), p.uniform(36, 60)
        top = level - 16 * smooth(0, 1, (w - np.abs(p.x[:1] - x0)) / 8) if p.chance(0.5) else level
        line = p.ridge(0, 10, p.uniform(90, 150)) + top
        p.paint("far", p.mix(np.array(colour) * 1.05, np.array(colour) * 0.86, np.clip((p.y - line) / 26, 0, 1)).clip(0, 255), p.below(line))
    line = p.ridge(HORIZON + 8, 6, 150)
    ripple = np.sin((p.y - HORIZON).clip(0) ** 1.15 * 0.55 + 9 * p.noise(80, 26, 2))
    colour = p.mix((250, 206, 132), (232, 170, 92), p.down(HORIZON, HEIGHT)) + 7 * (ripple * p.down(HORIZON, HEIGHT))[..., None]
    p.paint("ground", np.clip(colour, 0, 255), p.below(line))
    for x, foot, size in ((p.uniform(8, 60), 100, 44), (p.uniform(WIDTH - 60, WIDTH - 8), 106, 56), (p.uniform(60, 160), 94, 24)):
        p.stamp("ground", "cactus", x, foot + p.uniform(-3, 3), size * p.uniform(0.8, 1.1), shadow=0.3)
    _scatter(p, ["rock"], 5, 98, 138, (5, 11))


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
        p.stamp("ground", str(p.rng.choice(["office", "department", "bank", "hotel", "house"])), x + size / 2, HORIZON + 14, size, flip=False)
        x += size * p.uniform(0.82, 1.05)
    noise = (p.noise(6)[..., None] - 0.5) * 12
    p.paint("ground", np.array((196, 198, 206)) + noise, p.below(np.asarray(HORIZON + 13.0)))
    p.paint("ground", (150, 152, 164), p.below(np.asarray(HORIZON + 23.0)))
    p.paint("ground", p.mix((98, 102, 118), (72, 76, 92), p.down(HORIZON + 24, HEIGHT)) + noise, p.below(np.asarray(HORIZON + 24.5)))
    shift = p.uniform(0, 30)
    dash = (np.mod((p.x - WIDTH / 2) / (0.6 + (p.y - HORIZON) / 60) + shift, 30) < 17) & (np.abs(p.y - 127) < 1.8)
    p.paint("ground", (250, 236, 190), 0.9 * dash.astype(np.float32))
    if p.time == "night":
        for x in np.arange(p.uniform(0, 50), WIDTH, 60):
            p.glow(lambda x=x: p.paint("ground", (255, 226, 150), 0.55 * p.blob(x, 112, 26, 10) + 0.6 * p.blob(x, 74, 9, 9)))


def _tower(p: Painter, x: float, base: float, w: float, h: float, tone: Array) -> None:
    lit, panes = p.time != "day", [(c, r) for c in np.arange(2, w - 3, 4) for r in np.arange(3, h - 3, 5)]
    on = p.rng.random(len(panes))

    def walls(pen, at) -> None:  # type: ignore[no-untyped-def]
        pen.rectangle(at(x, base - h, x + w, base + 6), fill=(*[int(v) for v in tone], 255))
        pen.rectangle(at(x, base - h, x + 1.6, base + 6), fill=(*[int(min(v * 1.15, 255)) for v in tone], 255))
        for (c, r), _ in zip(panes, on, strict=True):
            pen.rectangle(at(x + c, base - h + r, x + c + 2, base - h + r + 2.6), fill=(196, 220, 244, 255))

    def windows(pen, at) -> None:  # type: ignore[no-untyped-def]
        for (c, r), o in zip(panes, on, strict=True):
            if o < 0.55:
                pen.rectangle(at(x + c, base - h + r, x + c + 2, base - h + r + 2.6), fill=(255, 222, 130, 255))

    p.draw("far", walls)
    if lit:
        p.glow(lambda: p.draw("far", windows))


def sea(p: Painter) -> None:
    p.open_sky(low=48)
    horizon = HORIZON - 14
    if p.chance(0.4):
        p.stamp("far", str(p.rng.choice(["sailboat", "palm"])), p.uniform(10, WIDTH - 10), horizon + 2, p.uniform(12, 20))
    _water(p, "ground", (56, 140, 214), (20, 92, 178), horizon, HEIGHT)
    if p.time != "day":
        colour, x = ((255, 190, 110), WIDTH / 2) if p.time == "sunset" else ((190, 206, 255), p.uniform(60, 160))
        lane = np.exp(-(((p.x - x) / (8 + (p.y - horizon).clip(0) * 0.5)) ** 2)) * smooth(0.45, 0.6, p.noise(12, 2.4, 2))
        p.glow(lambda: p.paint("ground", colour, 0.6 * lane * p.below(np.asarray(horizon))))
    crest = 130 + 2.6 * np.sin(p.x[:1] / p.uniform(7, 10)) + 1.6 * np.sin(p.x[:1] / 4.1 + p.uniform(0, 6))
    p.paint("front", p.mix((84, 170, 230), (30, 104, 190), np.clip((p.y - crest) / 16, 0, 1)), 0.88 * p.below(crest, 1))
    p.paint("front", (240, 250, 255), 0.85 * p.below(crest, 1) * (1 - smooth(1, 3.2, p.y - crest)))


def mountains(p: Painter) -> None:
    p.open_sky(low=40)
    for base, count, tall, tone in ((HORIZON + 4, 4, (46, 64), (138, 152, 186)), (HORIZON + 8, 4, (26, 42), (112, 126, 150))):
        for x in p.rng.permutation(np.linspace(0, WIDTH, count) + p.rng.uniform(-16, 16, count)):
            _peak(p, float(x), base, p.uniform(*tall), p.uniform(0.95, 1.25), p.jitter(tone, 7))
    _tree_row(p, ["pine"], 15, HORIZON + 11, (11, 20), (96, 140, 130), 0.3)
    _ground(p, (112, 128, 92), (142, 162, 116), p.ridge(HORIZON + 10, 4, 110), 26)
    _scatter(p, ["rock"], 13, 96, 140, (7, 22), shadow=0.3)
    _scatter(p, ["herb"], 5, 104, 140, (5, 9))
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


def farm(p: Painter) -> None:
    p.open_sky()
    _hills(p, [(176, 206, 110), (206, 200, 96)], [HORIZON - 4, HORIZON + 2], 8)
    line = np.asarray(HORIZON + 5.0)
    _ground(p, (122, 170, 66), (166, 196, 88), line)
    rows = np.sin((p.x - WIDTH / 2) / (0.16 + (p.y - HORIZON + 4).clip(0.5) / 40) / 1.5) * 0.5 + 0.5
    band = p.below(line, 1) * (1 - smooth(100, 106, p.y))
    p.paint("ground", p.mix((234, 190, 82), (170, 122, 52), smooth(0.3, 0.7, rows)), 0.92 * band)
    _barn(p, p.uniform(20, 74) if p.chance(0.5) else WIDTH - p.uniform(20, 74), HORIZON + 14, p.uniform(42, 54))
    for _ in range(int(p.rng.integers(1, 4))):
        _bale(p, p.uniform(20, WIDTH - 20), p.uniform(99, 107), p.uniform(6, 10))
    _scatter(p, ["sheaf"], 9, 96, 106, (11, 17))
    _fence(p, p.uniform(106, 109), (170, 118, 70))
    _grass(p, (120, 168, 62), 120)


def _barn(p: Painter, x: float, foot: float, w: float) -> None:
    h, red = w * 0.52, tuple(int(v) for v in p.jitter((206, 62, 54), 8))
    dark, white = tuple(int(v * 0.8) for v in red), (250, 246, 238)

    def shapes(pen, at) -> None:  # type: ignore[no-untyped-def]
        left, right, top = x - w / 2, x + w / 2, foot - h
        pen.polygon(at(left, foot, left, top, left + w * 0.18, top - h * 0.42, x, top - h * 0.66, right - w * 0.18, top - h * 0.42,
                       right, top, right, foot), fill=red)
        for i in range(1, 9):
            pen.line(at(left + w * i / 9, foot, left + w * i / 9, top), fill=dark, width=2)
        roof = at(left - 3, top + 2, left + w * 0.16, top - h * 0.46, x, top - h * 0.74, right - w * 0.16, top - h * 0.46, right + 3, top + 2)
        pen.line(roof, fill=(112, 70, 66), width=int(at(4)[0]), joint="curve")
        pen.rectangle(at(x - w * 0.19, foot - h * 0.72, x + w * 0.19, foot), fill=dark, outline=white, width=int(at(1.4)[0]))
        pen.line(at(x - w * 0.19, foot - h * 0.72, x + w * 0.19, foot), fill=white, width=int(at(1.2)[0]))
        pen.line(at(x + w * 0.19, foot - h * 0.72, x - w * 0.19, foot), fill=white, width=int(at(1.2)[0]))
        pen.rectangle(at(x - w * 0.08, top - h * 0.34, x + w * 0.08, top - h * 0.08), fill=(70, 44, 44), outline=white, width=int(at(1)[0]))

    p.paint("ground", (20, 25, 40), 0.3 * p.blob(x, foot, w * 0.62, 3.4))
    p.draw("ground", shapes)


def _bale(p: Painter, x: float, foot: float, r: float) -> None:
    p.paint("ground", (20, 25, 40), 0.3 * p.blob(x, foot, r * 1.2, 2.2))
    p.paint("ground", p.mix((246, 212, 116), (196, 148, 62), p.down(foot - 2 * r, foot)), p.blob(x, foot - r, r, r, 0.05))
    for k in (0.3, 0.62):
        d = np.sqrt((p.x - x) ** 2 + (p.y - foot + r) ** 2)
        p.paint("ground", (168, 122, 50), 0.6 * np.exp(-(((d - k * r) / 0.7) ** 2)))


def _fence(p: Painter, foot: float, tone: Colour, layer: str = "ground", tall: float = 13, gap: float = 15, pointed: bool = False) -> None:
    body, light = tuple(int(c) for c in tone), tuple(int(min(c * 1.18, 255)) for c in tone)

    def shapes(pen, at) -> None:  # type: ignore[no-untyped-def]
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
    _hills(p, [(160, 210, 150)], [HORIZON - 2], 8)
    _tree_row(p, ["tree"], 8, HORIZON + 5, (26, 40), (130, 190, 130), 0.25)
    p.stamp("ground", "house", p.uniform(28, 70) if p.chance(0.5) else WIDTH - p.uniform(28, 70), HORIZON + 15, p.uniform(54, 64), flip=False)
    hedge = HORIZON + 3 + 3 * p.noise(7, 7, 2)
    _ground(p, (112, 190, 84), (150, 214, 104), np.asarray(HORIZON + 13.0))
    p.paint("ground", p.mix((92, 170, 84), (46, 120, 58), p.down(HORIZON, HORIZON + 15) + 0.3 * p.noise(4)), 0.0 * p.below(hedge))
    _fence(p, HORIZON + 17, (238, 240, 246), tall=14, gap=6.5, pointed=True)
    for foot, size in ((HORIZON + 22, 12), (HORIZON + 27, 14)):
        for x in np.arange(p.uniform(0, 8), WIDTH, 9.5):
            name = str(p.rng.choice(["tulip", "sunflower", "daisy", "tulip", "hyacinth"]))
            p.stamp("ground", name, x + p.uniform(-2, 2), foot + p.uniform(-1, 1), size * p.uniform(0.85, 1.15), shadow=0.15)
    for x in np.arange(p.uniform(0, 12), WIDTH, 15):
        name = str(p.rng.choice(["tulip", "sunflower", "daisy"]))
        p.stamp("front", name, x + p.uniform(-4, 4), 144 + p.uniform(-1, 3), p.uniform(11, 17))
