"""From one shot to the next at the final size and rate: a dissolve, a fade through black, or a wipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import torch
from torch import Tensor

from ..errors import DiffilmError
from .stream import FrameStream, concat, stacked

CUT = ("", "cut")


def transition(first: FrameStream, second: FrameStream, kind: str) -> FrameStream:
    """The frames between two shots: `first` is the end of the one, `second` the start of the other, of one length.

    Frame k of n is (k + 1) / (n + 1) of the way. "dissolve": their weighted mean; "fade": the one down to black, then
    the other up from it; "wipe": the other comes in from the left behind an upright edge. A frame of each is in memory
    at a time. Raises DiffilmError for another kind, or clips of different size, rate or length.
    """
    mix = _known(kind)
    form = [(each.width, each.height, each.fps, each.frames) for each in (first, second)]
    if form[0] != form[1]:
        raise DiffilmError(
            f"{kind} from {first} to {second}: expected the same size, rate and number of frames; make both shots alike"
        )

    def make() -> Iterator[Tensor]:
        pairs = zip(_frames(first), _frames(second), strict=True)
        mixed = (mix(a, b, (k + 1) / (first.frames + 1)) for k, (a, b) in enumerate(pairs))
        return stacked(mixed, first.width, first.height)

    return first.with_frames(make, cuts=(), audio=None)


def join(streams: Sequence[FrameStream], kinds: Sequence[str], frames: int) -> FrameStream:
    """Shots one after the other, `kinds[i]` leading into shot i ("" or "cut": a cut; the first is not used).

    A transition takes the place of the last `frames` frames of one shot and the first `frames` of the next, which are
    what is in memory. After a transition the new shot starts in its middle frame, for who asks for the cuts. Raises
    DiffilmError for an unknown kind, unlike clips, or a shot too short for its transitions.
    """
    whole = concat(streams)
    if len(kinds) != len(streams):
        raise DiffilmError(f"{len(kinds)} transitions for {len(streams)} shots: expected one for each shot")
    if frames < 1:
        raise DiffilmError(f"transition of {frames} frames: expected at least 1; give a longer one, or cut")
    into = [0, *(0 if kind in CUT else frames for kind in kinds[1:]), 0]
    starts, cuts = 0, []
    for index, stream in enumerate(streams):
        if into[index]:
            _known(kinds[index])
        if (least := into[index] + into[index + 1]) > stream.frames:
            raise DiffilmError(
                f"shot {index + 1} of {stream.frames} frames: expected at least {least} for its transitions of "
                f"{frames}; make it longer, or the transitions shorter"
            )
        starts -= into[index]
        cuts += [starts + (into[index] + 1) // 2] if index else []
        cuts += [starts + cut for cut in stream.cuts if into[index] <= cut <= stream.frames - into[index + 1]]
        starts += stream.frames

    def make() -> Iterator[Tensor]:
        return stacked(_joined(streams, kinds, into), whole.width, whole.height)

    return whole.with_frames(make, frames=starts, cuts=cuts, audio=whole.audio if starts == whole.frames else None)


def _joined(streams: Sequence[FrameStream], kinds: Sequence[str], into: Sequence[int]) -> Iterator[Tensor]:
    tail: list[Tensor] = []
    for index, stream in enumerate(streams):
        after = stream.frames - into[index + 1]
        kept: list[Tensor] = []
        for at, frame in enumerate(_frames(stream)):
            if at < into[index]:
                yield _known(kinds[index])(tail[at], frame, (at + 1) / (into[index] + 1))
            elif at < after:
                yield frame
            else:
                kept.append(frame.clone())
        tail = kept


def _frames(stream: FrameStream) -> Iterator[Tensor]:
    return chain.from_iterable(stream)


def _known(kind: str) -> Callable[[Tensor, Tensor, float], Tensor]:
    if kind not in MIXES:
        raise DiffilmError(f"transition {kind!r}: expected one of {', '.join(['cut', *MIXES])}; choose one of them")
    return MIXES[kind]


def _dissolve(a: Tensor, b: Tensor, at: float) -> Tensor:
    return torch.lerp(a, b, at)


def _fade(a: Tensor, b: Tensor, at: float) -> Tensor:
    return a * (1 - 2 * at) if at < 0.5 else b * (2 * at - 1)


def _wipe(a: Tensor, b: Tensor, at: float) -> Tensor:
    """The column that the edge stands in is mixed by how much of it is passed."""
    passed = (at * a.shape[1] - torch.arange(a.shape[1], dtype=a.dtype)).clamp(0, 1)
    return torch.lerp(a, b, passed[None, :, None])


MIXES: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {"dissolve": _dissolve, "fade": _fade, "wipe": _wipe}
