"""One movie in the making: its storyboard, how it is filmed and rendered, and the store that keeps it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import __version__
from ..errors import DiffilmError
from ..frames import FrameStream, concat
from ..frames.fit import OutOfMemory, until_it_fits
from ..frames.progress import Progress
from ..frames.transitions import MIXES, transition
from ..story import Shot, Storyboard
from .film import Film
from .pieces import CUT, Ends, Piece, plan_pieces
from .render import RenderSettings, render, shot_stream, shown, writer
from .sample import ModelSampler, window_frames
from .soundtrack import Soundtrack
from .store import ShotStore, digest_key


class Pace:
    """Seconds a unit of each kind of work in one run."""

    def __init__(self) -> None:
        self.taken: dict[str, tuple[float, int]] = {}

    @contextmanager
    def of(self, name: str, units: int) -> Iterator[None]:
        start = time.monotonic()
        yield
        if units:
            seconds, before = self.taken.get(name, (0.0, 0))
            self.taken[name] = seconds + time.monotonic() - start, before + units

    def rates(self) -> dict[str, float]:
        return {name: seconds / units for name, (seconds, units) in self.taken.items()}


@dataclass
class Production:
    """A storyboard filmed by `sampler`, finished by `settings`, kept in `store`.

    `made`: for shots that are taken as another run made them, what `about` was then (by index). Raises DiffilmError for
    a transition that does not exist.
    """

    board: Storyboard
    sampler: ModelSampler
    settings: RenderSettings
    store: ShotStore
    progress: Progress | None = None
    made: Mapping[int, dict[str, Any]] = field(default_factory=dict)
    sound: Soundtrack | None = None

    def __post_init__(self) -> None:
        for shot in self.board.shots:
            if shot.transition not in (*CUT, *MIXES):
                raise DiffilmError(
                    f"shot {shot.index + 1} begins with {shot.transition!r}: expected one of cut, {', '.join(MIXES)}; "
                    "choose one of them"
                )

    @property
    def joined(self) -> bool:
        """Whether the file is joined from one a shot; else it is written in one go."""
        return self.settings.output.form.kind == "video"

    def about(self, shot: Shot) -> dict[str, Any]:
        """A shot's keys and all that decides its pixels, as plain values, by the settings at the time of planning."""
        return self._planned[shot.index]

    def _about(self, shot: Shot) -> dict[str, Any]:
        if shot.index in self.made:
            return self.made[shot.index]
        key = self.sampler.key(shot)
        return {
            **self.sampler.about(shot),
            "latents": key,
            "segment": self.settings.segment_key(key),
        }

    def latents_key(self, shot: Shot) -> str:
        """Of a shot of the board, or another take of one."""
        return str(self.made[shot.index]["latents"]) if shot.index in self.made else self.sampler.key(shot)

    @cached_property
    def film(self) -> Film:
        return Film(self.board, self.sampler, self.store, self.latents_key)

    @cached_property
    def streams(self) -> list[FrameStream]:
        """The shots' finished frames, whole and lazy."""
        return [self._stream(shot) for shot in self.board.shots]

    @cached_property
    def pieces(self) -> list[Piece]:
        """The movie's files, in order."""
        return plan_pieces(
            [str(self.about(shot)["segment"]) for shot in self.board.shots],
            [stream.frames for stream in self.streams],
            [shot.transition for shot in self.board.shots],
            self.settings.transition_frames,
        )

    def latents_shape(self, shot: Shot) -> tuple[int, int, int, int]:
        sizes, scale = self.sampler.settings, int(self.sampler.model.vae.downscale)
        channels = int(self.sampler.model.unet.config.out_channels)
        return channels, sizes.frames(shot), sizes.height // scale, sizes.width // scale

    def _stream(self, shot: Shot) -> FrameStream:
        vae = self.sampler.model.vae

        def make() -> Iterator[Tensor]:
            planned = self.settings.fits()
            for chunk in shot_stream(vae, self.film.latents(shot), self.settings):
                if self.settings.fits() != planned:
                    raise OutOfMemory(f"shot {shot.index + 1} ran out of memory: it is made again at a lower setting")
                yield chunk

        like = torch.empty(self.latents_shape(shot), device="meta")
        return shot_stream(vae, like, self.settings).with_frames(make)

    def forget(self) -> None:
        """Removes what the store holds of this very movie, so that all of it is made again."""
        for piece in self.pieces:
            self.store.forget(piece.key)
        for shot in self.board.shots:
            self.store.forget(self.latents_key(shot))

    def make(self, out: Path, **joining: Any) -> Path:
        """Films what is missing, renders what is missing, joins. joining: audio and what else the writers take."""
        self.put_manifest(out)
        needed = self.missing()
        pace = Pace()
        for shot in self.board.shots:
            if shot.index in needed:
                with pace.of("sample", self._steps_left(shot)):
                    self.film.latents(shot)
            self.sampler.report(shot, self.sampler.steps)
        joining = {"metadata": self.metadata(out), **joining}
        if self.sound is not None:
            joining["audio"] = self.sound.of(sum(piece.frames for piece in self.pieces) / self.settings.final_fps)
        with pace.of("finish", self._frames_left()):
            until_it_fits(lambda: self._finish(out, joining), self._settle)
        self.put_manifest(out, **self._pace(pace))
        return out

    def _finish(self, out: Path, joining: dict[str, Any]) -> None:
        """Renders and joins. Raises OutOfMemory where memory ran out and the settings went down."""
        output = self.settings.output
        labels = [shot.prompt for shot in self.board.shots]
        if self.joined:
            report = self.progress
            render(self.store, self.streams, self.pieces, labels, out, output=output, progress=report, **joining)
        else:
            whole = self._whole()
            writer(whole, output, shown(self.progress, 0, whole.frames), **joining)(out)

    def _settle(self) -> None:
        """Shots that are finished stay as they were made; the others are planned anew with the settings of now."""
        missing = self.missing()
        done = {shot.index: self._planned[shot.index] for shot in self.board.shots if shot.index not in missing}
        self.made = {**done, **self.made}
        for name in ("pieces", "_planned"):
            self.__dict__.pop(name, None)

    @cached_property
    def _planned(self) -> dict[int, dict[str, Any]]:
        return {shot.index: self._about(shot) for shot in self.board.shots}

    def missing(self) -> set[int]:
        """Shots whose latents are needed: a file of theirs is not there."""
        needed = set()
        for piece in self.pieces:
            if self.segment(piece) is None:
                needed |= {piece.shot, piece.shot - 1} if piece.transition else {piece.shot}
        return needed

    def segment(self, piece: Piece) -> Path | None:
        """The piece's file, where it is there and whole."""
        if not self.joined:
            return None
        return self.store.segment(piece.key, self.settings.output.segment_suffix())

    def _steps_left(self, shot: Shot) -> int:
        """Frames times steps that sampling the shot will take: 0 where it is there, or was begun (nobody knows)."""
        key = self.latents_key(shot)
        begun = self.store.latents_path(key).is_file() or self.store.state_path(key).is_file()
        return 0 if begun else window_frames(self.sampler, shot) * self.sampler.steps

    def _frames_left(self) -> int:
        return sum(piece.frames for piece in self.pieces if self.segment(piece) is None)

    def speed_key(self) -> str:
        """What decides how long a frame takes, as far as it is known."""
        ignored = ("prompt", "seed", "negative", "frames", "latents", "segment", "steps")
        about = {name: value for name, value in self.about(self.board.shots[0]).items() if name not in ignored}
        return digest_key({**about, "stages": self.settings.stages(), "output": self.settings.output.key()})

    def _pace(self, pace: Pace) -> dict[str, Any]:
        """For the manifest: seconds a unit, beside what former runs of the same settings found."""
        found = self.store.manifest().get("seconds", {})
        known = found["rates"] if found.get("of") == self.speed_key() else {}
        rates = {**known, **pace.rates()}
        return {"seconds": {"of": self.speed_key(), "rates": rates}} if rates else {}

    def _whole(self) -> FrameStream:
        ends = Ends(self.streams, self.store.folder)

        def part(piece: Piece, after: bool) -> FrameStream:
            if not piece.transition:
                return ends.body(piece, head=False, tail=after)
            like = self.streams[piece.shot]
            return like.with_frames(lambda: iter(transition(*ends.of(piece), piece.transition)), frames=piece.frames)

        following = [*self.pieces[1:], None]
        parts = [part(p, bool(f and f.transition)) for p, f in zip(self.pieces, following, strict=True)]
        return concat(parts).with_frames(concat(parts).__iter__, cuts=self.cuts())

    def cuts(self) -> list[int]:
        """First frames of the shots that begin with a cut."""
        at, cuts = 0, []
        for before, piece in zip([None, *self.pieces], self.pieces, strict=False):
            if before is not None and not piece.transition and not before.transition:
                cuts.append(at)
            at += piece.frames
        return cuts

    def put_manifest(self, out: Path, **more: Any) -> None:
        kept = {name: value for name, value in self.store.manifest().items() if name in ("checks", "seconds")}
        record = self.record()
        made = {"out": out.name, "made": record.pop("shots"), **record}
        self.store.put_manifest({**made, **self.board.to_dict(), **kept, **more})

    def record(self) -> dict[str, Any]:
        """Enough to make any shot again, and to know where in the file it is: what the movie carries."""
        output = self.settings.output
        return {
            "diffilm": __version__,
            "fps": str(self.settings.final_fps),
            "shots": [self.about(shot) for shot in self.board.shots],
            "pieces": [vars(piece) for piece in self.pieces],
            "stages": self.settings.stages(),
            "output": {"codec": output.codec.name, "bits": output.bits, "crf": output.crf},
            "transition": str(self.settings.transition),
        }

    def metadata(self, out: Path) -> dict[str, Any]:
        return {"title": self.board.title or out.stem, "comment": {**self.record(), "storyboard": self.board.to_dict()}}
