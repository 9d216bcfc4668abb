"""Proves that a shot that was stopped at any sampler step goes on there, and ends with the numbers of an undisturbed
run, for every sampler, with context windows too."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from diffilm_core.bundle import VideoModel, load_model
from diffilm_core.errors import Cancelled
from diffilm_core.movie import ModelSampler, SampleSettings, ShotStore, steps
from diffilm_core.sampling import SAMPLERS, SamplerState
from diffilm_core.story import Shot
from tests.models import tiny_model

STEPS = 4


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> VideoModel:
    return load_model(tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors"), device="cpu")


def sampler_of(model: VideoModel, name: str, store: ShotStore | None, progress: Any = None) -> ModelSampler:
    settings = SampleSettings.for_model(model, steps=STEPS, sampler=name)
    return ModelSampler(model, settings, 1, progress, store)


def shot(frames: int) -> Shot:
    return Shot(index=0, prompt="a fox", seed=7, duration=frames / 8)


class Stop:
    """Cancels, or dies without a word, when that many steps are reported."""

    def __init__(self, at: int, error: type[BaseException] = Cancelled) -> None:
        self.at, self.error, self.seen = at, error, list[int]()

    def __call__(self, stage: str, done: int, total: int, message: str) -> None:
        self.seen.append(done)
        if done == self.at:
            raise self.error


@pytest.mark.parametrize("frames", [3, 7], ids=["whole", "windows"])
@pytest.mark.parametrize("name", list(SAMPLERS))
def test_a_stopped_shot_ends_as_an_undisturbed_one(model: VideoModel, tmp_path: Path, name: str, frames: int) -> None:
    whole = sampler_of(model, name, None)(shot(frames))
    for at in range(1, STEPS):
        store = ShotStore(tmp_path / str(at))
        first = sampler_of(model, name, store, Stop(at))
        with pytest.raises(Cancelled):
            first(shot(frames))
        saved = store.state(first.key(shot(frames)))
        assert saved is not None and saved.step == at
        watch = Stop(-1)
        again = sampler_of(model, name, ShotStore(tmp_path / str(at)), watch)(shot(frames))
        assert torch.equal(again, whole) and min(watch.seen) == at


def test_what_a_kill_costs_is_bounded_by_the_time_between_saves(
    model: VideoModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A death that no handler sees: only what was saved on the way is there."""

    class Death(BaseException):
        pass

    left = []
    for seconds in (0.0, 3600.0):
        monkeypatch.setattr(steps, "SAVE_SECONDS", seconds)
        store = ShotStore(tmp_path / str(seconds))
        sampler = sampler_of(model, "dpmpp_2m", store, Stop(3, Death))
        with pytest.raises(Death):
            sampler(shot(3))
        left.append(store.state(sampler.key(shot(3))))
    assert left[0] is not None and left[0].step == 3 and left[1] is None


def test_the_state_goes_when_the_clip_is_stored_and_damage_starts_it_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, key = ShotStore(tmp_path), "k" * 64
    state = SamplerState(3, torch.randn(1, 2, 3, 4, 4), torch.randn(1, 2, 3, 4, 4))
    store.put_state(key, state)
    found = store.state(key)
    assert found is not None and found.step == 3 and found.denoised is not None and state.denoised is not None
    assert torch.equal(found.x, state.x) and torch.equal(found.denoised, state.denoised)
    assert store.state("l" * 64) is None
    data = store.state_path(key).read_bytes()
    for damage in (data[:-1], b"", data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]):
        store.state_path(key).write_bytes(damage)
        with caplog.at_level(logging.WARNING):
            assert store.state(key) is None
        assert str(store.state_path(key)) in caplog.messages[-1]
    store.put_state(key, state)
    store.put_latents(key, state.x)
    assert store.state(key) is None and store.latents(key) is not None and len(list(tmp_path.rglob("*.*"))) == 1
