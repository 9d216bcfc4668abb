"""From latents to the finished file: each shot encoded once and kept, the movie joined by copying packets."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor

from ..frames import FrameStream, concat_files, decode, interpolate, upscale, write
from ..frames.fit import Fit
from ..frames.formats import Encoding, encoding
from ..frames.interpolate import Interpolator
from ..frames.progress import Progress
from ..frames.transitions import transition
from ..frames.upscale import Upscaler
from .pieces import Ends, Piece
from .store import ShotStore, digest_key

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RenderSettings:
    """What decides a shot's frames and its file besides the latents.

    `fps` and `upscale` None: as sampled. `interpolator` None blends, `upscaler` None is bicubic. `form`: device and
    dtype of the autoencoder. `transition`: seconds that a transition lasts. `output`: how files are coded. `between`,
    `larger`: how the networks fit into memory; they go down where it runs out, which changes the keys from there on.
    """

    source_fps: Fraction
    fps: Fraction | None = None
    upscale: float | None = None
    batch: int = 4
    autoencoder: str = ""
    form: str = ""
    interpolator: Interpolator | None = None
    upscaler: Upscaler | None = None
    transition: Fraction = Fraction(1, 2)
    output: Encoding = field(default_factory=lambda: encoding(Path("movie.mp4")))
    between: Fit = field(default_factory=Fit)
    larger: Fit = field(default_factory=Fit)

    @property
    def final_fps(self) -> Fraction:
        return self.source_fps if self.fps is None else self.fps

    @property
    def transition_frames(self) -> int:
        return round(self.transition * self.final_fps)

    def stages(self) -> dict[str, Any]:
        """The settings as plain values, for keys and metadata."""
        return {
            "decode": {"batch": self.batch, "autoencoder": self.autoencoder, "form": self.form},
            "interpolate": None
            if self.fps is None
            else {**_named(self.interpolator, "blend", self.between), "fps": str(self.fps)},
            "upscale": None
            if self.upscale is None
            else {**_named(self.upscaler, "bicubic", self.larger), "scale": self.upscale},
        }

    def fits(self) -> tuple[Any, ...]:
        """The networks' settings for memory as they are now."""
        return self.between.batch, self.between.tile, self.larger.batch, self.larger.tile

    def segment_key(self, latents_key: str) -> str:
        return digest_key(
            {
                "kind": "segment",
                "version": 1,
                "latents": latents_key,
                "stages": self.stages(),
                "encoder": self.output.key(),
            }
        )


def _named(model: Interpolator | Upscaler | None, plain: str, fit: Fit) -> dict[str, Any]:
    if model is None:
        return {"method": plain}
    stated = {} if fit == Fit() else {"fit": fit.settings()}
    return {"method": model.name, "model": model.fingerprint, **stated}


def shot_stream(vae: Any, latents: Tensor, settings: RenderSettings) -> FrameStream:
    """A shot's latents `(c, t, h, w)` as its finished frames, lazy: decoded, interpolated, upscaled."""
    stream = decode(vae, latents, settings.source_fps, batch=settings.batch)
    if settings.fps is not None:
        stream = interpolate(stream, settings.fps, model=settings.interpolator, fit=settings.between)
    if settings.upscale is None:
        return stream
    return upscale(stream, settings.upscale, model=settings.upscaler, fit=settings.larger)


def render(
    store: ShotStore,
    streams: Sequence[FrameStream],
    pieces: Sequence[Piece],
    labels: Sequence[str],
    out: Path,
    *,
    output: Encoding | None = None,
    progress: Progress | None = None,
    **joining: Any,
) -> Path:
    """Writes a movie to `out` and returns it: one file for each of `pieces` (`plan_pieces`), kept in the store under
    its key and made only where it is missing, then joined by copying packets.

    streams: the shots' finished frames, whole and lazy. labels: what each shot is, for progress and for people who
    look into the store. output: how files are coded, the usual way of `out` where it is None. joining: metadata, audio
    and what else `concat_files` takes. A shot's body is written before the transition into it, so that each shot is
    computed once. `progress("render", frames done, frames, message)` is called for every chunk, then "join" for every
    file.
    """
    output = encoding(out) if output is None else output
    suffix = output.segment_suffix()
    ends = Ends(streams, store.folder)
    total = sum(piece.frames for piece in pieces)
    there = {piece.key for piece in pieces if store.segment(piece.key, suffix) is not None}
    mixed = {piece.shot for piece in pieces if piece.transition and piece.key not in there}
    done = 0
    for piece in sorted(pieces, key=lambda piece: (piece.shot, bool(piece.transition))):
        label = f"shot {piece.shot + 1} of {len(streams)}: {labels[piece.shot]}"
        if piece.key not in there:
            if piece.transition:
                stream = transition(*ends.of(piece), piece.transition)
            else:
                stream = ends.body(piece, head=piece.shot in mixed, tail=piece.shot + 1 in mixed)
            log.info("%s is written to %s", piece_name(piece), store.segment_path(piece.key, suffix))
            about = {"shot": piece.shot, "prompt": labels[piece.shot], "transition": piece.transition}
            write = writer(stream, output, shown(progress, done, total, label))
            store.put_segment(piece.key, write, {**about, "frames": piece.frames}, suffix)
        done += piece.frames
        if progress is not None:
            progress("render", done, total, label)
    files = [store.segment_path(piece.key, suffix) for piece in pieces]
    return concat_files(files, out, progress=progress, **joining)


def piece_name(piece: Piece) -> str:
    return f"the {piece.transition} into shot {piece.shot + 1}" if piece.transition else f"shot {piece.shot + 1}"


def writer(
    stream: FrameStream, output: Encoding, progress: Progress | None = None, **more: Any
) -> Callable[[Path], Path]:
    """What writes a stream's frames, coded so, to the path that it is given."""
    more = {"codec": output.codec.name, "bits": output.bits, "crf": output.crf, **more}
    return lambda path: write(stream, path, progress=progress, **more)


def shown(progress: Progress | None, start: int, total: int, message: str = "") -> Progress | None:
    """A shot's progress in writing as the movie's in rendering."""
    if progress is None:
        return None

    def report(_: str, done: int, __: int, name: str) -> None:
        progress("render", start + done, total, message or name)

    return report
