"""Progress of a stream that is being pulled."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor

from .stream import FrameStream

Progress = Callable[[str, int, int, str], None]
"""`progress(stage, done, total, message)`; it may raise `Cancelled`."""


def watched(
    stream: FrameStream, progress: Progress | None, message: str, *, part: int = 0, parts: int = 1, total: int = 0
) -> FrameStream:
    """`stream` that reports each chunk as "write" after its consumer took it.

    A writer that pulls more than once gives each pull its `part` of `parts`; `total`: frames to report, default the
    stream's own.
    """
    if progress is None:
        return stream
    total = total or stream.frames

    def report(done: int) -> None:
        progress("write", (part * stream.frames + done) * total // (parts * stream.frames), total, message)

    def make() -> Iterator[Tensor]:
        done = 0
        report(0)
        for chunk in stream:
            yield chunk
            done += chunk.shape[0]
            report(done)

    return stream.with_frames(make)
