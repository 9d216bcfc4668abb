"""Proves that a movie whose network runs out of memory goes on at a lower stated setting: shots that are finished stay,
the setting is in the key of the others, and the same movie again finds all of them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

from diffilm_core.bundle import load_model
from diffilm_core.frames import frame_hashes, read
from diffilm_core.frames.fit import Fit
from diffilm_core.movie import ModelSampler, Production, RenderSettings, SampleSettings, ShotStore
from diffilm_core.story import Shot, Storyboard
from tests.models import tiny_model

BOARD = Storyboard(shots=tuple(Shot(index=i, prompt=f"a fox {i}", seed=i, duration=0.375) for i in range(3)))


class Hungry:
    """An interpolator of batch 2 that runs out of memory for good after so many calls with more than one pair."""

    name, fingerprint, batch = "hungry", "h1", 2

    def __init__(self, calls: int) -> None:
        self.calls = calls

    def between(self, first: Tensor, second: Tensor, t: Tensor) -> Tensor:
        if first.shape[0] > 1:
            self.calls -= 1
            if self.calls < 0:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return first + (second - first) * t.view(-1, 1, 1, 1)


def production(path: Path, folder: Path, calls: int) -> Production:
    model = load_model(path, device="cpu")
    settings = SampleSettings.for_model(model, steps=1)
    sampler = ModelSampler(model, settings, 3)
    sampler.store = ShotStore(folder)
    rendering = RenderSettings(source_fps=settings.fps, fps=Fraction(16), interpolator=Hungry(calls))
    return Production(BOARD, sampler, rendering, sampler.store)


def test_memory_that_runs_out_costs_the_shot_it_hit(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The first shot takes one call, the second finds no memory; the third is made as the second then was."""
    path = tiny_model(tmp_path / "tiny.safetensors")
    first = production(path, tmp_path / "m", 1)
    planned = [piece.key for piece in first.pieces]
    out = first.make(tmp_path / "m.mp4")
    made = [piece.key for piece in first.pieces]
    assert [a == b for a, b in zip(planned, made, strict=True)] == [True, False, False]
    assert first.settings.between == Fit(1, None) and "lower setting" in caplog.text
    files = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "m" / "shots").iterdir()}
    assert len(files) == 6  # a movie and a record for each shot
    second = production(path, tmp_path / "m", 0)
    again = second.make(tmp_path / "again.mp4")
    assert frame_hashes(read(again)) == frame_hashes(read(out))
    assert {p.name: p.stat().st_mtime_ns for p in (tmp_path / "m" / "shots").iterdir()} == files
