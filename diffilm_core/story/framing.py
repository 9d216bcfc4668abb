"""Camera, transition and length of a shot, by rule."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import DiffilmError
from .lexicon import these

MOVING = these(
    "run gallop ride fly chase flee race drive sail rush hurry swim march walk wander travel follow dash jump leap "
    "climb crawl ski skate cycle roll skip hop trot dart speed charge cross journey stroll"
)
FACES = these(
    "cry weep smile laugh frown stare gaze whisper blush wink sob sigh scream shout kiss yawn grin listen look see "
    "watch think wonder dream sleep eat drink read write"
)
TALK = these(
    "say ask tell reply answer cry call exclaim shout whisper murmur speak talk declare remark add explain beg demand "
    "growl snap squeak roar sing sigh repeat continue announce mutter observe inquire enquire respond"
)
SHORTEST, LONGEST = 1.0, 10.0  # seconds of a shot where a length is asked for
WORDS_A_SECOND = 3.0


def camera_of(
    cast: int, verbs: Sequence[str], *, new_place: bool = False, talks: bool = False, described: bool = False
) -> str:
    """Framing: a new place is established, nobody or a crowd is seen from afar, who moves is followed, who talks or
    feels is seen close by. cast: how many are to be seen; described: the shot is about its place alone."""
    if new_place:
        return "establishing shot"
    if cast == 0 or described:
        return "wide shot"
    if cast > 3:
        return "wide shot"
    if any(verb in MOVING for verb in verbs[:1]):
        return "tracking shot"
    if talks:
        return "close-up" if cast == 1 else "two-shot" if cast == 2 else "medium shot"
    if cast == 1 and any(verb in FACES for verb in verbs[:1]):
        return "close-up"
    return "medium shot" if cast < 3 else "wide shot"


def natural_length(words: int, acts: int, cast: int) -> float:
    """Seconds that a shot wants: time to take in its words, and some for each act after the first."""
    seconds = 1.0 + words / WORDS_A_SECOND * 0.6 + 0.5 * max(0, acts - 1) + (0.5 if not cast else 0.0)
    return min(max(seconds, SHORTEST), LONGEST)


def lengths(natural: Sequence[float], total: float | None, fps: float) -> list[float]:
    """Seconds of each shot, in whole frames. total: what they add up to, within half a frame; None: their own lengths.

    Longer shots give and take more; none is shorter than 1 s or longer than 10 s. Raises DiffilmError where so many
    shots cannot have that total.
    """
    if total is None:
        return [max(1, round(seconds * fps)) / fps for seconds in natural]
    least, most = len(natural) * SHORTEST, len(natural) * LONGEST
    if not least <= total <= most:
        shots = "1 shot" if len(natural) == 1 else f"{len(natural)} shots"
        raise DiffilmError(
            f"length is {total:g} s, but {shots} of {SHORTEST:g} to {LONGEST:g} s take {least:g} to {most:g} s; "
            "ask for a length within that"
        )
    low, high = 0.0, LONGEST / SHORTEST * 2
    for _ in range(60):
        factor = (low + high) / 2
        if sum(_held(seconds * factor) for seconds in natural) < total:
            low = factor
        else:
            high = factor
    exact = [_held(seconds * high) * fps for seconds in natural]
    frames = [max(1, int(value)) for value in exact]
    missing = round(total * fps) - sum(frames)
    order = sorted(range(len(exact)), key=lambda i: (frames[i] - exact[i], i))
    for i in order[: max(0, missing)]:
        frames[i] += 1
    return [count / fps for count in frames]


def _held(seconds: float) -> float:
    return min(max(seconds, SHORTEST), LONGEST)
