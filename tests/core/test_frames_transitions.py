"""Proves that a transition mixes its two shots rightly at each frame and chunk, and that joins keep time."""

from __future__ import annotations

import pytest
import torch

from diffilm_core.errors import DiffilmError
from diffilm_core.frames import FrameStream, from_tensor
from diffilm_core.frames.transitions import join, transition


def grey(value: float, frames: int, width: int = 8) -> FrameStream:
    return from_tensor(torch.full((frames, 4, width, 3), value), 8)


def counted(frames: int, base: float = 0.0) -> FrameStream:
    return from_tensor((torch.arange(frames) / 64 + base)[:, None, None, None].expand(frames, 4, 8, 3).contiguous(), 8)


@pytest.mark.parametrize("chunk", [1, 2, 5])
def test_dissolve_and_fade_run_evenly(chunk: int) -> None:
    a, b = grey(0.8, 3).rechunk(chunk), grey(0.4, 3)
    mixed = transition(a, b, "dissolve")
    assert (mixed.frames, mixed.fps, mixed.cuts) == (3, 8, ())
    assert torch.allclose(mixed.collect()[:, 0, 0, 0], torch.tensor([0.7, 0.6, 0.5]))
    assert torch.allclose(transition(a, b, "fade").collect()[:, 0, 0, 0], torch.tensor([0.4, 0.0, 0.2]), atol=1e-7)


def test_a_wipes_edge_moves_from_left_to_right() -> None:
    row = transition(grey(0.0, 2, 9), grey(1.0, 2, 9), "wipe").collect()[:, 0, :, 0]
    assert torch.equal(row, torch.tensor([[1.0] * 3 + [0.0] * 6, [1.0] * 6 + [0.0] * 3]))
    half = transition(grey(0.0, 1, 5), grey(1.0, 1, 5), "wipe").collect()[0, 0, :, 0]
    assert torch.equal(half, torch.tensor([1.0, 1.0, 0.5, 0.0, 0.0]))


@pytest.mark.parametrize("chunk", [1, 2, 5, 16])
def test_joined_shots_overlap_by_the_transition(chunk: int) -> None:
    shots = [counted(7).rechunk(chunk), counted(6, 0.5).rechunk(chunk), counted(5, 0.25)]
    film = join(shots, ["cut", "dissolve", "cut"], 3)
    a, b, c = (shot.collect() for shot in shots)
    middle = transition(from_tensor(a[4:], 8), from_tensor(b[:3], 8), "dissolve").collect()
    assert film.frames == 15 and film.cuts == (6, 10)
    assert torch.equal(film.collect(), torch.cat([a[:4], middle, b[3:], c]))
    assert torch.equal(join(shots, ["cut"] * 3, 3).collect(), torch.cat([a, b, c]))


def test_what_cannot_be_joined_is_told() -> None:
    with pytest.raises(DiffilmError, match="'spin': expected one of cut, dissolve, fade, wipe"):
        transition(grey(0, 2), grey(1, 2), "spin")
    with pytest.raises(DiffilmError, match="same size, rate and number of frames"):
        transition(grey(0, 2), grey(1, 3), "fade")
    with pytest.raises(DiffilmError, match="shot 2 of 5 frames: expected at least 6"):
        join([grey(0, 9), grey(1, 5), grey(0, 9)], ["", "wipe", "fade"], 3)
    with pytest.raises(DiffilmError, match="2 transitions for 1 shots"):
        join([grey(0, 9)], ["", "fade"], 2)
