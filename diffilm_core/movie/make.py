"""A story to a movie, from Python: what the `diffilm` command and the workflow do."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..atomic import remove_stale
from ..errors import DiffilmError
from ..frames import as_fps, check_output
from ..frames.formats import Encoding, encoding
from ..frames.memory import parse_memory
from ..frames.progress import Progress
from ..story import Storyboard, read_story, split_story
from .checks import ClipScorer
from .finish import finishers
from .load import loaded_model
from .memory import under
from .production import Production
from .render import RenderSettings
from .room import check_room
from .sample import ModelSampler, SampleSettings, Size, parse_size
from .soundtrack import Soundtrack
from .store import ShotStore, movie_folder
from .takes import Take, best_takes

if TYPE_CHECKING:
    from ..bundle import VideoModel


@dataclass(frozen=True)
class Options:
    """What a movie is made with, as the user gave it; None: the model's own default, or as `make_movie` says."""

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
    interpolator: str | Path | None = None
    upscale: float | None = 2.0
    upscaler: str | Path | None = None
    batch: int = 4
    codec: str = ""
    bits: int = 0
    crf: int | None = None
    max_shots: int | None = None
    music: str | Path | None = None
    fade: float = 0.0
    check: bool = False
    rerolls: int = 0
    scorer: str | Path | None = None
    memory: int | str | None = None

    def verify(self) -> None:
        """Raises DiffilmError for a value that no model can take."""
        parse_size(self.size)
        for name, least in (("frames", 1), ("steps", 1), ("batch", 1), ("rerolls", 0)):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise DiffilmError(f"{name} {value!r}: expected a whole number of at least {least}; give a larger one")
        for name in ("fps", "interpolate"):
            if getattr(self, name) is not None:
                as_fps(getattr(self, name))
        if self.upscale is not None and not 0 < self.upscale <= 16:
            raise DiffilmError(f"upscale {self.upscale!r}: expected a factor above 0, at most 16; 2 is usual")
        if self.memory is not None:
            parse_memory(self.memory)

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
    folder: str | os.PathLike[str] | None = None,
    fresh: bool = False,
    on_checked: Callable[[Sequence[Take]], None] | None = None,
    ray: str | None = None,
    **options: Any,
) -> Path:
    """Films `story` shot by shot and writes the movie to `out` (.mp4 or any other of `frames.formats`); returns that.

    story: the text itself, a file (a `Path`, or a `str` that is the path of one), or a finished Storyboard (its
        durations, prompts and seeds are kept; `style`, `frames` and `seed` then do nothing).
    model: a model file, a loaded model, or None for the one that ships. device: None is the GPU where there is one.
    size, frames, fps, steps and, among the options, cfg, sampler, spacing, negative: how shots are sampled; None is
        the model's own default.
    folder: where finished shots are kept, `OUT-stem.diffilm` beside `out` by default. A run that was killed or
        cancelled goes on from there, inside a shot from the last saved step, and an edited story costs only the shots
        that changed. fresh: what is kept there of these very shots is made again.
    ray: the address of a Ray cluster that samples the shots (`cluster.film_on_ray`); the rest is done here.
    progress: `progress(stage, done, total, message)` with stages "load", "sample" (steps), "render" (frames) and
        "join" (files); it may raise `Cancelled`, which leaves what is finished and no half-written file.

    The other options, by name:
    interpolate: frames a second of the movie; None is twice `fps`; `fps` itself leaves the frames as sampled.
    upscale: factor from the sampled size to the movie's; None or 1 leaves it. So the model that ships samples 128x128
        at 8 fps and makes a movie of 256x256 at 16 fps.
    interpolator: "diffilm" (None: the network that ships), "blend" or a weight file; upscaler: "diffilm" (None),
        "bicubic" or a weight file.
    memory: a bound on the process, in bytes or such as "4GB", which chooses batches and tiles (`memory.under`).
    batch: frames decoded at once. codec, bits, crf: how the file is coded. max_shots: film only the first so many.
    music: a sound file under the whole movie, looped; fade: seconds that it takes to come and go.
    check: look at each sampled shot; rerolls: shots with findings are sampled again with up to so many other seeds,
        and the best is kept; scorer: a local CLIP folder that judges prompts. `on_checked(takes)` is told.

    Raises DiffilmError, before anything slow, for an empty story, an output that cannot be written, a model file that
    cannot be read, a size that the model cannot make, numbers out of range, and a disk without room for the movie.
    """
    try:
        wanted = Options(style, size, frames, fps, steps, seed, **options)
    except TypeError as error:
        raise TypeError(f"make_movie: {str(error).split('() ')[-1]}") from None
    production, target = prepare(
        story, out, wanted, model=model, device=device, progress=progress, folder=folder, fresh=fresh
    )
    check_room(production, target)
    remove_stale(target.absolute().parent, target.stem)
    if ray is not None:
        from .cluster import film_on_ray

        film_on_ray(production, ray, progress)
    if wanted.check or wanted.rerolls:
        scorer = None if wanted.scorer is None else ClipScorer(wanted.scorer, production.sampler.model.device)
        board, takes = best_takes(production, rerolls=wanted.rerolls, scorer=scorer)
        production = replace(production, board=board)
        if on_checked is not None:
            on_checked(takes)
    return production.make(target)


def prepare(
    story: str | Path | Storyboard,
    out: str | os.PathLike[str],
    options: Options,
    *,
    model: str | Path | VideoModel | None = None,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
    folder: str | os.PathLike[str] | None = None,
    fresh: bool = False,
) -> tuple[Production, Path]:
    """All that `make_movie` does before the first slow step: the movie that is to be made, and its path."""
    target = check_output(out)
    options.verify()
    output = encoding(target, options.codec, options.bits, options.crf)
    sound = None if options.music is None else Soundtrack(options.music, options.fade, target)
    text = story if isinstance(story, Storyboard) else _text_of(story)
    if isinstance(text, str):
        options.storyboard(text, options.frames, None if options.fps is None else as_fps(options.fps))
    loaded = loaded_model(model, device, progress)
    settings = SampleSettings.for_model(
        loaded, size=options.size, fps=options.fps, steps=options.steps, cfg=options.cfg, sampler=options.sampler,
        spacing=options.spacing, negative=options.negative,
    )  # fmt: skip
    board = text
    if isinstance(board, str):
        board = options.storyboard(board, options.frames or loaded.defaults.frames, settings.fps)
    rendering = _render_settings(options, loaded, settings, output)
    sampler = ModelSampler(loaded, settings, len(board.shots), progress)
    sampler.store = ShotStore(movie_folder(target) if folder is None else folder)
    production = Production(board, sampler, rendering, sampler.store, progress, sound=sound)
    if options.memory is not None:
        production = under(production, options.memory)
    if fresh:
        production.forget()
    return production, target


def _text_of(story: str | Path) -> str:
    """The text of a file, where `story` is a Path or one line that names a file; else the story itself."""
    named = isinstance(story, Path) or ("\n" not in story and len(story) < 4096 and os.path.isfile(story))
    return read_story(Path(story)) if named else str(story)


def _render_settings(options: Options, model: VideoModel, sample: SampleSettings, output: Encoding) -> RenderSettings:
    fps = sample.fps * 2 if options.interpolate is None else as_fps(options.interpolate)
    fps_changes, size_changes = fps != sample.fps, options.upscale not in (None, 1)
    interpolator, upscaler = finishers(
        options.interpolator if fps_changes else "blend",
        options.upscaler if size_changes else "bicubic",
        upscale=options.upscale,
        device=model.device,
    )
    weight = next(model.vae.parameters())
    return RenderSettings(
        source_fps=sample.fps,
        fps=fps if fps_changes else None,
        upscale=options.upscale if size_changes else None,
        batch=options.batch,
        autoencoder=model.fingerprint,
        form=f"{weight.device.type} {weight.dtype}",
        interpolator=interpolator,
        upscaler=upscaler,
        output=output,
    )
