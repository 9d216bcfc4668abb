"""CMX 3600 edit decision list: what any editing program since the eighties reads."""

from __future__ import annotations

from collections.abc import Iterator

from .timecode import is_drop, timecode
from .timeline import Event, Timeline

HOUR = 1
"""The record starts at one o'clock, as tapes did."""
REEL = "AX"
WIPE = "W001"


def edl(found: Timeline) -> str:
    """An event for each shot, from the movie's own file, whose timecode starts at 0.

    Dissolves and wipes are events of two lines; both sides are the same frames of the file, where the transition is in
    the picture already, so that making it again changes nothing. A fade through black would darken twice: it is a cut
    with a comment. Prompts and seeds are comments too.
    """
    lines = [f"TITLE: {_ascii(found.title)[:70]}", f"FCM: {'DROP FRAME' if is_drop(found.fps) else 'NON-DROP FRAME'}"]
    starts = [event.mixed_from if _mixes(event) else event.start for event in found.events]
    ends = [*starts[1:], found.frames]
    before: Event | None = None
    for number, (event, start, end) in enumerate(zip(found.events, starts, ends, strict=True), 1):
        lines += ["", *_event(number, event, before, start, end, found)]
        before = event
    return "\n".join(lines) + "\n"


def _mixes(event: Event) -> bool:
    return event.transition in ("dissolve", "wipe") and event.mixed > 0


def _event(number: int, event: Event, before: Event | None, start: int, end: int, found: Timeline) -> Iterator[str]:
    def line(kind: str, first: int, last: int) -> str:
        source = [timecode(frame, found.fps) for frame in (first, last)]
        record = [timecode(frame, found.fps, hours=HOUR) for frame in (first, last)]
        return f"{number:03}  {REEL:<8} V     {kind:<8} {' '.join(source)} {' '.join(record)}"

    if _mixes(event) and before is not None:
        kind = "D" if event.transition == "dissolve" else WIPE
        yield line("C", start, start)
        yield line(f"{kind:<4} {event.mixed:03}", start, end)
        yield f"* FROM CLIP NAME: {_ascii(before.name)}"
        yield f"* TO CLIP NAME: {_ascii(event.name)}"
    else:
        yield line("C", start, end)
        yield f"* FROM CLIP NAME: {_ascii(event.name)}"
    yield f"* SOURCE FILE: {_ascii(found.media.name)}"
    if event.mixed and not _mixes(event):
        yield f"* {event.transition.upper()} OF {event.mixed} FRAMES IN THE PICTURE"
    yield f"* LOC: {timecode(event.start, found.fps, hours=HOUR)} WHITE   {_ascii(event.shot.prompt)}"
    yield f"* SEED: {event.shot.seed}"


def _ascii(text: str) -> str:
    """On one line, in ASCII, as the format asks."""
    return " ".join(text.encode("ascii", "replace").decode().split())
