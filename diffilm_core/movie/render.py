"""From latents to the finished file: each shot encoded once and kept, the movie joined by copying packets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor

from ..frames import FrameStream, concat, concat_files, decode, interpolate_blend, upscale_bicubic, write
from ..frames.progress import Progress
from ..frames.write import H264
from ..story import Shot
from .film import Film
from .store import digest_key


@dataclass(frozen=True)
class RenderSettings:
    """What decides a shot's frames and its file besides the latents.

    `fps` and `upscale` None: as sampled. `form`: device and dtype of the autoencoder.
    """

    source_fps: Fraction
    fps: Fraction | None = None
    upscale: float | None = None
    batch: int = 4
    crf: int = 18
    autoencoder: str = ""
    form: str = ""

    def stages(self) -> dict[str, Any]:
        """The settings as plain values, for keys and metadata."""
        return {
            "decode": {"batch": self.batch, "autoencoder": self.autoencoder, "form": self.form},
            "interpolate": None if self.fps is None else {"method": "blend", "fps": str(self.fps)},
            "upscale": None if self.upscale is None else {"method": "bicubic", "scale": self.upscale},
        }

    def segment_key(self, latents_key: str) -> str:
        import av

        encoder = {"codec": "libx264", "crf": self.crf, "av": av.__version__, **H264}
        return digest_key(
            {
                "kind": "segment",
                "version": 1,
                "latents": latents_key,
                "stages": self.stages(),
                "encoder": encoder,
            }
        )


def shot_stream(vae: Any, latents: Tensor, settings: RenderSettings) -> FrameStream:
    """A shot's latents `(c, t, h, w)` as its finished frames, lazy: decoded, interpolated, upscaled."""
    stream = decode(vae, latents, settings.source_fps, batch=settings.batch)
    if settings.fps is not None:
        stream = interpolate_blend(stream, settings.fps)
    return stream if settings.upscale is None else upscale_bicubic(stream, settings.upscale)


def finished_stream(film: Film, shot: Shot, vae: Any, settings: RenderSettings, like: Tensor) -> FrameStream:
    """`shot_stream` that fetches the latents when it is pulled; `like` is a tensor of their shape."""

    def make() -> Iterator[Tensor]:
        yield from shot_stream(vae, film.latents(shot), settings)

    return shot_stream(vae, like, settings).with_frames(make)


def render(
    film: Film,
    stream_of: Callable[[Shot], FrameStream],
    settings: RenderSettings,
    out: Path,
    *,
    metadata: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Path:
    """Writes a filmed storyboard to `out` and returns it.

    An .mp4 is joined from one file a shot, kept in the film's store under the shot's key and made only where it is
    missing; .gif and .webp are written in one go from the latents. `stream_of(shot)` gives a shot's frames, lazily.
    `progress("render", frames done, frames, message)` is called for every chunk, then "join" for every shot.
    """
    shots = film.storyboard.shots
    streams = [stream_of(shot) for shot in shots]
    whole = concat(streams)
    if out.suffix.lower() != ".mp4":
        return write(whole, out, crf=settings.crf, metadata=metadata, progress=_shifted(progress, 0, whole.frames))
    done = 0
    segments = []
    for shot, stream in zip(shots, streams, strict=True):
        key = settings.segment_key(film.key_of(shot))
        message = f"shot {shot.index + 1} of {len(shots)}: {shot.prompt}"
        report = _shifted(progress, done, whole.frames, message)
        path = film.store.segment(key)
        if path is None:
            path = film.store.put_segment(key, _writer(stream, settings.crf, report), {"prompt": shot.prompt})
        segments.append(path)
        done += stream.frames
        if progress is not None:
            progress("render", done, whole.frames, message)
    return concat_files(segments, out, metadata=metadata, progress=progress)


def _writer(stream: FrameStream, crf: int, progress: Progress | None) -> Callable[[Path], Path]:
    return lambda path: write(stream, path, crf=crf, progress=progress)


def _shifted(progress: Progress | None, start: int, total: int, message: str = "") -> Progress | None:
    """A shot's progress in writing as the movie's in rendering."""
    if progress is None:
        return None

    def report(_: str, done: int, __: int, name: str) -> None:
        progress("render", start + done, total, message or name)

    return report
