"""Inside a shot: the sampler's state kept every few seconds, so that a killed run goes on at the last saved step."""

from __future__ import annotations

import time

from torch import Tensor

from ..sampling.samplers import SamplerState
from .store import ShotStore

SAVE_SECONDS = 2.0
"""How much sampling a kill may cost; a save takes a few milliseconds a megabyte of latents."""


class SavedSteps:
    """A sampler's callback that keeps its state in the store under the clip's key.

    `state` is where the clip was left, None for a new one. The state after a step (x, the model's x0 for multistep
    samplers, and the step, from which the seed gives a stochastic sampler's noise) is all that decides the rest, so
    the clip ends with the numbers of an undisturbed run, bit for bit. `keep()` saves the last step now.
    """

    def __init__(self, store: ShotStore, key: str) -> None:
        self.store, self.key = store, key
        self.state = store.state(key)
        self._last: SamplerState | None = None
        self._saved = time.monotonic()

    def __call__(self, step: int, steps: int, x: Tensor, denoised: Tensor) -> None:
        self._last = SamplerState(step + 1, x, denoised)
        if step + 1 < steps and time.monotonic() - self._saved >= SAVE_SECONDS:
            self.keep()

    def keep(self) -> None:
        if self._last is not None:
            self.store.put_state(self.key, self._last)
            self._last, self._saved = None, time.monotonic()
