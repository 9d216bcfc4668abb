"""A small painter of picture-book backdrops: five premultiplied RGBA layers in numpy, seen from a camera that pans.

Coordinates are units of 1/128 of the frame's height: the canvas is WIDTH x HEIGHT units, a little more than the
frame, so that the camera can move. Colours are 0..255 triples. Layers from far to near: sky, clouds, far, ground,
front.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from .emoji import SpriteBank

WIDTH, HEIGHT = 224, 144
LAYERS = ("sky", "clouds", "far", "ground", "front")
SUPER = 3

Array = np.ndarray
Pen = ImageDraw.ImageDraw
Colour = Sequence[float] | Array
At = Callable[..., list[float]]

SKIES: dict[str, list[tuple[float, Colour]]] = {
    "day": [(0, (64, 142, 235)), (50, (128, 194, 250)), (92, (214, 238, 252))],
    "sunset": [(0, (74, 62, 142)), (38, (190, 88, 130)), (66, (246, 140, 92)), (92, (255, 214, 130))],
    "night": [(0, (10, 14, 46)), (55, (28, 38, 92)), (92, (62, 78, 140))],
}
TINTS: dict[str, Colour] = {"day": (1, 1, 1), "sunset": (1.02, 0.78, 0.66), "night": (0.42, 0.49, 0.78)}


def smooth(edge0: float, edge1: float, x: Array) -> Array:
    """Smoothstep from 0 at edge0 to 1 at edge1."""
    t = np.clip((x - edge0) / (edge1 - edge0), 0, 1)
    return t * t * (3 - 2 * t)


class Painter:
    """One backdrop in the making. `scale` is pixels a unit; all chance comes from `rng`."""

    def __init__(self, bank: SpriteBank, rng: np.random.Generator, time: str, scale: float = 1.0) -> None:
        self.bank, self.rng, self.time, self.scale = bank, rng, time, scale
        self.height, self.width = round(HEIGHT * scale), round(WIDTH * scale)
        y, x = np.mgrid[0 : self.height, 0 : self.width].astype(np.float32)
        self.x, self.y = (x + 0.5) / scale, (y + 0.5) / scale
        self.layers = {name: np.zeros((self.height, self.width, 4), np.float32) for name in LAYERS}
        self._glows: list[Callable[[], None]] = []

    def uniform(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def jitter(self, colour: Colour, amount: float = 10) -> Array:
        return np.clip(np.asarray(colour, np.float32) + self.rng.normal(0, amount, 3), 0, 255)

    # -- fields ---------------------------------------------------------------------------------------------------
    def noise(self, cell_x: float, cell_y: float | None = None, octaves: int = 3) -> Array:
        """Fractal value noise over the canvas in [0, 1] with cells of about the given units."""
        total, weight = np.zeros((self.height, self.width), np.float32), 0.0
        for octave in range(octaves):
            sx, sy = cell_x / 2**octave, (cell_y or cell_x) / 2**octave
            grid = self.rng.random((int(HEIGHT / sy) + 4, int(WIDTH / sx) + 4)).astype(np.float32)
            image = Image.fromarray(grid).resize(
                (round(grid.shape[1] * sx * self.scale), round(grid.shape[0] * sy * self.scale)),
                Image.Resampling.BICUBIC,
            )
            total += np.asarray(image)[: self.height, : self.width] * 0.5**octave
            weight += 0.5**octave
        return np.clip(total / weight, 0, 1)

    def ridge(self, level: float, height: float, length: float, octaves: int = 3) -> Array:
        """A horizon line y(x) as (1, width): smooth hills about `level`, `height` units high, `length` units long."""
        x, line = self.x[:1], np.zeros((1, self.width), np.float32)
        for octave in range(octaves):
            waves = 2 * np.pi * x / length * 2**octave * self.uniform(0.8, 1.2)
            line = line + np.sin(waves + self.uniform(0, 6.3)) * 0.5**octave
        return level - height * line / 2

    def below(self, line: Array, soft: float = 0.6) -> Array:
        return smooth(-soft, soft, self.y - line)

    # -- paint ----------------------------------------------------------------------------------------------------
    def paint(self, layer: str, colour: Colour, mask: Array | float = 1.0) -> None:
        """Lay a colour (3,) or (h, w, 3) over a layer where mask is 1."""
        image = self.layers[layer]
        mask = np.broadcast_to(np.asarray(mask, np.float32), image.shape[:2])[..., None]
        image *= 1 - mask
        image[..., :3] += np.asarray(colour, np.float32) / 255 * mask
        image[..., 3:] += mask

    def mix(self, top: Colour, bottom: Colour, amount: Array) -> Array:
        """Colours (h, w, 3) between top (amount 0) and bottom (amount 1)."""
        return (
            np.asarray(top, np.float32)
            + (np.asarray(bottom, np.float32) - np.asarray(top, np.float32)) * np.clip(amount, 0, 1)[..., None]
        )

    def down(self, y0: float, y1: float) -> Array:
        return np.clip((self.y - y0) / (y1 - y0), 0, 1)

    def gradient(self, stops: list[tuple[float, Colour]]) -> Array:
        """Vertical gradient (h, w, 3) through (y, colour) stops."""
        ys = [s[0] for s in stops]
        column = np.stack([np.interp(self.y[:, 0], ys, [s[1][c] for s in stops]) for c in range(3)], -1)
        return np.broadcast_to(column[:, None], (self.height, self.width, 3)).astype(np.float32)

    def blob(self, x: float, y: float, rx: float, ry: float, soft: float = 1.0) -> Array:
        """An ellipse mask: hard edged with soft near 0, a soft glow with soft 1."""
        d = np.sqrt(((self.x - x) / rx) ** 2 + ((self.y - y) / ry) ** 2)
        return 1 - smooth(1 - soft, 1.0 + 0.6 / max(min(rx, ry), 0.6), d)

    def stamp(
        self,
        layer: str,
        name: str,
        x: float,
        foot: float,
        size: float,
        *,
        tint: Colour = (1, 1, 1),
        fade: Colour | None = None,
        haze: float = 0.0,
        flip: bool | None = None,
        shadow: float = 0.0,
        alpha: float = 1.0,
        squash: float = 1.0,
    ) -> None:
        """A prop sprite standing at (x, foot); haze in [0, 1] mixes it towards the colour `fade`."""
        sprite = self.bank.prop(name)
        if self.chance(0.5) if flip is None else flip:
            sprite = sprite[:, ::-1]
        if shadow:
            self.paint(layer, (20, 25, 40), shadow * self.blob(x, foot, size * 0.42, size * 0.09))
        pixels = max(2, round(size * self.scale)), max(2, round(size * squash * self.scale))
        planes = [Image.fromarray(np.ascontiguousarray(sprite[..., c])) for c in range(4)]
        small = np.stack(
            [
                np.asarray(p.resize(pixels, Image.Resampling.BOX if pixels[0] < 40 else Image.Resampling.BILINEAR))
                for p in planes
            ],
            -1,
        )
        small = np.clip(small, 0, 1)
        small[..., :3] *= np.asarray(tint, np.float32)
        if fade is not None:
            small[..., :3] = small[..., :3] * (1 - haze) + np.asarray(fade, np.float32) / 255 * haze * small[..., 3:]
        self._over(layer, np.minimum(small, small[..., 3:]) * alpha, x, foot, size, size * squash)

    def _over(self, layer: str, patch: Array, x: float, foot: float, width: float, height: float) -> None:
        image, h, w = self.layers[layer], patch.shape[0], patch.shape[1]
        left, top = round((x - width / 2) * self.scale), round((foot - height * 0.98) * self.scale)
        x0, x1, y0, y1 = max(left, 0), min(left + w, self.width), max(top, 0), min(top + h, self.height)
        if x0 < x1 and y0 < y1:
            cut = patch[y0 - top : y1 - top, x0 - left : x1 - left]
            image[y0:y1, x0:x1] = image[y0:y1, x0:x1] * (1 - cut[..., 3:]) + cut

    def draw(self, layer: str, shapes: Callable[[Pen, At], None]) -> None:
        """Vector shapes, antialiased: `shapes(pen, at)` draws with pen; at(x, y, ...) turns units into its
        coordinates.
        """
        factor = self.scale * SUPER
        board = Image.new("RGBA", (self.width * SUPER, self.height * SUPER))
        shapes(ImageDraw.Draw(board), lambda *v: [float(a) * factor for a in v])
        small = (
            np.asarray(board.convert("RGBa").resize((self.width, self.height), Image.Resampling.BOX), np.float32) / 255
        )
        image = self.layers[layer]
        image *= 1 - small[..., 3:]
        image += small

    def glow(self, paint: Callable[[], None]) -> None:
        """Paint later, after the layers have taken the hour's tint: lit windows, stars, the moon."""
        self._glows.append(paint)

    # -- the hour -------------------------------------------------------------------------------------------------
    def open_sky(self, *, clouds: bool = True, low: float = 60) -> None:
        """Gradient, sun or moon and stars, and clouds on their own layer."""
        self.paint("sky", self.gradient(SKIES[self.time]))
        x = self.uniform(40, WIDTH - 40)
        if self.time == "day" and self.chance(0.5):
            y, r = self.uniform(22, 36), self.uniform(15, 22)
            self.paint("sky", (255, 250, 215), 0.75 * self.blob(x, y, 2.6 * r, 2.6 * r))
            self.stamp("sky", "sun", x, y + r, 2 * r, flip=False)
        elif self.time == "sunset":
            y, r = self.uniform(low - 22, low - 4), self.uniform(13, 19)
            self.paint("sky", (255, 226, 150), 0.85 * self.blob(x, y, 4.5 * r, 3.4 * r))
            self.paint(
                "sky", self.mix((255, 246, 190), (255, 176, 92), self.down(y - r, y + r)), self.blob(x, y, r, r, 0.05)
            )
        elif self.time == "night":
            self.stars(70, low + 16)
            y, r = self.uniform(22, 34), self.uniform(10, 15)
            self.paint("sky", (170, 190, 250), 0.5 * self.blob(x, y, 3.2 * r, 3.2 * r))
            name = "crescent" if self.chance(0.5) else "full_moon"
            self.stamp("sky", name, x, y + r, 2 * r, flip=False, fade=(255, 250, 225), haze=0.35)
        if clouds and self.chance(0.85):
            for _ in range(int(self.rng.integers(2, 5))):
                size = self.uniform(26, 52)
                shade = {"day": (1, 1, 1), "sunset": (1, 0.72, 0.68), "night": (0.34, 0.40, 0.66)}[self.time]
                alpha = 0.92 if self.time == "day" else 0.75
                self.stamp(
                    "clouds", "cloud", self.uniform(0, WIDTH), self.uniform(20, low - 8), size, tint=shade, alpha=alpha
                )

    def stars(self, count: int, bottom: float, layer: str = "sky") -> None:
        for _ in range(count):
            x, y, r = self.uniform(0, WIDTH), self.uniform(0, bottom), self.uniform(0.5, 1.25) ** 2
            self.paint_dot(layer, x, y, r, self.jitter((245, 245, 255), 12), self.uniform(0.5, 1))

    def paint_dot(self, layer: str, x: float, y: float, r: float, colour: Colour, alpha: float) -> None:
        """A small soft dot, painted in its own neighbourhood only."""
        s, reach = self.scale, int(np.ceil((r + 1) * 2 * self.scale))
        cx, cy = int(x * s), int(y * s)
        rows = slice(max(cy - reach, 0), max(min(cy + reach + 1, self.height), 0))
        cols = slice(max(cx - reach, 0), max(min(cx + reach + 1, self.width), 0))
        d2 = (self.x[rows, cols] - x) ** 2 + (self.y[rows, cols] - y) ** 2
        mask = (alpha * np.exp(-d2 / (r * r + 0.15)))[..., None].astype(np.float32)
        part = self.layers[layer][rows, cols]
        part *= 1 - mask
        part[..., :3] += np.asarray(colour, np.float32) / 255 * mask
        part[..., 3:] += mask

    def finish(self, tint: Colour | None = None) -> Array:
        """Take the hour's tint (not the sky and clouds), paint the glows, return uint8 (5, h, w, 4)."""
        shade = np.asarray(TINTS[self.time] if tint is None else tint, np.float32)
        for name in ("far", "ground", "front"):
            self.layers[name][..., :3] *= shade
        for paint in self._glows:
            paint()
        stack = np.stack([self.layers[name] for name in LAYERS])
        stack = np.minimum(np.clip(stack, 0, 1), np.clip(stack[..., 3:], 0, 1))
        return np.round(stack * 255).astype(np.uint8)
