"""A story to a movie, from Python: what the `diffilm` command and the workflow do."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from .. import __version__
from ..atomic import remove_stale
from ..errors import DiffilmError
from ..frames import as_fps, check_output
from ..frames.progress import Progress
from ..story import Shot, Storyboard, read_story, split_story
from .film import Film
from .render import RenderSettings, finished_stream, render
from .sample import ModelSampler, SampleSettings, Size, parse_size
from .store import ShotStore, movie_folder

if TYPE_CHECKING:
    from ..bundle import VideoModel

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What a movie is made with, as the user gave it; None: the model's own default, or as said."""

    style: str = ""
    size: Size | None = None
    frames: int | None = None
    fps: float | Fraction | None = None
    steps: int | None = None
    seed: int = 0
    cfg: float | None = None
    sampler: str | None = None
    spacing: str | None = None
    negative: str | None = None
    interpolate: float | Fraction | None = None
    upscale: float | None = 2.0
    batch: int = 4
    crf: int = 18
    max_shots: int | None = None

    def check(self) -> None:
        """Raises DiffilmError for a value that no model can take."""
        parse_size(self.size)
        for name, least in (("frames", 1), ("steps", 1), ("batch", 1)):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise DiffilmError(f"{name} {value!r}: expected a whole number of at least {least}; give a larger one")
        for name in ("fps", "interpolate"):
            if getattr(self, name) is not None:
                as_fps(getattr(self, name))
        if self.upscale is not None and not 0 < self.upscale <= 16:
            raise DiffilmError(f"upscale {self.upscale!r}: expected a factor above 0, at most 16; 2 is usual")
        if not 0 <= self.crf <= 51:
            raise DiffilmError(
                f"crf {self.crf}: expected 0 (best) to 51 (smallest); 18 is hard to tell from the original"
            )

    def storyboard(self, text: str, frames: int | None, fps: Fraction | None) -> Storyboard:
        return split_story(text, style=self.style, seed=self.seed, frames=frames, fps=fps, max_shots=self.max_shots)


def make_movie(
    story: str | Path | Storyboard,
    out: str | os.PathLike[str],
    *,
    model: str | Path | VideoModel | None = None,
    style: str = "",
    size: Size | None = None,
    frames: int | None = None,
    fps: float | Fraction | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
    cfg: float | None = None,
    sampler: str | None = None,
    spacing: str | None = None,
    negative: str | None = None,
    interpolate: float | Fraction | None = None,
    upscale: float | None = 2.0,
    batch: int = 4,
    crf: int = 18,
    max_shots: int | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> Path:
    """Films `story` shot by shot and writes the movie to `out` (.mp4, .gif or .webp); returns its path.

    story: the text itself, a file (a `Path`, or a `str` that is the path of one), or a finished Storyboard (its
        durations, prompts and seeds are kept; `style`, `frames` and `seed` then do nothing).
    model: a model file, a loaded model, or None for the one that ships. device: None is the GPU where there is one.
    size, frames, fps, steps, cfg, sampler, spacing, negative: how shots are sampled; None is the model's own default.
    interpolate: frames a second of the movie; None is twice `fps`; `fps` itself leaves the frames as sampled.
    upscale: factor from the sampled size to the movie's; None or 1 leaves it. So the model that ships samples 128x128
        at 8 fps and makes a movie of 256x256 at 16 fps.
    batch: frames decoded at once. crf: quality of the file, 0 (best) to 51. max_shots: film only the first so many.
    folder: where finished shots are kept, `OUT-stem.diffilm` beside `out` by default. A run that was killed or
        cancelled goes on from there, and an edited story costs only the shots that changed.
    progress: `progress(stage, done, total, message)` with stages "load", "sample" (steps), "render" (frames) and
        "join" (shots); it may raise `Cancelled`, which leaves what is finished and no half-written file.

    Raises DiffilmError, before anything slow, for an empty story, an output that cannot be written, a model file that
    cannot be read, a size that the model cannot make, and numbers out of range.
    """
    options = Options(
        style=style, size=size, frames=frames, fps=fps, steps=steps, seed=seed, cfg=cfg, sampler=sampler,
        spacing=spacing, negative=negative, interpolate=interpolate, upscale=upscale, batch=batch, crf=crf,
        max_shots=max_shots,
    )  # fmt: skip
    target = check_output(out)
    options.check()
    text = story if isinstance(story, Storyboard) else _text_of(story)
    if isinstance(text, str):
        options.storyboard(text, frames, None if fps is None else as_fps(fps))
    loaded = _load(model, device, progress)
    settings = SampleSettings.for_model(
        loaded, size=size, fps=fps, steps=steps, cfg=cfg, sampler=sampler, spacing=spacing, negative=negative
    )
    board = text
    if isinstance(board, str):
        board = options.storyboard(board, frames or loaded.defaults.frames, settings.fps)
    film_sampler = ModelSampler(loaded, settings, len(board.shots), progress)
    store = film_sampler.store = ShotStore(movie_folder(target) if folder is None else folder)
    remove_stale(target.absolute().parent, target.stem)
    return _produce(board, film_sampler, _render_settings(options, loaded, settings), store, target, progress)


def _text_of(story: str | Path) -> str:
    """The text of a file, where `story` is a Path or one line that names a file; else the story itself."""
    named = isinstance(story, Path) or ("\n" not in story and len(story) < 4096 and os.path.isfile(story))
    return read_story(Path(story)) if named else str(story)


def _load(model: str | Path | VideoModel | None, device: Any, progress: Progress | None) -> VideoModel:
    from ..bundle import VideoModel, load_model

    if isinstance(model, VideoModel):
        return model
    name = "the model that ships" if model is None else str(model)
    if progress is not None:
        progress("load", 0, 1, name)
    loaded = load_model(model, device=device)
    if progress is not None:
        progress("load", 1, 1, name)
    return loaded


def _render_settings(options: Options, model: VideoModel, sample: SampleSettings) -> RenderSettings:
    fps = sample.fps * 2 if options.interpolate is None else as_fps(options.interpolate)
    weight = next(model.vae.parameters())
    return RenderSettings(
        source_fps=sample.fps,
        fps=None if fps == sample.fps else fps,
        upscale=None if options.upscale in (None, 1) else options.upscale,
        batch=options.batch,
        crf=options.crf,
        autoencoder=model.fingerprint,
        form=f"{weight.device.type} {weight.dtype}",
    )


def _produce(
    board: Storyboard,
    sampler: ModelSampler,
    settings: RenderSettings,
    store: ShotStore,
    out: Path,
    progress: Progress | None,
) -> Path:
    """Samples what is missing, renders what is missing, joins."""
    film = Film(board, sampler, store, sampler.key)
    vae = sampler.model.vae
    mp4 = out.suffix.lower() == ".mp4"
    shots = [_about(shot, sampler, settings) for shot in board.shots]
    store.put_manifest({**board.to_dict(), "version": 1, "out": out.name, "diffilm": __version__, "made": shots})
    for shot in board.shots:
        if not mp4 or store.segment(settings.segment_key(sampler.key(shot))) is None:
            film.latents(shot)
        sampler.report(shot, sampler.steps)
    scale = int(vae.downscale)

    def stream_of(shot: Shot) -> Any:
        sizes = sampler.settings
        like = torch.empty(1, sizes.frames(shot), sizes.height // scale, sizes.width // scale, device="meta")
        return finished_stream(film, shot, vae, settings, like)

    return render(film, stream_of, settings, out, metadata=_metadata(board, shots, out), progress=progress)


def _about(shot: Shot, sampler: ModelSampler, settings: RenderSettings) -> dict[str, Any]:
    """A shot's keys and all that decides its pixels."""
    key = sampler.key(shot)
    return {
        "index": shot.index,
        "latents": key,
        "segment": settings.segment_key(key),
        "sampled": sampler.about(shot),
        "stages": settings.stages(),
    }


def _metadata(board: Storyboard, shots: list[dict[str, Any]], out: Path) -> Mapping[str, Any]:
    """What the file carries: enough to make any of its shots again."""
    comment = {"diffilm": __version__, "style": board.style, "shots": [shot["sampled"] for shot in shots]}
    comment["stages"] = shots[0]["stages"]
    return {"title": board.title or out.stem, "comment": comment}
