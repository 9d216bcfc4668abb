"""Proves that context windows cover every frame and fuse as weighted means, and that FreeNoise windows are
permutations."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from diffilm_core import Cancelled, DiffilmError
from diffilm_core.sampling import ContextWindows, freenoise_order, initial_noise, window_ranges


@st.composite
def layouts(draw: st.DrawFn) -> tuple[int, int, int]:
    length = draw(st.integers(1, 24))
    return draw(st.integers(1, 120)), length, draw(st.integers(0, length - 1))


@settings(deadline=None)
@given(layouts())
def test_windows_cover_every_frame(layout: tuple[int, int, int]) -> None:
    frames, length, overlap = layout
    windows = window_ranges(frames, length, overlap)
    assert sorted({f for window in windows for f in window}) == list(range(frames))
    assert all(len(window) == min(length, frames) for window in windows)
    assert all(a.start < b.start <= a.start + length - overlap for a, b in pairwise(windows))


@settings(deadline=None)
@given(layouts(), st.integers(0, 2**64 - 1))
def test_freenoise_windows_are_permutations(layout: tuple[int, int, int], seed: int) -> None:
    """Of the first window, in every window that the sampler uses; so each has independent frames."""
    frames, length, overlap = layout
    order = freenoise_order(frames, length, overlap, seed)
    for window in window_ranges(frames, length, overlap):
        assert sorted(order[window.start : window.stop].tolist()) == list(range(min(length, frames)))
    assert torch.equal(order, freenoise_order(frames, length, overlap, seed))


@settings(deadline=None)
@given(layouts(), st.sampled_from(["flat", "pyramid"]))
def test_fusing_what_agrees_changes_nothing(layout: tuple[int, int, int], fuse: str) -> None:
    """A model that treats frames one by one gives the same through windows."""
    frames, length, overlap = layout
    x = torch.randn(2, 1, frames, 2, 2, dtype=torch.float64)
    windows = ContextWindows(lambda x, sigma: x.sin(), length, overlap, fuse)
    torch.testing.assert_close(windows(x, torch.ones(2)), x.sin(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("fuse", "expected"),
    [
        # two windows of 4 on 6 frames: the model marks window 0 with 0 and window 1 with 1
        ("flat", [0, 0, 1 / 2, 1 / 2, 1, 1]),
        ("pyramid", [0, 0, 1 / 3, 2 / 3, 1, 1]),
    ],
)
def test_weights(fuse: str, expected: list[float]) -> None:
    index = -1

    def mark(x: Tensor, sigma: Tensor) -> Tensor:
        return torch.full_like(x, float(index))

    def count(i: int, total: int) -> None:
        nonlocal index
        assert total == 2
        index = i

    windows = ContextWindows(mark, 4, 2, fuse, before_window=count)
    fused = windows(torch.zeros(1, 1, 6, 1, 1), torch.ones(1)).flatten()
    torch.testing.assert_close(fused, torch.tensor(expected, dtype=torch.float32))


def test_windows_are_seen_whole() -> None:
    seen = []

    def model(x: Tensor, sigma: Tensor) -> Tensor:
        seen.append((x.shape[2], x[0, 0, 0, 0, 0].item()))
        return x

    ContextWindows(model, 16, 4)(torch.arange(40.0).view(1, 1, 40, 1, 1), torch.ones(1))
    assert seen == [(16, 0), (16, 12), (16, 24)]


def test_cancel_between_windows() -> None:
    def stop(index: int, total: int) -> None:
        if index == 1:
            raise Cancelled

    calls = []
    windows = ContextWindows(lambda x, s: calls.append(1) or x, 4, 2, before_window=stop)
    with pytest.raises(Cancelled):
        windows(torch.zeros(1, 1, 12, 1, 1), torch.ones(1))
    assert len(calls) == 1


def test_initial_noise_is_the_hosts() -> None:
    """torch.randn of [t, c, h, w] at that seed; it does not touch the global generator."""
    state = torch.get_rng_state()
    ours = initial_noise((1, 4, 5, 6, 7), 123)
    assert torch.equal(state, torch.get_rng_state())
    theirs = torch.randn((5, 4, 6, 7), generator=torch.Generator().manual_seed(123))
    assert torch.equal(ours[0].transpose(0, 1), theirs)


def test_noise_of_a_batch_is_drawn_clip_by_clip() -> None:
    both = initial_noise((2, 4, 5, 6, 7), 123)
    drawn = torch.randn((10, 4, 6, 7), generator=torch.Generator().manual_seed(123))
    assert torch.equal(both[1].transpose(0, 1), drawn[5:])


def test_freenoise_repeats_the_first_window() -> None:
    plain, free = initial_noise((1, 2, 40, 3, 3), 9), initial_noise((1, 2, 40, 3, 3), 9, freenoise_window=16)
    assert torch.equal(free[:, :, :16], plain[:, :, :16])
    assert torch.equal(free, plain[:, :, freenoise_order(40, 16, 8, 9)])
    assert torch.equal(initial_noise((1, 2, 16, 3, 3), 9, freenoise_window=16), plain[:, :, :16])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: window_ranges(10, 0, 0), "at least 1"),
        (lambda: window_ranges(10, 4, 4), "0 to 3"),
        (lambda: window_ranges(0, 4, 2), "clip of 0 frames"),
        (lambda: ContextWindows(lambda x, s: x, 4, 2, "gauss"), "flat, pyramid"),
        (lambda: ContextWindows(lambda x, s: x, 4, -1), "0 to 3"),
        (lambda: initial_noise((4, 16, 8, 8), 0), r"\(b, c, t, h, w\)"),
        (lambda: initial_noise((1, 4, 0, 8, 8), 0), "at least 1"),
        (lambda: initial_noise((1, 4, 2, 8, 8), -1), "seed -1"),
        (lambda: initial_noise((1, 4, 2, 8, 8), 2**64), "seed"),
    ],
)
def test_errors_say_what_is_possible(call: object, words: str) -> None:
    with pytest.raises(DiffilmError, match=words):
        call()  # type: ignore[operator]
