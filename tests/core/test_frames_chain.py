"""Proves for the whole chain with the networks that ship, over a cut, that frames do not depend on the chunks, that no
network sees both shots, and how far tiles are from whole frames."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from diffilm_core.frames import Fit, FrameStream, concat, decode, frame_hashes, from_tensor, interpolate, upscale
from diffilm_core.models.interpolation import NetworkInterpolator, load_interpolator
from diffilm_core.models.upscaling import load_upscaler
from diffilm_core.models.upscaling.own import DiffilmUpscaler

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")


class Decoder:
    """Latents (the wanted frames at an eighth of the size) made larger."""

    downscale = 8

    def decode(self, z: Tensor) -> Tensor:
        return F.interpolate(z, scale_factor=8.0, mode="bicubic")


def shots() -> list[Tensor]:
    """Latents `(3, t, 4, 6)` of a red and a blue shot, in which a pattern moves."""
    pattern = torch.rand(3, 4, 24, generator=torch.Generator().manual_seed(0)) - 0.5
    moving = [torch.stack([pattern[..., at : at + 6] for at in range(frames)], 1) for frames in (5, 3)]
    colours = torch.tensor([[0.5, 0.0, -0.5], [-0.5, 0.0, 0.5]])[:, :, None, None, None]
    return [latents * 0.6 + colour for latents, colour in zip(moving, colours, strict=True)]


def recorded(call: Callable[..., Tensor], seen: list[set[bool]]) -> Callable[..., Tensor]:
    """`call`, and for each row of its batches of which shots its frames are (True: red)."""

    def run(*inputs: Tensor) -> Tensor:
        for row in zip(*(each for each in inputs if each.ndim >= 4), strict=True):
            frames = torch.cat([each.reshape(-1, 3, *each.shape[-2:]) for each in row])
            red, _, blue = frames.mean((2, 3)).T
            seen.append(set((red > blue).tolist()))
        return call(*inputs)

    return run


def chain(chunk: int, between: NetworkInterpolator, larger: DiffilmUpscaler) -> FrameStream:
    """Decoded at 8 a second and 48x32, interpolated to 20, made 4 times as large."""
    film = concat([decode(Decoder(), latents, 8, chunk=chunk) for latents in shots()]).rechunk(chunk)
    finer = interpolate(film, 20, model=between).rechunk(chunk)
    return upscale(finer, 4, model=larger).rechunk(chunk)


def test_frame_hashes_are_equal_at_any_chunk_and_in_two_runs_and_no_network_sees_both_shots() -> None:
    between, larger = load_interpolator(device=CPU), load_upscaler(device=CPU)
    seen: list[set[bool]] = []
    between.between = recorded(between.between, seen)
    larger.upscale = recorded(larger.upscale, seen)
    film = chain(8, between, larger)
    assert (film.width, film.height, film.frames, film.cuts) == (192, 128, 20, (13,))
    wanted = frame_hashes(film)
    assert len(set(wanted)) > 15 and len(seen) > 20
    for chunk in (1, 2, 5, 16, 16):
        assert frame_hashes(chain(chunk, between, larger)) == wanted
    assert all(len(each) == 1 for each in seen) and set().union(*seen) == {True, False}


def test_tiles_against_whole_frames() -> None:
    """To the tolerance of docs/finishing.md, in levels of 255: upscaled 0.1 at most, interpolated 0.5 in the mean."""
    wide = torch.rand(3, 6, 40, generator=torch.Generator().manual_seed(1))
    pattern = F.interpolate(wide[None], (96, 640), mode="bicubic")[0].clamp(0, 1)
    pixels = torch.stack([pattern[:, :, 4 * at : 4 * at + 192] for at in range(3)]).movedim(1, -1)
    clip, tiles = from_tensor(pixels, 8), Fit(tile=128)

    def off(make: Callable[[Fit], FrameStream]) -> Tensor:
        return (make(tiles).collect() - make(Fit()).collect()).abs() * 255

    larger, between = load_upscaler(device=CPU), load_interpolator(device=CPU)
    upscaled = off(lambda fit: upscale(clip, 4, model=larger, fit=fit))
    interpolated = off(lambda fit: interpolate(clip, 16, model=between, fit=fit))
    assert float(upscaled.max()) <= 0.1
    assert 0 < float(interpolated.mean()) <= 0.5
