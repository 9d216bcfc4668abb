"""Damage for super-resolution to repair: blur, bicubic reduction, noise, an autoencoder's artefacts, H.264.

The order is that of a film made, kept and sent small (Real-ESRGAN, Wang et al. 2021, one round). `strength` in [0, 1]
is the worst that may come; every part is drawn between nothing and its share of it:

    damaged = damage(clip, 4, draw(0.5, rng), rng)      # uint8 (t, 4h, 4w, 3) -> (t, h, w, 3)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from numpy.typing import NDArray

from .clips import LENGTH, SIDE, read_part
from .loop import fast_in_bf16

Clip = NDArray[np.uint8]
"""RGB frames, (t, h, w, 3)."""

MAX_BLUR = 1.6
"""Standard deviation of the widest blur, in pixels of the reduced frame."""
MAX_NOISE = 12.0
"""Standard deviation of the strongest noise, in 8-bit levels."""
BEST_CRF, WORST_CRF = 20, 38


@dataclass(frozen=True)
class Damage:
    """Blur: standard deviations along and across `angle`, in pixels of the reduced frame; noise in 8-bit levels, of
    brightness alone or of each channel; `artefacts`: the share of the autoencoder's picture; crf None: no H.264."""

    blur: tuple[float, float] = (0.0, 0.0)
    angle: float = 0.0
    noise: float = 0.0
    coloured: bool = False
    artefacts: float = 0.0
    crf: int | None = None


def draw(strength: float, rng: np.random.Generator, *, autoencoder: bool = False) -> Damage:
    """Damage of at most `strength`; strength 0 is none. `autoencoder`: artefacts may be among it."""
    if strength <= 0:
        return Damage()
    has = rng.random(4) < (0.65, 0.65, 0.2 * autoencoder, 0.65)
    wide, narrow = sorted(rng.uniform(0.2, 1.0, 2))[::-1] if rng.random() < 0.5 else [rng.uniform(0.2, 1.0)] * 2
    share = rng.uniform(0.2, 1.0, 3) * strength
    return Damage(
        blur=(MAX_BLUR * strength * wide, MAX_BLUR * strength * narrow) if has[0] else (0.0, 0.0),
        angle=float(rng.uniform(0, np.pi)),
        noise=float(MAX_NOISE * share[0]) if has[1] else 0.0,
        coloured=bool(rng.random() < 0.5),
        artefacts=float(share[1]) if has[2] else 0.0,
        crf=round(BEST_CRF + (WORST_CRF - BEST_CRF) * float(share[2])) if has[3] else None,
    )


def damage(
    clip: Clip,
    scale: int,
    what: Damage,
    rng: np.random.Generator,
    redraw: Callable[[Clip], Clip] | None = None,
) -> Clip:
    """`clip` reduced `scale` times (an even number) and damaged; `redraw` puts frames through an autoencoder."""
    if max(what.blur) > 0:  # at twice the final size: enough pixels for the kernel, and quick
        clip = reduce(clip, scale // 2)
        clip = reduce(blur(clip, 2 * what.blur[0], 2 * what.blur[1], what.angle), 2)
    else:
        clip = reduce(clip, scale)
    if what.artefacts and redraw is not None:
        mixed = clip + what.artefacts * (redraw(clip).astype(np.float32) - clip)
        clip = mixed.round().clip(0, 255).astype(np.uint8)
    if what.noise:
        grain = rng.standard_normal((*clip.shape[:3], 3 if what.coloured else 1), np.float32) * what.noise
        clip = (clip + grain).round().clip(0, 255).astype(np.uint8)
    return clip if what.crf is None else through_h264(clip, what.crf)


def reduce(clip: Clip, scale: int) -> Clip:
    """`clip` at 1/scale of its size: antialiased bicubic (a = -0.5), to the nearest 8-bit value."""
    if scale == 1:
        return clip
    size = (clip.shape[1] // scale, clip.shape[2] // scale)
    pixels = rearrange(torch.from_numpy(np.array(clip)), "t h w c -> t c h w").float()
    small = F.interpolate(pixels, size, mode="bicubic", antialias=True, align_corners=False)
    return rearrange(small.round().clamp(0, 255).to(torch.uint8), "t c h w -> t h w c").contiguous().numpy()


def blur(clip: Clip, along: float, across: float, angle: float) -> Clip:
    """A Gaussian of standard deviations `along` and `across` its `angle` (radians), in pixels of `clip`."""
    import cv2

    along, across = max(along, 0.05), max(across, 0.05)
    half = max(1, round(3 * max(along, across)))
    y, x = np.mgrid[-half : half + 1, -half : half + 1]
    u, v = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    kernel = np.exp(-0.5 * ((u / along) ** 2 + (v / across) ** 2))
    kernel /= kernel.sum()
    return np.stack([cv2.filter2D(frame, -1, kernel, borderType=cv2.BORDER_REFLECT_101) for frame in clip])


def through_h264(clip: Clip, crf: int) -> Clip:
    """`clip` encoded by x264 at `crf` (4:2:0, BT.601 as small films are) and decoded again. Sizes must be even."""
    import av

    encoder: Any = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width, encoder.pix_fmt = clip.shape[1], clip.shape[2], "yuv420p"
    encoder.time_base = Fraction(1, 24)
    encoder.options = {"crf": str(crf), "preset": "veryfast", "threads": "1", "mbtree": "0"}  # as write
    decoder: Any = av.CodecContext.create("h264", "r")
    frames = []
    for index, pixels in enumerate(clip):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(format="yuv420p")
        frame.pts = index
        frames += [f for packet in encoder.encode(frame) for f in decoder.decode(packet)]
    frames += [f for packet in encoder.encode(None) for f in decoder.decode(packet)]
    frames += decoder.decode(None)
    return np.stack([frame.to_ndarray(format="rgb24") for frame in frames])


def autoencoder_redraw() -> Callable[[Clip], Clip]:
    """Frames through the autoencoder of the model that ships. Sizes must be multiples of its downscale."""
    from ..bundle import load_model

    vae = load_model(device="cpu").vae

    @torch.no_grad()
    def redraw(clip: Clip) -> Clip:
        pixels = rearrange(torch.from_numpy(clip), "t h w c -> t c h w").float() / 127.5 - 1
        with torch.autocast("cpu", torch.bfloat16, enabled=fast_in_bf16(pixels.device)):
            made = vae.decode(vae.encode(pixels)).float().clamp(-1, 1)
        return rearrange(made.add(1).mul(127.5).round().to(torch.uint8), "t c h w -> t h w c").contiguous().numpy()

    return redraw


def write_pairs(store: Path, part: str, out: Path, scale: int, *, damaged: bool, every: int = 1, seed: int = 0) -> int:
    """The small twins of a clip store's part: `<part>_<clean|damaged><scale>.u8` (n, 7, s, s, 3) and their strengths.

    The rows are those of `pixels[::every]`. Damaged twins have a strength of 0.1 to 1 each. Returns how many.
    """
    _, pixels = read_part(store, part)
    rng = np.random.default_rng([seed, scale])
    redraw = autoencoder_redraw() if damaged else None
    out.mkdir(parents=True, exist_ok=True)
    name = f"{part}_{'damaged' if damaged else 'clean'}{scale}"
    strengths = []
    with open(out / f"{name}.u8", "wb") as file:
        for clip in pixels[::every]:
            strengths.append(float(rng.uniform(0.1, 1.0)) if damaged else 0.0)
            what = draw(strengths[-1], rng, autoencoder=True)
            file.write(damage(np.asarray(clip), scale, what, rng, redraw).tobytes())
    np.save(out / f"{name}.npy", np.array(strengths, np.float32))
    return len(strengths)


def read_pairs(out: Path, part: str, kind: str, scale: int) -> tuple[NDArray[np.float32], Clip]:
    """Strengths (n,) and pixels (n, 7, s, s, 3) that `write_pairs` wrote."""
    strengths = np.load(out / f"{part}_{kind}{scale}.npy")
    side = SIDE // scale
    shape = (len(strengths), LENGTH, side, side, 3)
    return strengths, np.memmap(out / f"{part}_{kind}{scale}.u8", np.uint8, "r", shape=shape)
