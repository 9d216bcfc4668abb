"""Proves that a movie stays below the memory that its user allows, by settings that are stated and in the keys of its
shots, and that a bound that cannot be met is said before anything is made."""

from __future__ import annotations

import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from diffilm_core.bundle import load_model
from diffilm_core.cli import main
from diffilm_core.errors import DiffilmError
from diffilm_core.frames import read
from diffilm_core.frames.fit import Fit
from diffilm_core.frames.memory import parse_memory
from diffilm_core.movie import ModelSampler, Production, RenderSettings, SampleSettings, ShotStore, read_record
from diffilm_core.movie.memory import stated, under
from diffilm_core.story import Shot, Storyboard
from tests.models import tiny_model
from tests.peak import needs_proc

pytestmark = needs_proc
ROOT = Path(__file__).parents[2]
BOUND = "1.4GB"
BOARD = Storyboard(shots=(Shot(index=0, prompt="a fox", seed=1, duration=0.5),))

HUNGRY = """
import sys, torch
from pathlib import Path
from tests.core.test_movie_memory import production, under
from tests.peak import own_peak

torch.set_num_threads(1)
movie = production(Path(sys.argv[1]), Path(sys.argv[2]))
if sys.argv[3]:
    movie = under(movie, sys.argv[3])
movie.make(Path(sys.argv[2], "m.mp4"))
print(own_peak())
"""

OURS = """
import sys, torch
from diffilm_core.movie import make_movie
from tests.peak import own_peak

torch.set_num_threads(1)
make_movie("A fox sleeps.", sys.argv[2], model=sys.argv[1], device="cpu", steps=1, frames=2, size=(320, 192),
           interpolator="diffilm", upscaler="diffilm", memory=sys.argv[3] or None)
print(own_peak())
"""


class Hungry:
    """An interpolator that takes 150 MB a frame of 32x32, and says so."""

    name, fingerprint, batch, bytes_per_pixel = "hungry", "h1", 12, 150_000

    def between(self, first: Tensor, second: Tensor, t: Tensor) -> Tensor:
        b, _, h, w = first.shape
        taken = first.new_zeros(b, self.bytes_per_pixel // 4, h, w).add_(1)
        return first + (second - first) * t.view(-1, 1, 1, 1) * taken[:, :1]


def production(model: Path, folder: Path) -> Production:
    loaded = load_model(model, device="cpu")
    settings = SampleSettings.for_model(loaded, steps=1)
    sampler = ModelSampler(loaded, settings, 1)
    sampler.store = ShotStore(folder)
    rendering = RenderSettings(source_fps=settings.fps, fps=Fraction(32), interpolator=Hungry())
    return Production(BOARD, sampler, rendering, sampler.store)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


def peak(child: str, *arguments: object) -> int:
    command = [sys.executable, "-c", child, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return int(done.stdout)


@pytest.mark.slow
def test_the_process_stays_below_the_bound_that_it_breaks_without(model: Path, tmp_path: Path) -> None:
    """The whole process, Python and torch included: the interpreter's own share is far from what the bound leaves."""
    free, bound = (peak(HUNGRY, model, tmp_path / name, name) for name in ("", BOUND))
    print(f"{free / 1e6:.0f} MB without, {bound / 1e6:.0f} MB with {BOUND}")
    assert bound < parse_memory(BOUND) < free


@pytest.mark.slow
def test_our_networks_stay_below_the_bound(model: Path, tmp_path: Path) -> None:
    bound = peak(OURS, model, tmp_path / "m.mp4", "1.3GB")
    print(f"{bound / 1e6:.0f} MB with 1.3GB")
    assert bound < 1.3e9
    assert read_record(tmp_path / "m.mp4").stages["upscale"]["fit"]["tile"] is not None


def test_the_settings_are_stated_and_in_the_keys(model: Path, tmp_path: Path) -> None:
    plain = production(model, tmp_path)
    keys, fits = [], []
    for memory in ("16GB", "1.8GB"):
        movie = under(plain, memory)
        keys.append(movie.pieces[0].key)
        fits.append((movie.settings.batch, movie.settings.between))
        assert str(movie.settings.between) in stated(movie.settings)
        assert under(plain, memory).pieces[0].key == keys[-1]
    assert fits[0] == (plain.settings.batch, Fit()) and keys[0] == plain.pieces[0].key
    assert fits[1] == (4, Fit(1, None)) and keys[1] != keys[0]
    assert plain.settings.between == Fit()  # the movie without a bound is as it was


def test_a_bound_that_cannot_be_met_is_said_before_anything_is_made(model: Path, tmp_path: Path) -> None:
    plain = production(model, tmp_path)
    with pytest.raises(DiffilmError, match=r"memory 500MB: sampling 4 frames of 32x32 takes about \d+ MB, expected"):
        under(plain, "500MB")
    with pytest.raises(
        DiffilmError, match=r"memory 760MB: 32x32 to 32x32 takes about \d+ MB with the smallest settings"
    ):
        under(plain, "760MB")


def test_the_command_takes_the_bound(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("story.txt").write_text("A fox sleeps.", "utf-8")
    story = ["movie", "story.txt", "-o", "m.mp4", "--model", str(model), "--device", "cpu", "--steps", "1"]
    plain = ["--interpolator", "blend", "--upscaler", "bicubic"]
    small = [*story, *plain, "--frames", "2", "--size", "256x256", "--memory"]
    for words, match in (("lots", "such as 4GB"), ("100MB", r"memory 100MB: sampling 2 frames of 256x256 takes")):
        assert main([*small, words]) == 2
        assert re.search(match, capsys.readouterr().err) and not Path("m.mp4").exists()
    assert main([*small, "1GB", "--dry-run"]) == 0
    found = re.search(r"decode (\d) at once", capsys.readouterr().out)
    assert found is not None and int(found[1]) < 4
    assert main([*small, "1GB"]) == 0
    assert read_record(Path("m.mp4")).stages["decode"]["batch"] == int(found[1])
    assert read("m.mp4").frames == 4
