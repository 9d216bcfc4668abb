"""A stream that is computed once: the second consumer reads what the first one wrote to a temporary file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from os import PathLike
from threading import Lock
from typing import IO

import numpy as np
import torch
from torch import Tensor

from ..errors import DiffilmError
from .stream import FrameStream


def spool(stream: FrameStream, directory: str | PathLike[str] | None = None) -> FrameStream:
    """`stream` with its frames kept, bit for bit, in a temporary file (in `directory`, default the system's).

    Whoever pulls first computes and stores; others read, and compute on from where the first one stopped. Chunks
    whose values are all n/255 take a byte a value, those that float16 holds exactly two, others four. The file has no
    name of its own where the system allows that, and is gone with the last reference to the stream, or with the
    process. Raises DiffilmError when it cannot be written.
    """
    store = _Spool(stream, directory)
    return stream.with_frames(store.chunks)


class _Spool:
    def __init__(self, stream: FrameStream, directory: str | PathLike[str] | None) -> None:
        self.stream, self.directory = stream, directory
        self.file: IO[bytes] | None = None
        self.index: list[tuple[int, int, np.dtype]] = []
        self.stored = 0
        self.source: Iterator[Tensor] | None = None
        self.lock = Lock()

    def chunks(self) -> Iterator[Tensor]:
        at = 0
        while True:
            with self.lock:
                chunk = self._load(at) if at < len(self.index) else self._compute()
            if chunk is None:
                return
            yield chunk
            at += 1

    def _compute(self) -> Tensor | None:
        """The next chunk of the source, stored. After an error the source is made again and what is stored skipped."""
        skip = 0
        if self.source is None:
            self.source, skip = iter(self.stream), self.stored
        try:
            for chunk in self.source:
                if skip >= chunk.shape[0]:
                    skip -= chunk.shape[0]
                    continue
                return self._store(chunk[skip:].detach().to("cpu", torch.float32))
        except BaseException:
            self.source = None
            raise
        self.source = iter(())
        return None

    def _store(self, chunk: Tensor) -> Tensor:
        try:
            if self.file is None:
                self.file = tempfile.TemporaryFile(dir=self.directory)  # noqa: SIM115
            offset = self.file.seek(0, 2)
            packed = _pack(chunk)
            self.file.write(packed.tobytes())
            self.file.flush()
        except OSError as error:
            where = self.directory or tempfile.gettempdir()
            raise DiffilmError(
                f"cannot keep frames in {where} ({error.strerror or error}): expected a folder with room; "
                "free space there or set TMPDIR to another one"
            ) from error
        self.index.append((offset, chunk.shape[0], packed.dtype))
        self.stored += chunk.shape[0]
        return chunk

    def _load(self, at: int) -> Tensor:
        assert self.file is not None
        offset, count, dtype = self.index[at]
        shape = (count, self.stream.height, self.stream.width, 3)
        self.file.seek(offset)
        data = self.file.read(int(np.prod(shape)) * dtype.itemsize)
        return _unpack(torch.from_numpy(np.frombuffer(data, dtype).reshape(shape).copy()))


def _pack(chunk: Tensor) -> np.ndarray:
    """The narrowest array that `_unpack` turns back into exactly `chunk`."""
    for narrow in (chunk.mul(255).round().clamp(0, 255).to(torch.uint8), chunk.half()):
        if torch.equal(_unpack(narrow).view(torch.int32), chunk.contiguous().view(torch.int32)):
            return narrow.numpy()
    return chunk.contiguous().numpy()


def _unpack(packed: Tensor) -> Tensor:
    return packed.float().div(255) if packed.dtype == torch.uint8 else packed.float()
