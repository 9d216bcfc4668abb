"""A walk to a movie: each frame a picture of its own, sampled in batches that are kept as they are done."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .. import __version__
from ..errors import DiffilmError
from ..frames import check_output, decode, read_audio, write
from ..frames import upscale as enlarge
from ..frames.progress import Progress
from ..movie.sample import SampleSettings, Size, check_settings
from ..movie.store import ShotStore, digest_key, movie_folder
from .blend import lerp, slerp
from .plan import Walk

if TYPE_CHECKING:
    from ..bundle import VideoModel


class WalkSampler:
    """`sampler(steps) -> latents (c, n, h, w)` of n frames `(leg, position)`, each a picture of its own.

    The noise of a prompt's seed and its text embedding are the walk's stations; a frame has its own between two.
    Raises DiffilmError when made with settings that the model does not take.
    """

    def __init__(self, model: VideoModel, settings: SampleSettings, walk: Walk) -> None:
        from ..sampling import initial_noise

        check_settings(model, settings)
        self.model, self.settings, self.walk = model, settings, walk
        scale = int(model.vae.downscale)
        size = (settings.height // scale, settings.width // scale)
        self.noise = [initial_noise((1, int(model.unet.config.out_channels), 1, *size), seed) for seed in walk.seeds]
        encoded = model.text.encode([*walk.prompts, settings.negative])
        self.texts, self.negative = encoded[:-1], encoded[-1:]

    def key(self, steps: Sequence[tuple[int, float]]) -> str:
        """The digest of all that decides the latents of these frames."""
        weight = next(self.model.unet.parameters())
        ends = [[self.walk.prompts[leg : leg + 2], self.walk.seeds[leg : leg + 2], place] for leg, place in steps]
        settings = {name: value for name, value in asdict(self.settings).items() if name != "fps"}
        form = {"device": weight.device.type, "dtype": weight.dtype, "model": self.model.fingerprint}
        return digest_key({"kind": "walk", "version": 1, "frames": ends, **settings, **form})

    def __call__(self, steps: Sequence[tuple[int, float]]) -> Tensor:
        from ..sampling import Denoiser, Guidance, noisy_start, sampler_for, sigmas_for

        model, settings = self.model, self.settings
        sigmas = sigmas_for(model.schedule, settings.steps, settings.spacing)
        noise = torch.cat([slerp(self.noise[leg], self.noise[leg + 1], place) for leg, place in steps])
        texts = torch.stack([lerp(self.texts[leg], self.texts[leg + 1], place) for leg, place in steps])
        guided = Guidance(
            Denoiser(model.unet, model.schedule, model.prediction),
            {"context": texts, "enable_time": False},
            {"context": self.negative, "enable_time": False},
            settings.cfg,
            "two_pass" if model.device.type == "cpu" else "batched",
        )
        x = noisy_start(None, noise, sigmas[0], model.schedule.sigma_max).to(model.device)
        latents = sampler_for(settings.sampler)(guided, x, sigmas, seed=self.walk.seeds[steps[0][0]])
        return latents[:, :, 0].float().cpu().movedim(0, 1)


def make_walk(
    prompts: Sequence[str],
    out: str | os.PathLike[str],
    *,
    seeds: Sequence[int] | int = 0,
    frames: Sequence[int] | int | None = None,
    fps: Fraction | int = 12,
    music: str | os.PathLike[str] | None = None,
    music_start: float = 0.0,
    smooth: float = 0.0,
    margin: float = 1.0,
    model: str | Path | VideoModel | None = None,
    size: Size | None = None,
    steps: int | None = None,
    cfg: float | None = None,
    negative: str | None = None,
    upscale: float | None = 2.0,
    batch: int = 8,
    crf: int = 18,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Walks from prompt to prompt and writes the movie to `out` (.mp4; without music also .gif and .webp).

    seeds, frames, fps: as in `Walk.plan`. music: a sound file that moves the walk (smooth, margin: as in `positions`)
    from `music_start` seconds on, and is muxed in. model, size, steps, cfg, negative, device: as in `make_movie`.
    upscale: from the sampled size to the movie's. batch: frames sampled together; finished batches are kept in
    `OUT-stem.diffilm`, where an interrupted run goes on. progress: stages "sample" (frames) and "write".

    Raises DiffilmError, before anything slow, for bad prompts, seeds, files, sizes and numbers.
    """
    target = check_output(out)
    if batch < 1:
        raise DiffilmError(f"batch of {batch} frames: expected at least 1; give a larger batch")
    heard = None if music is None else read_audio(music)
    if heard is not None:
        heard = heard.cut(music_start, heard.duration)
    if heard is not None and target.suffix.lower() != ".mp4":
        raise DiffilmError(f"output {target}: a {target.suffix} has no sound, expected .mp4; rename it, or no music")
    walk = Walk.plan(prompts, seeds, frames, fps, heard)
    times = walk.times(heard, smooth=smooth, margin=margin)
    loaded = _load(model, device)
    settings = SampleSettings.for_model(loaded, size=size, fps=walk.fps, steps=steps, cfg=cfg, negative=negative)
    sampler = WalkSampler(loaded, settings, walk)
    store = ShotStore(movie_folder(target))
    latents = _sampled(sampler, list(walk.steps(times)), batch, store, progress)
    stream = decode(loaded.vae, latents, walk.fps)
    if upscale not in (None, 1):
        stream = enlarge(stream, scale=upscale)
    about = {"diffilm": __version__, "walk": {**asdict(walk), "fps": str(walk.fps)}, "model": loaded.fingerprint}
    metadata = {"title": " / ".join(walk.prompts), "comment": about}
    return write(stream, target, progress=progress, crf=crf, metadata=metadata, audio=heard)


def _load(model: str | Path | VideoModel | None, device: Any) -> VideoModel:
    from ..bundle import VideoModel, load_model

    return model if isinstance(model, VideoModel) else load_model(model, device=device)


@torch.inference_mode()
def _sampled(
    sampler: WalkSampler, steps: list[tuple[int, float]], batch: int, store: ShotStore, progress: Progress | None
) -> Tensor:
    """The latents `(c, t, h, w)` of all frames; batches that are in the store are taken from there."""
    parts = []
    for start in range(0, len(steps), batch):
        if progress is not None:
            progress("sample", start, len(steps), sampler.walk.prompts[steps[start][0]])
        wanted = steps[start : start + batch]
        key = sampler.key(wanted)
        found = store.latents(key)
        if found is None:
            found = sampler(wanted)
            store.put_latents(key, found)
        parts.append(found)
    if progress is not None:
        progress("sample", len(steps), len(steps), "")
    return torch.cat(parts, dim=1)
