"""What many outdoor places share: ground, grass, hills, water, rows of trees, scattered props."""

from __future__ import annotations

import numpy as np

from .painter import HEIGHT, WIDTH, Array, At, Colour, Painter, Pen, smooth

HORIZON = 80.0


def scatter(
    p: Painter,
    names: list[str],
    count: int,
    y0: float,
    y1: float,
    size: tuple[float, float],
    shadow: float = 0.25,
    layer: str = "ground",
    x0: float = 0,
    x1: float = WIDTH,
) -> None:
    """Small props, far ones first and smaller."""
    for foot in sorted(p.rng.uniform(y0, y1, count)):
        near = (foot - y0) / max(y1 - y0, 1)
        big = size[0] + (size[1] - size[0]) * (0.35 + 0.65 * near) * p.uniform(0.8, 1.1)
        p.stamp(layer, str(p.rng.choice(names)), p.uniform(x0, x1), foot, big, shadow=shadow)


def ground(p: Painter, near: Colour, far: Colour, line: Array | float, patches: float = 12) -> None:
    noise = p.noise(40, 10)
    colour = p.mix(far, near, p.down(HORIZON - 6, HEIGHT) ** 0.8) + (noise[..., None] - 0.5) * 2 * patches
    light = 1.06 - 0.12 * p.noise(90, 30, 2)
    p.paint("ground", np.clip(colour * light[..., None], 0, 255), p.below(np.asarray(line)))


def grass(p: Painter, colour: Colour, count: int = 150, y: float = 140, tall: float = 13) -> None:
    """Blades along the bottom edge, on the layer in front of the subject."""
    blades = [
        (p.uniform(-4, WIDTH + 4), p.uniform(-4, 4), tall * p.uniform(0.45, 1.0), p.jitter(colour, 9))
        for _ in range(count)
    ]

    def shapes(pen: Pen, at: At) -> None:
        for x, lean, height, tone in blades:
            pen.polygon(
                at(x - 1.3, y + 6, x + 1.3, y + 6, x + lean, y + 4 - height), fill=(*[int(c) for c in tone], 255)
            )

    p.draw("front", shapes)
    p.paint("front", np.asarray(colour, np.float32) * 0.9, p.below(np.asarray(y + 0.0), 3))


def tree_row(
    p: Painter,
    names: list[str],
    count: int,
    foot: float,
    size: tuple[float, float],
    fade: Colour,
    haze: float,
    layer: str = "far",
) -> None:
    for x in p.rng.permutation(np.linspace(-5, WIDTH + 5, count)):
        p.stamp(
            layer,
            str(p.rng.choice(names)),
            x + p.uniform(-5, 5),
            foot + p.uniform(-2, 3),
            p.uniform(*size),
            fade=fade,
            haze=haze,
        )


def hills(p: Painter, colours: list[Colour], levels: list[float], height: float = 12) -> None:
    for colour, level in zip(colours, levels, strict=True):
        line = p.ridge(level, height, p.uniform(90, 150))
        shade = 1.08 - 0.16 * np.clip((p.y - line) / 30, 0, 1)[..., None]
        p.paint("far", np.clip(p.jitter(colour, 6) * shade, 0, 255) * np.ones((p.height, p.width, 1)), p.below(line))


def water(p: Painter, layer: str, top: Colour, bottom: Colour, y0: float, y1: float) -> None:
    """Sea in perspective from y0 down: light lines that widen and slow down towards us."""
    depth = np.maximum(p.y - y0, 0.2)
    wave = np.sin(190 / (depth + 9) * 4 + 2.2 * p.noise(34, 7)) * 0.5 + 0.5
    glint = smooth(0.72, 1.0, wave) * smooth(0.38, 0.62, p.noise(13, 3.2, 2))
    colour = p.mix(top, bottom, p.down(y0, y1) ** 0.7) + 10 * (wave[..., None] - 0.5)
    p.paint(layer, np.clip(colour, 0, 255), p.below(np.asarray(y0), 0.5))
    p.paint(layer, (236, 250, 255), 0.55 * glint * p.below(np.asarray(y0 + 1.0)))
