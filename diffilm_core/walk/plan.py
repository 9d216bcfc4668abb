"""A walk: its prompts and seeds, and where it is at each frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import torch

from ..errors import DiffilmError
from ..frames import Audio
from ..sampling.noise import MAX_SEED
from .music import RATE, positions


@dataclass(frozen=True)
class Walk:
    """From prompt to prompt, `legs[i]` frames from the i-th to the next; each prompt has a seed for its noise."""

    prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    legs: tuple[int, ...]
    fps: Fraction

    @classmethod
    def plan(
        cls,
        prompts: Sequence[str],
        seeds: Sequence[int] | int = 0,
        frames: Sequence[int] | int | None = None,
        fps: Fraction | int = 12,
        music: Audio | None = None,
    ) -> Walk:
        """seeds: one a prompt, or the first of them, counted up. frames: of a leg, one number or one a leg; None shares
        the music's length evenly, or is two seconds. Raises DiffilmError for fewer than two prompts and for lists of
        another length.
        """
        texts = tuple(" ".join(prompt.split()) for prompt in prompts)
        if len(texts) < 2 or not all(texts):
            raise DiffilmError(f"a walk of {len(texts)} prompts; expected two or more, none of them empty")
        if isinstance(seeds, int):
            seeds = [(seeds + index) % (MAX_SEED + 1) for index in range(len(texts))]
        if len(seeds) != len(texts):
            raise DiffilmError(f"{len(seeds)} seeds for {len(texts)} prompts; expected one each, or none at all")
        count = len(texts) - 1
        if frames is None:
            whole = int(music.duration * fps) if music is not None else round(2 * fps) * count
            edges = [round(Fraction(whole * leg, count)) for leg in range(count + 1)]
            legs = tuple(end - start for start, end in pairwise(edges))
        else:
            legs = (frames,) * count if isinstance(frames, int) else tuple(frames)
        if len(legs) != count or min(legs) < 1:
            raise DiffilmError(f"legs of {list(legs)} frames for {len(texts)} prompts; expected {count} of 1 or more")
        return cls(texts, tuple(int(seed) for seed in seeds), legs, Fraction(fps))

    @property
    def frames(self) -> int:
        return sum(self.legs)

    def times(self, music: Audio | None = None, *, smooth: float = 0.0, margin: float = 1.0) -> list[torch.Tensor]:
        """The position 0 to 1 of each frame of each leg: even, or in step with the part of the music that it lasts."""
        if music is None:
            return [torch.linspace(0, 1, count, dtype=torch.float64) for count in self.legs]
        music = music.resampled(RATE)
        found, start = [], Fraction(0)
        for count in self.legs:
            lasts = count / self.fps
            if start >= music.duration:
                found.append(torch.linspace(0, 1, count, dtype=torch.float64))
            else:
                sound = music.cut(start, lasts).mono()
                sound = torch.nn.functional.pad(sound, (0, max(0, round(lasts * RATE) - sound.numel())))
                found.append(positions(sound, count, smooth=smooth, margin=margin))
            start += lasts
        return found

    def steps(self, times: Sequence[torch.Tensor]) -> Iterator[tuple[int, float]]:
        """(leg, position) of each frame."""
        for leg, places in enumerate(times):
            for place in places.tolist():
                yield leg, place
