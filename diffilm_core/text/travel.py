"""Prompt travel: a prompt for each range of frames, blended from one into the next."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from ..errors import DiffilmError

EXAMPLE = "0: a fox in the snow / 16: a bee over a flower"
_JOINT = re.compile(r"\s*(?:\n|(?<=\s)/)\s*(?=\d+\s*:)")
_ENTRY = re.compile(r"(\d+)\s*:\s*(.*)", re.DOTALL)


@dataclass(frozen=True)
class PromptTravel:
    """`starts[i]` is the first frame that shows `prompts[i]` alone."""

    starts: tuple[int, ...]
    prompts: tuple[str, ...]

    @classmethod
    def parse(cls, schedule: str) -> PromptTravel:
        """A schedule such as EXAMPLE: `FRAME: PROMPT`, one after the other on lines of their own or after a `/`.

        A text without a frame in front is shown from frame 0. Raises DiffilmError for an empty prompt, or frames that
        do not ascend.
        """
        starts, prompts = [], []
        for entry in _JOINT.split(schedule.strip()):
            match = _ENTRY.fullmatch(entry)
            starts.append(int(match[1]) if match else 0)
            prompts.append(" ".join((match[2] if match else entry).split()))
        if not all(prompts):
            raise DiffilmError(f"prompt travel with an empty prompt; expected a schedule such as {EXAMPLE!r}")
        if any(later <= earlier for earlier, later in pairwise(starts)):
            raise DiffilmError(f"prompt travel at frames {starts}; expected each after the one before: {EXAMPLE!r}")
        return cls(tuple(starts), tuple(prompts))

    def steps(self, frames: int, blend: int) -> list[tuple[int, int, float]]:
        """For each frame the prompts that it lies between, and how far it is from the first to the second, 0 to 1.

        A prompt is reached at its frame, over the `blend` frames before it, or over all since the last prompt where
        those are fewer. Raises DiffilmError for a prompt that starts after the last frame.
        """
        if frames < 1 or blend < 0:
            raise DiffilmError(f"prompt travel over {frames} frames, blended in {blend}; expected at least 1, and 0")
        if self.starts[-1] >= frames:
            raise DiffilmError(
                f"prompt travel to {self.prompts[-1]!r} at frame {self.starts[-1]} of a clip of {frames} frames (0 to "
                f"{frames - 1}): start it earlier or make the clip longer"
            )
        found = []
        for frame in range(frames):
            here = sum(start <= frame for start in self.starts[1:])
            after = min(here + 1, len(self.starts) - 1)
            length = min(blend, self.starts[after] - self.starts[here]) if after > here else 0
            done = frame - (self.starts[after] - length)
            found.append((here, after, max(0.0, done / length) if length else 0.0))
        return found

    def blended(self, values: Tensor, frames: int, blend: int) -> Tensor:
        """`values (prompts, ...)` to one for each frame, `(frames, ...)`, on a line between two."""
        steps = self.steps(frames, blend)
        return torch.stack([torch.lerp(values[first], values[second], share) for first, second, share in steps])
