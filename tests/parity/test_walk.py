"""Proves that a walk's blends and its steps to music are those of stable-diffusion-videos and librosa."""

from __future__ import annotations

import importlib.util
import math
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from diffilm_core.errors import DiffilmError
from diffilm_core.walk import lerp, music, positions, slerp

REPOSITORY = Path(os.environ.get("STABLE_DIFFUSION_VIDEOS", "/work/.mirror/nateraw+stable-diffusion-videos/repo"))


def drums(seconds: float = 4.0, seed: int = 0) -> Tensor:
    """Beats that come faster and louder over a steady chord."""
    generator = torch.Generator().manual_seed(seed)
    count = round(seconds * music.RATE)
    at = torch.arange(count) / music.RATE
    sound = 0.1 * sum(torch.sin(2 * math.pi * pitch * at) for pitch in (220, 277, 330))
    beat, gap = 0.3, 0.5
    while beat < seconds - 0.1:
        start = round(beat * music.RATE)
        burst = torch.randn(1500, generator=generator) * torch.linspace(1, 0, 1500) ** 2 * beat / seconds
        sound[start : start + 1500] += burst[: count - start]
        beat, gap = beat + gap, gap * 0.9
    return sound


@pytest.fixture(scope="module")
def librosa() -> Any:
    return pytest.importorskip("librosa")


@pytest.fixture(scope="module")
def published(librosa: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """`utils.py` of stable-diffusion-videos, from its repository."""
    if not REPOSITORY.exists():
        pytest.skip("no stable-diffusion-videos: set STABLE_DIFFUSION_VIDEOS to its repository")
    name = "HEAD:stable_diffusion_videos/utils.py"
    shown = subprocess.run(["git", "--git-dir", str(REPOSITORY), "show", name], capture_output=True, check=True)
    file = tmp_path_factory.mktemp("published") / "walk_utils.py"
    file.write_bytes(shown.stdout)
    spec = importlib.util.spec_from_file_location("published_walk", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    needed = {"torchvision.io": {"write_video": None}, "torchvision.transforms.functional": {"pil_to_tensor": None}}
    with pytest.MonkeyPatch.context() as patch:
        for key, values in {"torchvision": {}, "torchvision.transforms": {}, **needed}.items():
            fake = types.ModuleType(key)
            fake.__dict__.update(values)
            patch.setitem(sys.modules, key, fake)
        spec.loader.exec_module(module)
    return module


def relative(ours: Tensor, theirs: Any) -> float:
    theirs = torch.as_tensor(theirs)
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("t", [0.0, 0.1, 0.5, 0.85, 1.0])
def test_slerp_is_the_published_one(published: Any, t: float) -> None:
    a, b = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    near, turned = a + 0.01 * b, -a + 0.01 * b
    for first, second in ((a, b), (a, near), (a, turned), (a, a)):
        assert torch.allclose(slerp(first, second, t), published.slerp(t, first, second), rtol=0, atol=2e-5)


@pytest.mark.parametrize(("smooth", "margin", "frames"), [(0.0, 1.0, 120), (0.3, 1.0, 97), (0.0, 2.5, 60)])
def test_positions_are_the_published_ones(
    published: Any, smooth: float, margin: float, frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = drums()
    monkeypatch.setattr(published.librosa, "load", lambda *_, **__: (sound.numpy(), music.RATE))
    wanted = published.get_timesteps_arr("", 0, 4, fps=frames / 4, smooth=smooth, margin=margin)
    found = positions(sound, frames, smooth=smooth, margin=margin)
    assert relative(found, wanted) <= 1e-4
    assert float((found - torch.linspace(0, 1, frames)).abs().max()) > 0.02


@pytest.mark.parametrize("margin", [1.0, 3.0])
def test_the_percussive_part_is_librosas(librosa: Any, margin: float) -> None:
    sound = drums(2.0, seed=1)
    spectrum = librosa.stft(sound.numpy())
    wanted = librosa.istft(librosa.decompose.hpss(spectrum, margin=margin)[1], length=sound.numel())
    assert relative(music.percussive(sound, margin), wanted) <= 1e-4


def test_the_mel_spectrogram_is_librosas(librosa: Any) -> None:
    sound = drums(1.5, seed=2)
    assert relative(music.mel_spectrogram(sound), librosa.feature.melspectrogram(y=sound.numpy(), sr=22050)) <= 1e-4


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**31), st.floats(0, 1), st.integers(2, 400))
def test_noise_keeps_its_length_on_the_way(seed: int, t: float, size: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, size, generator=generator, dtype=torch.float64)
    b = b * a.norm() / b.norm()
    mixed = slerp(a, b, t)
    cosine = float((a @ b) / a.norm() ** 2)
    if abs(cosine) <= 0.9995:
        assert float(mixed.norm()) == pytest.approx(float(a.norm()), rel=1e-6)
        angle = math.acos(max(-1.0, min(1.0, float(mixed @ a / (mixed.norm() * a.norm())))))
        assert angle == pytest.approx(t * math.acos(cosine), abs=1e-5)
    else:
        assert torch.allclose(mixed, lerp(a, b, t))
    assert torch.allclose(slerp(a, b, 0.0), a) and torch.allclose(slerp(a, b, 1.0), b)


def test_the_walk_moves_with_the_drums_and_evenly_in_silence() -> None:
    sound = torch.zeros(4 * music.RATE)
    sound[2 * music.RATE : 2 * music.RATE + 1000] = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    found = positions(sound, 40)
    assert bool((found.diff() >= 0).all()) and float(found[-1]) == 1
    assert float(found[18]) < 0.05 and float(found[22]) > 0.95
    even = torch.linspace(0, 1, 40, dtype=torch.float64)
    assert torch.equal(positions(torch.zeros(music.RATE), 40), even)
    assert torch.allclose(positions(sound, 40, smooth=1.0), even)
    assert torch.allclose(positions(torch.zeros(10), 3), torch.tensor([0, 0.5, 1], dtype=torch.float64))
    assert np.isfinite(positions(drums(0.05), 7).numpy()).all()


def test_bad_settings_are_told() -> None:
    with pytest.raises(DiffilmError, match="smooth"):
        positions(torch.zeros(100), 3, smooth=2)
    with pytest.raises(DiffilmError, match="one shape"):
        slerp(torch.zeros(3), torch.zeros(4), 0.5)
