"""Proves that a walk goes from prompt to prompt frame by frame, with its music, and goes on where it was stopped."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from diffilm_core.bundle import VideoModel, load_model
from diffilm_core.cli import main
from diffilm_core.errors import Cancelled, DiffilmError
from diffilm_core.frames import Audio, frame_hashes, read, read_audio, read_metadata
from diffilm_core.movie.sample import SampleSettings
from diffilm_core.sampling import Denoiser, Guidance, initial_noise, noisy_start, sampler_for, sigmas_for
from diffilm_core.walk import Walk, WalkSampler, make_walk
from tests.core.test_frames_audio import tone, write_wav
from tests.models import tiny_model

PROMPTS = ["a fox in the snow", "a bee", "an owl at night"]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")


@pytest.fixture(scope="module")
def model(path: Path) -> VideoModel:
    return load_model(path, device="cpu")


def picture(model: VideoModel, prompt: str, seed: int) -> torch.Tensor:
    """One picture of one prompt, as the image model makes it."""
    settings = SampleSettings.for_model(model)
    sigmas = sigmas_for(model.schedule, settings.steps, settings.spacing)
    texts = model.text.encode([prompt, settings.negative])
    conds = [{"context": text[None], "enable_time": False} for text in texts]
    guided = Guidance(Denoiser(model.unet, model.schedule, model.prediction), conds[0], conds[1], settings.cfg)
    x = noisy_start(None, initial_noise((1, 8, 1, 4, 4), seed), sigmas[0], model.schedule.sigma_max)
    return sampler_for(settings.sampler)(guided, x, sigmas)[0, :, 0]


def test_stations_are_the_pictures_of_their_prompts(model: VideoModel) -> None:
    walk = Walk.plan(PROMPTS, [5, 6, 7], 4)
    sampler = WalkSampler(model, SampleSettings.for_model(model), walk)
    steps = list(walk.steps(walk.times()))
    assert len(steps) == walk.frames == 8 and steps[0] == (0, 0.0) and steps[-1] == (1, 1.0)
    latents = sampler(steps)
    for frame, prompt, seed in ((0, PROMPTS[0], 5), (3, PROMPTS[1], 6), (4, PROMPTS[1], 6), (7, PROMPTS[2], 7)):
        assert torch.allclose(latents[:, frame], picture(model, prompt, seed), atol=1e-4)
    between = latents[:, 1]
    assert min(float((between - latents[:, end]).abs().max()) for end in (0, 3)) > 0.01
    assert torch.allclose(latents[:, 2:5], sampler(steps[2:5]), atol=1e-4)


def test_a_walk_is_a_movie_that_goes_on_where_it_was_stopped(model: VideoModel, tmp_path: Path) -> None:
    out, options = tmp_path / "walk.mp4", {"model": model, "frames": 5, "batch": 3, "upscale": 1, "steps": 2}

    def stop(stage: str, done: int, *_: Any) -> None:
        if (stage, done) == ("sample", 6):
            raise Cancelled

    with pytest.raises(Cancelled):
        make_walk(PROMPTS, out, progress=stop, **options)
    assert not out.exists() and len(list((tmp_path / "walk.diffilm/latents").iterdir())) == 2
    calls: list[int] = []
    hook = model.unet.register_forward_pre_hook(lambda *_: calls.append(1))
    make_walk(PROMPTS, out, **options)
    assert len(calls) == 2 * 2 * 2  # two batches of two steps, with and without the prompt
    make_walk(PROMPTS, out, **options)
    assert len(calls) == 8
    hook.remove()
    found = read(out)
    assert (found.frames, found.width, found.fps) == (10, 32, 12)
    make_walk(PROMPTS, tmp_path / "whole.mp4", **options)
    assert frame_hashes(read(tmp_path / "whole.mp4")) == frame_hashes(found)
    assert read_metadata(out)["title"] == " / ".join(PROMPTS)


def test_music_moves_the_walk_and_is_heard(model: VideoModel, tmp_path: Path) -> None:
    music = write_wav(tmp_path / "song.wav", tone(1.5))
    options: dict[str, Any] = {"model": model, "steps": 1, "fps": 8, "batch": 16, "upscale": None}
    out = make_walk(PROMPTS[:2], tmp_path / "walk.mp4", music=music, seeds=[1, 2], **options)
    found, heard = read(out), read_audio(out)
    assert found.frames == 12 and float(heard.duration) == pytest.approx(1.5, abs=0.1)
    walk = Walk.plan(PROMPTS[:2], [1, 2], None, 8, tone(1.5))
    times = walk.times(Audio(read_audio(music, 22050).samples, 22050))[0]
    assert float(times[4]) < 0.05 and float(times[-1]) == 1  # the beep starts in the middle
    frames = found.collect()
    moved = [float((a - b).abs().mean()) for a, b in pairwise(frames)]
    assert max(moved[:4]) < 0.25 * max(moved[4:])


def test_plans() -> None:
    assert Walk.plan(PROMPTS).seeds == (0, 1, 2) and Walk.plan(PROMPTS).legs == (24, 24)
    assert Walk.plan(PROMPTS, fps=10, music=tone(2.5)).legs == (12, 13)
    assert Walk.plan(PROMPTS, frames=[3, 9], fps=Fraction(25, 2)).frames == 12
    after = Walk.plan(PROMPTS[:2], frames=30, fps=10).times(Audio(torch.zeros(1, 22050), 22050))
    assert torch.equal(after[0], torch.linspace(0, 1, 30, dtype=torch.float64))


@pytest.mark.parametrize(
    ("prompts", "options", "match"),
    [
        (["one"], {}, "two or more"),
        (["one", " "], {}, "none of them empty"),
        (PROMPTS, {"seeds": [1, 2]}, "2 seeds for 3 prompts"),
        (PROMPTS, {"frames": 0}, "of 1 or more"),
        (PROMPTS, {"frames": [3]}, "expected 2 of 1 or more"),
        (PROMPTS, {"batch": 0}, "batch of 0"),
        (PROMPTS, {"size": "33x32"}, "divisible by"),
        (PROMPTS, {"music": "none.mp3"}, "no such file"),
    ],
)
def test_bad_walks_are_told(
    prompts: list[str], options: dict[str, Any], match: str, model: VideoModel, tmp_path: Path
) -> None:
    with pytest.raises(DiffilmError, match=match) as told:
        make_walk(prompts, tmp_path / "walk.mp4", model=model, **options)
    assert "\n" not in str(told.value) and not list(tmp_path.iterdir())


def test_the_command(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    write_wav(Path("song.wav"), tone(1.0))
    flags = f"--seeds 4,5 --frames 3 --fps 6 --music song.wav --steps 1 --model {path} --device cpu -o out.mp4"
    assert main(["walk", *PROMPTS[:2], *flags.split()]) == 0
    assert capsys.readouterr().out == "out.mp4\n"
    assert (read("out.mp4").frames, read("out.mp4").fps) == (3, 6) and read_audio("out.mp4").duration > 0
    assert main(["walk", *PROMPTS[:2], "--music", "song.wav", "-o", "out.gif", "--model", str(path)]) == 2
    assert "has no sound" in capsys.readouterr().err
    assert main(["walk", "one", "--model", str(path)]) == 2
