"""Scenes to pixels: batched on any device, layers and sprites by `grid_sample`, motion as a function of seconds."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import DiffilmError
from .emoji import CLIP_FRAMES, MARGIN, SpriteBank
from .painter import HEIGHT, LAYERS, WIDTH, Painter
from .places import PLACES, SUBJECT_LIGHT, TIMES
from .scenes import APPROACH, FLOAT, HOP, SWAY, WALK, SceneBatch
from .vocabulary import OBJECTS
from .weather import draw_rain, draw_snow

DEPTHS = (0.06, 0.15, 0.35, 1.0, 1.35)
ROOM_NIGHT = (0.62, 0.60, 0.75)
UNDER = (0.80, 0.94, 1.0)


def paint_backdrops(bank: SpriteBank, variants: int, scale: float, seed: int = 0) -> Tensor:
    """All backdrops, uint8 (places, times, variants, 5 layers, 4, h, w) on the CPU; the same for the same arguments."""
    bank = bank.to("cpu")

    def one(job: tuple[int, int, int]) -> np.ndarray:
        place, time, variant = job
        spot = PLACES[place]
        rng = np.random.default_rng([seed, place, time, variant])
        painter = Painter(bank, rng, TIMES[time] if spot.has_time else "day", scale)
        spot.paint(painter)
        return painter.finish(
            (1, 1, 1) if not spot.has_time else ROOM_NIGHT if spot.indoors and TIMES[time] == "night" else None
        )

    jobs = [(p, t, v) for p in range(len(PLACES)) for t in range(len(TIMES)) for v in range(variants)]
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        images = list(pool.map(one, jobs))
    stack = torch.from_numpy(np.stack(images)).permute(0, 1, 4, 2, 3).contiguous()
    return stack.view(len(PLACES), len(TIMES), variants, *stack.shape[1:])


class SceneRenderer:
    """Renders SceneBatches. `variants` backdrops are painted for every place and hour (about 40 ms each on a core).

    Scenes may be on any device; the result is on the renderer's. A scene's pixels do not depend on its neighbours.
    """

    def __init__(
        self,
        bank: SpriteBank,
        size: int = 128,
        device: torch.device | str | None = None,
        *,
        variants: int = 16,
        seed: int = 0,
    ) -> None:
        if size < 16:
            raise DiffilmError(f"size was {size}, expected at least 16 pixels: use 128 for the model that ships")
        self.device = torch.device(device or "cpu")
        self.size, self.bank = size, bank.to(self.device)
        self.backdrops = paint_backdrops(bank, variants, size / 128, seed).to(self.device)
        self.variants = variants

        def table(rows: object) -> Tensor:
            return torch.tensor(rows, device=self.device)

        self.warp = table([p.warp for p in PLACES])
        self.surface = table([p.water == "surface" for p in PLACES])
        self.under = table([p.water == "under" for p in PLACES])
        self.indoors = table([p.indoors for p in PLACES])
        self.light = table(SUBJECT_LIGHT)
        self.flies = table([o.flies for o in OBJECTS])
        self.boat = table([o.kind == "vehicle" for o in OBJECTS])

    def render(self, scenes: SceneBatch, *, chunk: int | None = None) -> Tensor:
        """uint8 (n, 3, size, size): the scenes at t = 0."""
        chunk = chunk or (256 if self.device.type == "cuda" else 32)
        parts = []
        for start in range(0, len(scenes), chunk):
            part = scenes[start : start + chunk].to(self.device)
            parts.append(self._frames(part, torch.zeros(len(part), 1, device=self.device))[:, :, 0])
        return torch.cat(parts)

    def render_clips(
        self, scenes: SceneBatch, frames: int = 16, fps: float | Tensor = 8, *, chunk: int | None = None
    ) -> Tensor:
        """uint8 (n, 3, frames, size, size); fps is a number or (n,), the middle of the clip is t = 0."""
        chunk = chunk or (16 if self.device.type == "cuda" else 2)
        rates = torch.as_tensor(fps, dtype=torch.float32).expand(len(scenes)).to(self.device)
        steps = torch.arange(frames, device=self.device) - (frames - 1) / 2
        parts = []
        for start in range(0, len(scenes), chunk):
            part = scenes[start : start + chunk].to(self.device)
            parts.append(self._frames(part, steps / rates[start : start + chunk, None]))
        return torch.cat(parts)

    # -- one chunk ------------------------------------------------------------------------------------------------
    @torch.no_grad()
    def _frames(self, s: SceneBatch, t: Tensor) -> Tensor:
        """Scenes (n,), times (n, f) -> uint8 (n, 3, f, size, size). Inside, images are (n, c, f * size, size)."""
        n, f = t.shape
        layers = self.backdrops[s.place, s.time, s.variant % self.variants].float() / 255
        layers = torch.where(s.mirror[:, None, None, None, None], layers.flip(-1), layers)
        image = self._layer(layers, s, t, 0)[:, :3]
        for index in (1, 2):
            image = _over(image, self._layer(layers, s, t, index))
        rain, snow, fog = ((s.weather == w).float()[:, None, None, None] for w in (1, 2, 3))
        hour = self.light[s.time][..., None, None] * torch.where((s.time == 1)[:, None, None, None], 0.30, 0.78)
        overcast = hour * image.new_tensor([0.88, 0.94, 1.0])[:, None, None]
        image = image + (overcast - image) * (0.80 * rain + 0.55 * snow)
        y = ((torch.arange(self.size, device=self.device) + 0.5) / self.size).repeat(f)[:, None]
        mist = self.light[s.time][..., None, None] * torch.where((s.time == 1)[:, None, None, None], 0.36, 0.88)
        image = image + (mist - image) * fog * 0.66
        image = _over(image, self._layer(layers, s, t, 3))
        image = image + (mist - image) * fog * (0.62 - 0.42 * y)
        image = self._subjects(image, s, t)
        image = image + (mist - image) * fog * 0.10
        image = _over(image, self._layer(layers, s, t, 4))
        grey = image.mean(1, keepdim=True)
        dull = image + (grey - image) * 0.16
        image = image + (dull * image.new_tensor([0.86, 0.90, 0.95])[:, None, None] - image) * rain
        image = image + (dull * 0.97 + 0.02 - image) * snow * 0.7
        draw_rain(image, (s.weather == 1).nonzero()[:, 0], t, s.grain)
        draw_snow(image, (s.weather == 2).nonzero()[:, 0], t, s.grain)
        image = (image * s.gain[:, None, None, None]).clamp(0, 1).mul(255).round().to(torch.uint8)
        return image.view(n, 3, f, self.size, self.size)

    def _layer(self, layers: Tensor, s: SceneBatch, t: Tensor, index: int) -> Tensor:
        """One layer seen by the camera at every time, (n, 4, f * size, size)."""
        (n, f), size, depth = t.shape, self.size, DEPTHS[index]
        zoom = (1 + (s.zoom - 1)[:, None] * (0.4 + 0.6 * depth)) * torch.exp(s.zoom_rate[:, None] * t * min(depth, 1.0))
        cx = WIDTH / 2 + 26 * s.camera_x[:, None] + 128 * depth * s.pan[:, None] * t
        cy = HEIGHT / 2 + 0 * t + (zoom - 1) * 18
        under = self.under[s.place][:, None]
        if index == 1:
            cx = cx + 128 * s.drift[:, None] * t * ~under
            cy = cy + 9 * t * under
        cy = cy + 3.0 * s.camera_y[:, None] * depth
        pixel = (torch.arange(size, device=self.device) + 0.5) / size - 0.5
        u = (cx[..., None] + 128 * pixel / zoom[..., None])[:, :, None, :].expand(n, f, size, size)
        v = (cy[..., None] + 128 * pixel / zoom[..., None])[:, :, :, None].expand(n, f, size, size)
        waves = self.warp[s.place, index][:, None, None, None] * 128
        beat = t[..., None, None] + 7 * s.grain[:, None, None, None]
        du = waves * torch.sin(2 * math.pi * (v / 26 + 0.55 * beat))
        dv = waves * 0.6 * torch.sin(2 * math.pi * (u / 44 + 0.45 * beat))
        grid = torch.stack([(u + du) * (2 / WIDTH) - 1, (v + dv) * (2 / HEIGHT) - 1], -1)
        return F.grid_sample(
            layers[:, index], grid.reshape(n, f * size, size, 2), padding_mode="reflection", align_corners=False
        )

    def _subjects(self, image: Tensor, s: SceneBatch, t: Tensor) -> Tensor:
        """The second subject (a little behind), then the first, each with its shadow."""
        image = image.clone()
        for first in (False, True):
            rows = ((s.object if first else s.other) >= 0).nonzero()[:, 0]
            if len(rows):
                image[rows] = self._place(image[rows], s[rows], t[rows], first)
        return image

    def _pose(self, s: SceneBatch, t: Tensor, first: bool) -> dict[str, Tensor]:
        """Where the subject is at every time: x, foot, ground, wide, tall, angle as (n, f)."""
        pick = lambda a, b: a if first else b  # noqa: E731
        thing = pick(s.object, s.other)
        motion = pick(s.motion, s.other_motion)[:, None]
        rate, turn = s.rate[:, None], 2 * math.pi * pick(s.phase, s.other_phase)[:, None]
        speed = s.speed[:, None] * (1.0 if first else 0.0)
        size, x0, foot0 = (
            pick(s.size, s.other_size)[:, None],
            pick(s.x, s.other_x)[:, None],
            pick(s.foot, s.other_foot)[:, None],
        )
        vehicle = self.boat[thing][:, None]
        x = x0 + _bounded((speed - s.pan[:, None]) * t, 0.40)
        stride = torch.sin(math.pi * 2.0 * rate * t + turn)
        leap = torch.sin(math.pi * rate * t + turn).abs()
        wave = torch.sin(2 * math.pi * 0.6 * rate * t + turn)
        still = torch.zeros_like(t)
        lift = torch.where(motion == WALK, stride.abs() * torch.where(vehicle, 0.006, 0.022), still)
        lift = torch.where(motion == HOP, leap * 0.12, lift)
        bob = torch.where(motion == FLOAT, wave * torch.where(self.surface[s.place][:, None], 0.018, 0.040), still)
        angle = torch.where(motion == WALK, stride * torch.where(vehicle, 0.008, 0.045), still)
        angle = torch.where(motion == SWAY, wave * 0.13, angle)
        angle = torch.where(motion == FLOAT, torch.cos(2 * math.pi * 0.6 * rate * t + turn) * 0.06, angle)
        breath = torch.where(
            motion == HOP, (leap - 0.35) * 0.09, 0.012 * torch.sin(2 * math.pi * 0.8 * rate * t + turn)
        )
        grow = torch.where(motion == APPROACH, torch.exp(_bounded(0.22 * t, 0.26)), 1 + still) * torch.exp(
            s.zoom_rate[:, None] * t
        )
        ground = foot0 + 0.05 * (grow - 1)
        tall, foot = size * grow * (1 + breath), ground - (lift + bob) * size / 0.5
        lean = pick(s.angle, -s.angle)[:, None]
        return {
            "x": x,
            "foot": foot,
            "ground": ground,
            "wide": size * grow * (1 - breath),
            "tall": tall,
            "angle": angle + lean,
        }

    def _texture(self, s: SceneBatch, t: Tensor, first: bool) -> tuple[Tensor, Tensor]:
        """Sprites (n, f, 4, side, side) in [0, 1] and how much larger their squares are than the object, (n, 1)."""
        thing, phase = (s.object, s.phase) if first else (s.other, s.other_phase)
        stills = self.bank.stills[thing][:, None].expand(-1, t.shape[1], -1, -1, -1)
        clip = self.bank.clip_of[thing]
        runs = s.playing & (clip >= 0)
        if not bool(runs.any()):
            return stills.float() / 255, torch.ones_like(t[:, :1])
        clip = clip.clamp(min=0)
        at = (t / self.bank.clip_seconds[clip][:, None] + phase[:, None]) % 1.0
        moving = self.bank.clips[clip[:, None], (at * CLIP_FRAMES).long().clamp(max=CLIP_FRAMES - 1)]
        mixed = torch.where(runs[:, None, None, None, None], moving, stills)
        return mixed.float() / 255, torch.where(runs, self.bank.clip_zoom[clip].clamp(max=1.25), 1.0)[:, None]

    def _place(self, image: Tensor, s: SceneBatch, t: Tensor, first: bool) -> Tensor:
        """Shadow or ripple, then the lit sprite, over image (n, 3, f * size, size)."""
        (n, f), size = t.shape, self.size
        thing = s.object if first else s.other
        pose = {k: v.reshape(n * f, 1, 1) for k, v in self._pose(s, t, first).items()}
        texture, zoom = self._texture(s, t, first)
        texture = texture.reshape(n * f, *texture.shape[2:])
        side = texture.shape[-1]
        small = F.interpolate(F.avg_pool2d(texture, 2), size=side, mode="bilinear", align_corners=False)
        texture = torch.where((pose["tall"] * size < 0.6 * side)[..., None], small, texture)
        zoom = zoom.expand(n, f).reshape(n * f, 1, 1)
        line = (torch.arange(size, device=self.device) + 0.5) / size
        dx, dy = line[None, None, :] - pose["x"], line[None, :, None] - pose["foot"]
        cos, sin = torch.cos(pose["angle"]), torch.sin(pose["angle"])
        flip = torch.where((s.flip if first else s.other_flip), -2.0, 2.0).repeat_interleave(f)[:, None, None]
        u = (cos * dx + sin * dy) / (pose["wide"] * zoom) * flip
        v = (cos * dy - sin * dx) / (pose["tall"] * zoom) * 2 + (1 - 2 * MARGIN / side)
        sprite = F.grid_sample(texture, torch.stack([u, v], -1), align_corners=False)

        def spread(values: Tensor) -> Tensor:
            return values.repeat_interleave(f)[:, None, None]

        place = s.place
        wet, deep = spread(self.surface[place]), spread(self.under[place])
        extent = spread(self.bank.extent[thing, 0])
        rise = (pose["ground"] - pose["foot"]).clamp(min=0) + spread(torch.where(self.flies[thing], 0.15, 0.0))
        gy = pose["ground"] + spread(torch.where(self.flies[thing], 0.10, 0.0))
        rx = pose["wide"] * extent * 0.50
        near = (dx / rx) ** 2 + ((line[None, :, None] - gy) / (0.055 * pose["wide"] + 0.012)) ** 2
        shadow = torch.exp(-1.6 * near) * 0.46 / (1 + 7 * rise) * torch.where(deep, 0.6, 1.0) * ~wet
        shadow = self._stack(shadow[:, None], n, f)
        image = image * (1 - shadow * image.new_tensor([1.0, 0.96, 0.85])[:, None, None])

        sink = spread(torch.where(self.boat[thing], 0.05, 0.15)) * pose["tall"]
        ripples = 0.006 * torch.sin(40 * dx + 6.3 * spread(s.grain) + 3.0 * t.reshape(n * f, 1, 1))
        sunk = torch.sigmoid((dy + sink + ripples) * size * 0.7) * wet
        sprite = sprite * (1 - 0.90 * sunk[:, None])
        foam = torch.exp(-(((dy + sink + ripples) / 0.012) ** 2) - ((dx / (rx * 1.15)) ** 4)) * wet
        sprite = sprite.clone()
        shade = 1.03 - 0.13 * (1 + dy / pose["tall"]).clamp(0, 1)
        light = self.light[s.time]
        light = torch.where((self.indoors[place] & (s.time == 1))[:, None], 0.5 + 0.5 * light, light)
        light = torch.where(self.under[place][:, None], light * light.new_tensor(UNDER), light)
        sprite[:, :3] = sprite[:, :3] * shade[:, None] * light.repeat_interleave(f, 0)[..., None, None]
        image = _over(image, self._stack(sprite, n, f))
        foam = self._stack(foam[:, None], n, f)
        return image + (0.95 * light[..., None, None] - image) * 0.6 * foam

    def _stack(self, images: Tensor, n: int, f: int) -> Tensor:
        """(n * f, c, size, size) -> (n, c, f * size, size)"""
        c = images.shape[1]
        return images.view(n, f, c, self.size, self.size).transpose(1, 2).reshape(n, c, f * self.size, self.size)


def _bounded(way: Tensor, limit: float) -> Tensor:
    """Like `way` while it is short, never beyond `limit`: in a long clip a walker slows down before it is gone."""
    return limit * torch.tanh(way / limit)


def _over(image: Tensor, layer: Tensor) -> Tensor:
    """Premultiplied (n, 4, h, w) over (n, 3, h, w)."""
    return image * (1 - layer[:, 3:]) + layer[:, :3]


assert len(DEPTHS) == len(LAYERS)
