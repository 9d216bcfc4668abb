"""Proves that a movie with transitions is cut into files frame by frame as the whole stream has it, is as long as
planned, and that a change of one shot leaves every other file's bytes alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from diffilm_core.errors import Cancelled, DiffilmError
from diffilm_core.frames import FrameStream, from_tensor, read
from diffilm_core.frames.formats import encoding
from diffilm_core.movie import ShotStore, pieces, plan_pieces, render
from diffilm_core.movie.pieces import CUT, overlaps, span

HOW = st.sampled_from(["", "cut", "dissolve", "fade", "wipe"])


@given(st.lists(st.tuples(st.integers(1, 30), HOW), min_size=1, max_size=8), st.integers(0, 12))
def test_every_frame_is_in_one_file(shots: list[tuple[int, str]], frames: int) -> None:
    """Each frame of each shot is in its body, or in one of the two transitions beside it."""
    lengths, hows = [length for length, _ in shots], [how for _, how in shots]
    keys = [f"key {index}" for index in range(len(shots))]
    plan = plan_pieces(keys, lengths, hows, frames)
    into = overlaps(lengths, hows, frames)
    seen: list[list[int]] = [[] for _ in shots]
    for piece in plan:
        assert piece.frames > 0
        if piece.transition:
            assert piece.transition not in CUT and piece.frames == into[piece.shot] <= frames
            before = lengths[piece.shot - 1]
            seen[piece.shot - 1] += range(before - piece.frames, before)
            seen[piece.shot] += range(piece.frames)
        else:
            seen[piece.shot] += range(piece.first, piece.first + piece.frames)
    assert [sorted(each) for each in seen] == [list(range(length)) for length in lengths]
    assert sum(piece.frames for piece in plan) == sum(lengths) - sum(into)
    assert len({piece.key for piece in plan}) == len(plan)
    assert [piece.shot for piece in plan if not piece.transition] == list(range(len(shots)))
    for piece in plan:
        if piece.frames == lengths[piece.shot]:
            assert piece.key == keys[piece.shot]  # a shot between two cuts keeps its own key


class Shot:
    """A shot's stream that counts the frames that were computed."""

    def __init__(self, seed: int, frames: int, chunk: int = 4) -> None:
        grey = torch.rand(frames, 16, 16, 1, generator=torch.Generator().manual_seed(seed))
        self.frames = grey.expand(-1, -1, -1, 3).contiguous()
        self.chunk, self.pulled = chunk, 0

    def stream(self) -> FrameStream:
        def make() -> Iterator[Tensor]:
            for start in range(0, len(self.frames), self.chunk):
                part = self.frames[start : start + self.chunk]
                self.pulled += len(part)
                yield part

        return from_tensor(self.frames, 8).with_frames(make)


LENGTHS = (12, 9, 10)
HOWS = ("", "dissolve", "dissolve")


def made(folder: Path, seeds: tuple[int, ...] = (1, 2, 3), hows: tuple[str, ...] = HOWS, **options: Any) -> tuple:
    shots = [Shot(seed, length) for seed, length in zip(seeds, LENGTHS, strict=True)]
    plan = plan_pieces([f"shot {seed}" for seed in seeds], LENGTHS, hows, 3)
    store = ShotStore(folder)
    streams = [shot.stream() for shot in shots]
    target = folder.with_suffix(".mp4")
    out = render(store, streams, plan, ["a", "b", "c"], target, output=encoding(target, crf=0), **options)
    return read(out), plan, shots, store


def test_the_file_has_the_frames_of_the_plan(tmp_path: Path) -> None:
    film, plan, shots, _ = made(tmp_path / "m")
    assert [(p.shot, p.first, p.frames, p.transition) for p in plan] == [
        (0, 0, 9, ""), (1, 0, 3, "dissolve"), (1, 3, 3, ""), (2, 0, 3, "dissolve"), (2, 3, 7, ""),
    ]  # fmt: skip
    assert film.frames == sum(LENGTHS) - 6 and film.fps == Fraction(8)
    got = film.collect()
    a, b, c = (shot.frames for shot in shots)
    for low, want in ((0, a[:9]), (12, b[3:6]), (18, c[3:])):
        assert (got[low : low + len(want)] - want).abs().max() < 0.01  # lossless but for 8 bits, limited range
    near = [(got[low] - want).abs().mean() for low, want in ((9, a[9]), (11, b[2]), (15, b[6]), (17, c[2]))]
    far = [(got[low] - want).abs().mean() for low, want in ((9, b[0]), (11, a[11]), (15, c[0]), (17, b[8]))]
    assert all(n < f for n, f in zip(near, far, strict=True))
    assert [shot.pulled for shot in shots] == list(LENGTHS)  # each computed once


def test_editing_a_shot_leaves_the_other_files_byte_for_byte(tmp_path: Path) -> None:
    _, before, _, store = made(tmp_path / "m")
    bytes_before = {p.key: store.segment_path(p.key).read_bytes() for p in before}
    times = {p.key: store.segment_path(p.key).stat().st_mtime_ns for p in before}
    film, after, shots, store = made(tmp_path / "m", seeds=(1, 2, 9))
    new = {p.key for p in after} - set(bytes_before)
    assert [p.key in new for p in after] == [False, False, False, True, True]
    assert shots[0].pulled == 0 and shots[1].pulled == LENGTHS[1] and shots[2].pulled == LENGTHS[2]
    for p in after[:3]:
        path = store.segment_path(p.key)
        assert path.read_bytes() == bytes_before[p.key] and path.stat().st_mtime_ns == times[p.key]
    again, *_ = made(tmp_path / "other", seeds=(1, 2, 9))
    assert torch.equal(film.collect(), again.collect())
    cut, plan, shots, _ = made(tmp_path / "m", seeds=(1, 2, 9), hows=("", "dissolve", ""))
    assert [p.transition for p in plan] == ["", "dissolve", "", ""] and cut.frames == sum(LENGTHS) - 3
    assert [shot.pulled for shot in shots] == [0, LENGTHS[1], LENGTHS[2]]


@pytest.mark.parametrize("stop", [9, 12, 15, 16, 25])
def test_a_stopped_run_goes_on_to_the_same_file(tmp_path: Path, stop: int) -> None:
    whole, *_ = made(tmp_path / "whole")

    def cancel(stage: str, done: int, total: int, message: str) -> None:
        if (stage, done) == ("render", stop):
            raise Cancelled

    with pytest.raises(Cancelled):
        made(tmp_path / "m", progress=cancel)
    assert not (tmp_path / "m.mp4").exists()
    again, *_ = made(tmp_path / "m")
    assert torch.equal(again.collect(), whole.collect())


def test_the_kept_frames_need_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pieces.tempfile, "TemporaryFile", full)
    monkeypatch.setattr("diffilm_core.movie.store.check_writable", lambda folder: None)
    monkeypatch.setattr("diffilm_core.frames.output.check_writable", lambda folder: None)
    with pytest.raises(DiffilmError, match="No space left on device"):
        made(tmp_path / "m")


def test_a_part_of_a_shot_stops_where_it_ends() -> None:
    shot = Shot(1, 12)
    part = span(shot.stream(), 2, 5)
    assert torch.equal(part.collect(), shot.frames[2:7]) and part.frames == 5
    assert shot.pulled == 8  # no chunk after the last wanted one
    assert replace(plan_pieces(["a"], [4], [""], 3)[0], shot=1).first == 0
