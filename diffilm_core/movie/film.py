"""Filming: every shot of a storyboard sampled once, by whatever can sample, and kept the moment it is done."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from torch import Tensor

from ..errors import NotFinite
from ..frames.progress import Progress
from ..story import Shot, Storyboard
from .store import ShotStore

log = logging.getLogger(__name__)

SampleShot = Callable[[Shot], Tensor]
"""A shot to its latents `(c, t, h, w)`; shows its own steps and may raise `Cancelled`."""

KeyOf = Callable[[Shot], str]
"""A shot to the key of its latents: `store.digest_key` of all that decides them."""


class Film:
    """A storyboard being filmed into a store. Iterating gives `(shot, latents)` in order, sampling what is missing.

    `sample_shot` is any callable, so a host's model films as well as ours. Latents are stored before the next shot
    begins; what is already stored under `key_of(shot)` is not sampled again. `progress("film", shots done, shots,
    prompt)` is called before each shot and at the end. Raises NotFinite for latents that are not.
    """

    def __init__(
        self,
        storyboard: Storyboard,
        sample_shot: SampleShot,
        store: ShotStore,
        key_of: KeyOf,
        progress: Progress | None = None,
    ) -> None:
        self.storyboard, self.sample_shot, self.store = storyboard, sample_shot, store
        self.key_of, self.progress = key_of, progress

    def __len__(self) -> int:
        return len(self.storyboard.shots)

    def __iter__(self) -> Iterator[tuple[Shot, Tensor]]:
        for done, shot in enumerate(self.storyboard.shots):
            self._report(done, shot.prompt)
            yield shot, self.latents(shot)
        self._report(len(self), "")

    def latents(self, shot: Shot) -> Tensor:
        """One shot's latents `(c, t, h, w)`, from the store or sampled and stored."""
        key = self.key_of(shot)
        found = self.store.latents(key)
        if found is not None:
            log.info("shot %d is taken from %s", shot.index + 1, self.store.folder)
            return found
        log.info("shot %d is sampled", shot.index + 1)
        latents = self.sample_shot(shot)
        if not bool(latents.isfinite().all()):
            raise NotFinite(
                f"shot {shot.index + 1} came out as not-a-number, expected finite latents; lower the guidance or "
                "sample in float32"
            )
        self.store.put_latents(key, latents, {"shot": str(shot.index), "prompt": shot.prompt})
        return latents

    def _report(self, done: int, message: str) -> None:
        if self.progress is not None:
            self.progress("film", done, len(self), message)
