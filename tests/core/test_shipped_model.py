"""Proves that the model that ships draws what it is told, moves, and makes the same frames twice."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from diffilm_core import make_movie
from diffilm_core.bundle import load_model
from diffilm_core.frames import decode, frame_hashes, read
from diffilm_core.sampling import sample_clip

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model():
    return load_model(device="cpu")


@pytest.fixture(scope="module")
def film(model):
    """Latents `(c, t, h, w)` of a prompt, filmed once; with enable_time=False each frame is made on its own."""
    d, done = model.defaults, {}

    def latents(prompt: str, enable_time: bool = True) -> Tensor:
        if (prompt, enable_time) not in done:
            cond, uncond = model.text.encode([prompt, ""]).split(1)
            told = {"fps": torch.tensor([d.fps]), "enable_time": enable_time}
            with torch.inference_mode():
                done[prompt, enable_time] = sample_clip(
                    model.unet,
                    model.schedule,
                    model.prediction,
                    {"context": cond, **told},
                    {"context": uncond, **told},
                    shape=(model.unet.config.in_channels, d.frames, 16, 16),
                    seed=3,
                    steps=12,
                    cfg=d.cfg,
                    sampler=d.sampler,
                    spacing=d.spacing,
                )
        return done[prompt, enable_time]

    return latents


def colours(model, latents: Tensor) -> Tensor:
    """Mean colour `(3,)` of the lower third of the frames."""
    frames = torch.cat(list(decode(model.vae, latents, model.defaults.fps)))
    return frames[:, frames.shape[1] * 2 // 3 :].mean(dim=(0, 1, 2))


def test_places_and_hours_look_like_their_words(model, film):
    snow, meadow = colours(model, film("a fox in the snow")), colours(model, film("a fox in the meadow"))
    night = colours(model, film("a fox in the meadow at night"))
    assert snow.min() > 0.6, "snow is white"
    assert meadow[1] > meadow[0] + 0.1 and meadow[1] > meadow[2] + 0.1, "grass is green"
    assert night.mean() < meadow.mean() * 0.6, "night is dark"


def neighbours(model, latents: Tensor) -> float:
    """Mean absolute difference of neighbouring frames."""
    frames = torch.cat(list(decode(model.vae, latents, model.defaults.fps)))
    return float((frames[1:] - frames[:-1]).abs().mean())


def test_clips_move_and_their_frames_hold_together(model, film):
    prompt = "a fox in the meadow"
    moving = neighbours(model, film(prompt))
    alone = neighbours(model, film(prompt, enable_time=False))
    assert 0.005 < moving < alone / 2, "frames of a clip are nearer to each other than pictures made one by one"


@pytest.mark.parametrize("chunk", [1, 5, 16])
def test_frames_are_the_same_at_any_chunk(model, film, chunk):
    latents = film("a fox in the snow")
    fps = model.defaults.fps
    assert frame_hashes(decode(model.vae, latents, fps, chunk=chunk)) == frame_hashes(decode(model.vae, latents, fps))


def test_the_same_story_is_the_same_movie(tmp_path):
    story = "A bee flew over the meadow. At night an owl sat in the forest."
    one, two = (make_movie(story, tmp_path / f"{n}.mp4", steps=4, frames=8, seed=5, device="cpu") for n in (1, 2))
    assert frame_hashes(read(one)) == frame_hashes(read(two))
    assert read(one).frames == 2 * 16
