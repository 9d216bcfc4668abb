"""A network over a clip at a fixed internal batch, so that its frames do not depend on how they are pulled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain

import torch
from einops import rearrange
from torch import Tensor

from ..errors import DiffilmError
from .fit import LOG, TILES, Fit, OutOfMemory, free_cache, is_out_of_memory
from .stream import FrameStream
from .tiles import tiled

Job = tuple[Tensor, ...]
"""What one frame is made from: frames `(h, w, 3)` and single numbers."""
END = None
"""Between the jobs of two shots: the batch is filled up with its last job and starts anew."""


class Network:
    """One network stage over one clip. All its frames are made at one setting, whoever pulls and how often.

    `call` takes the inputs of a batch, each `(b, 3, h, w)` or `(b,)`, to frames `(b, 3, scale h, scale w)`.
    """

    def __init__(
        self,
        name: str,
        stream: FrameStream,
        call: Callable[..., Tensor],
        *,
        batch: int,
        fit: Fit | None,
        scale: int = 1,
    ) -> None:
        self.name, self.call, self.batch, self.scale = name, call, batch, scale
        self.side = max(stream.width, stream.height)
        self.fit = fit if fit is not None else Fit()
        self.used: Fit | None = None

    def frames(self, jobs: Iterable[Job | Tensor | None]) -> Iterator[Tensor]:
        """Frames `(h, w, 3)` in the order of `jobs`; a tensor among them is a finished frame and passes unchanged.

        Raises OutOfMemory.
        """
        queue: list[Job | Tensor] = []
        waiting: list[Job] = []
        for job in chain(jobs, [END]):
            if job is not END:
                queue.append(job)
                waiting += [job] if isinstance(job, tuple) else []
            if waiting and job is not END and len(waiting) < self._batch():
                continue
            made = iter(self._make(waiting))
            for each in queue:
                yield next(made) if isinstance(each, tuple) else each
            queue, waiting = [], []

    def _batch(self) -> int:
        return (self.used or self.fit).batch or self.batch

    def _make(self, work: list[Job]) -> list[Tensor]:
        """The frames of some jobs. Out of memory before the clip's first batch is done goes down a setting."""
        for _ in range(len(TILES) + 2):
            now = self.used or Fit(self.fit.batch, self.fit.tile)
            batch = now.batch or self.batch
            try:
                made = [frame for at in range(0, len(work), batch) for frame in self._run(work[at : at + batch], now)]
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                words = str(error).splitlines()[0] if str(error) else type(error).__name__
            else:
                self.used = now if made else self.used
                return made
            self._lower(now, words)
        raise DiffilmError(
            f"{self.name}: out of memory at {len(TILES) + 2} settings, expected to end at the smallest; close other "
            "programs or make smaller frames"
        )

    def _lower(self, now: Fit, words: str) -> None:
        """Outside of the handler, whose traceback would keep the network's tensors alive."""
        free_cache()
        lower = now.lower(self.batch, self.side)
        if lower is None:
            raise DiffilmError(
                f"{self.name}: out of memory with {now} ({words}), the smallest setting; expected more memory; "
                "close other programs or make smaller frames"
            )
        self.fit.batch, self.fit.tile = lower.batch, lower.tile
        LOG.warning("%s: out of memory with %s (%s); going on with %s", self.name, now, words, lower)
        if self.used is not None:
            self.used = None  # who pulls again gets the whole clip at the lower setting
            raise OutOfMemory(
                f"{self.name}: out of memory with {now} after the clip's first frames ({words}); "
                f"make the clip again with {lower}"
            )

    @torch.no_grad()
    def _run(self, work: list[Job], fit: Fit) -> list[Tensor]:
        """One batch, filled up with its last job."""
        batch = fit.batch or self.batch
        columns = zip(*(work + work[-1:] * (batch - len(work))), strict=True)
        stacks = [torch.stack(column) for column in columns]
        inputs = tuple(rearrange(s, "b h w c -> b c h w").contiguous() if s.ndim == 4 else s for s in stacks)
        made = tiled(self.call, inputs, fit.tile, self.scale)[: len(work)]
        return list(rearrange(made.to("cpu", torch.float32).clamp(0, 1), "b c h w -> b h w c").contiguous())
