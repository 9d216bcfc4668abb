"""Stages that overlap: a thread makes the next chunk while the consumer writes the last."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from .stream import FrameStream

POLL = 0.1  # seconds between looks at whether the consumer is gone


def ahead(stream: FrameStream, chunks: int = 1) -> FrameStream:
    """`stream` made by a thread that runs up to `chunks` finished chunks ahead of who pulls, in order and bit for bit.

    What the stages raise, Cancelled too, is raised to the consumer, after the chunks made before it. When the consumer
    stops early the thread ends after the chunk that it is making, and the stages' iterators are closed.
    """
    return stream.with_frames(lambda: _pulled(stream, chunks))


def overlapped(stream: FrameStream, worker: Any) -> FrameStream:
    """`ahead` where `worker.device` is no CPU, so that it works while the processor decodes and encodes."""
    device = getattr(worker, "device", None)
    return stream if device is None or torch.device(device).type == "cpu" else ahead(stream)


def _pulled(stream: FrameStream, chunks: int) -> Iterator[Tensor]:
    made: queue.Queue[Tensor | BaseException | None] = queue.Queue(chunks)
    stop = threading.Event()

    def give(each: Tensor | BaseException | None) -> bool:
        while not stop.is_set():
            try:
                made.put(each, timeout=POLL)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        source = iter(stream)
        try:
            for chunk in source:
                if not give(chunk):
                    return
            give(None)
        except BaseException as error:
            give(error)
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=work, name="diffilm-ahead", daemon=True)
    thread.start()
    try:
        while (each := made.get()) is not None:
            if isinstance(each, BaseException):
                raise each
            yield each
    finally:
        stop.set()
        thread.join()
