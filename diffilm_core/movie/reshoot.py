"""One shot of a finished movie made again, from what the movie itself carries and the weights."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..errors import DiffilmError
from ..frames import check_output, read
from ..frames.fit import Fit
from ..frames.formats import FORMATS, encoding
from ..frames.progress import Progress
from ..story import Shot, Storyboard
from .cut import check_pieces, cut_pieces
from .finish import OURS, finishers
from .load import loaded_model
from .pieces import Piece
from .production import Production
from .record import MovieRecord, read_record
from .render import RenderSettings
from .room import check_room
from .sample import ModelSampler, SampleSettings
from .store import ShotStore, movie_folder

if TYPE_CHECKING:
    from ..bundle import VideoModel

log = logging.getLogger(__name__)
VIDEOS = tuple(suffix for suffix, form in FORMATS.items() if form.kind == "video")


def reshoot(
    movie: str | os.PathLike[str],
    shot: int,
    out: str | os.PathLike[str] | None = None,
    *,
    prompt: str | None = None,
    negative: str | None = None,
    seed: int | None = None,
    model: str | Path | VideoModel | None = None,
    interpolator: str | Path | None = None,
    upscaler: str | Path | None = None,
    device: torch.device | str | None = None,
    folder: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Makes shot `shot` (from 1) of `movie` again, into `out` (default `STEM.shot-N.mp4` beside it); returns that.

    Prompt, negative prompt and seed are the movie's where they are None; without a change the shot comes out with the
    same frames. All other shots' packets are copied, from the movie's folder where it is there, else out of the movie.
    A transition beside the shot is made again, with its other side sampled anew where its latents are not kept.
    model, interpolator, upscaler: the weights that the movie was made with, by path; None are those that ship.
    folder: where parts are kept: the movie's own (`STEM.diffilm`) where it is there, else that of `out`.
    Raises DiffilmError for a movie without a record, a shot that it does not have, other weights than it was made
    with (a model that is named is taken, with a warning), and what `make_movie` raises.
    """
    movie = Path(movie)
    record = read_record(movie)
    board = _edited(record, movie, shot, prompt, negative, seed)
    target = check_output(movie.with_name(f"{movie.stem}.shot-{shot}{movie.suffix}") if out is None else out, VIDEOS)
    check_pieces(movie, record.pieces)
    made = record.shots[shot - 1]
    loaded = loaded_model(model, device, progress)
    _check_weights(loaded.fingerprint, made, named=model is not None)
    own = movie_folder(movie)
    if folder is None:
        folder = own if own.is_dir() else movie_folder(target)
    settings = _render_settings(record, loaded, interpolator, upscaler, target)
    sampler = ModelSampler(loaded, _sample_settings(made), len(board), progress)
    sampler.store = ShotStore(folder)
    others = {index: dict(about) for index, about in enumerate(record.shots) if index != shot - 1}
    production = Production(board, sampler, settings, sampler.store, progress, made=others)
    _forget(production, board.shots[shot - 1])
    check_room(production, target)
    _take_over(production, record, movie)
    sound = read(movie).audio
    return production.make(target, **({} if sound is None else {"audio": sound}))


def _edited(
    record: MovieRecord, movie: Path, shot: int, prompt: str | None, negative: str | None, seed: int | None
) -> Storyboard:
    board = record.board
    if isinstance(shot, bool) or not isinstance(shot, int) or not 1 <= shot <= len(board):
        raise DiffilmError(f"shot {shot!r} of {movie}: it has shots 1 to {len(board)}; give one of them")
    changes = {"prompt": prompt, "negative": negative, "seed": seed}
    changed = replace(board.shots[shot - 1], **{k: v for k, v in changes.items() if v is not None})  # type: ignore[arg-type]
    return replace(board, shots=(*board.shots[: shot - 1], changed, *board.shots[shot:]))


def _sample_settings(made: Mapping[str, Any]) -> SampleSettings:
    """The settings that `ModelSampler.about` wrote down."""
    try:
        values = {field.name: made[field.name] for field in fields(SampleSettings)}
    except KeyError as error:
        raise DiffilmError(
            f"the movie's record has no {error.args[0]!r} of the shot: another sampler than Diffilm's own made it; "
            "make it again there"
        ) from None
    return SampleSettings(**{**values, "fps": Fraction(values["fps"])})


def _render_settings(
    record: MovieRecord, model: VideoModel, interpolator: str | Path | None, upscaler: str | Path | None, target: Path
) -> RenderSettings:
    stages, weight = record.stages, next(model.vae.parameters())
    between, larger = stages["interpolate"], stages["upscale"]
    networks = finishers(
        _source(between, "blend", interpolator),
        _source(larger, "bicubic", upscaler),
        upscale=None if larger is None else larger["scale"],
        device=model.device,
    )
    for network, stage in zip(networks, (between, larger), strict=True):
        if network is not None and network.fingerprint != stage.get("model"):
            raise DiffilmError(
                f"{network.name} has other weights than the movie was finished with ({stage['method']}): give those "
                "by their path"
            )
    return RenderSettings(
        source_fps=Fraction(record.shots[0]["fps"]),
        fps=None if between is None else Fraction(between["fps"]),
        upscale=None if larger is None else larger["scale"],
        batch=stages["decode"]["batch"],
        autoencoder=model.fingerprint,
        form=f"{weight.device.type} {weight.dtype}",
        interpolator=networks[0],
        upscaler=networks[1],
        transition=record.transition,
        output=encoding(target, **record.output),
        between=_fit(between),
        larger=_fit(larger),
    )


def _fit(stage: Mapping[str, Any] | None) -> Fit:
    """The batch and tiles that memory allowed when the movie was made."""
    return Fit(**(stage or {}).get("fit", {}))


def _source(stage: Mapping[str, Any] | None, plain: str, given: str | Path | None) -> str | Path | None:
    """Which network: none where the movie used none, else the one that is given, else the one that ships."""
    return plain if stage is None or stage["method"] == plain else given or OURS


def _check_weights(found: str, made: Mapping[str, Any], *, named: bool) -> None:
    wanted = str(made.get("model", ""))
    if found == wanted:
        return
    words = f"the shot was made with the model {wanted[:16]}..., got {found[:16]}..."
    if not named:
        raise DiffilmError(f"{words}, the one that ships: give the model that it was made with, as a path")
    log.warning("%s: its frames will differ", words)


def _forget(production: Production, shot: Shot) -> None:
    """The shot's own parts, so that it is made again even where nothing changes."""
    production.store.forget(production.latents_key(shot))
    for piece in production.pieces:
        if shot.index == piece.shot and not piece.transition:
            production.store.forget(piece.key)


def _take_over(production: Production, record: MovieRecord, movie: Path) -> None:
    """The other shots' files, cut out of the movie where the store has not got them."""
    needed = {piece.key for piece in production.pieces}
    suffix = production.settings.output.segment_suffix()

    def wanted(piece: Piece) -> bool:
        kept = bool(piece.transition) or piece.shot in production.made
        return kept and piece.key in needed and production.segment(piece) is None

    put = production.store.put_segment
    cut_pieces(movie, record.pieces, wanted, lambda piece, write: put(piece.key, write, suffix=suffix))
