"""What a run tells of itself, in OUT/log: curves and pictures for TensorBoard, and sheets of samples as PNG files.

tensorboard --logdir runs/motion/log
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from einops import rearrange
from torch import Tensor

from .sheet import contact_sheet

log = logging.getLogger(__name__)


class Record:
    """Figures and samples of the run `name`, by step. Without the package tensorboard there are the sheets alone, and
    the log says so once."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder / "log", name
        self._made: Any = None
        self._asked = False

    def _writer(self, step: int) -> Any:
        """The SummaryWriter, None without the package. What a run that was killed wrote after `step` is hidden."""
        if not self._asked:
            self._asked = True
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                log.info("no curves in %s: pip install tensorboard (%s)", self.folder, error)
            else:
                self._made = SummaryWriter(str(self.folder / self.name), purge_step=step)
        return self._made

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        if (writer := self._writer(step)) is not None:
            for name, value in values.items():
                writer.add_scalar(name, value, step)
            writer.flush()

    def samples(self, step: int, pictures: Tensor) -> Path:
        """uint8 `(n, t, 3, h, w)`, a row for each of n clips, as one sheet; n pictures are `(1, n, 3, h, w)`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        flat = rearrange(pictures, "n t c h w -> (n t) c h w").cpu()
        path = self.folder / f"{self.name}-{step:07}.png"
        contact_sheet(flat, path, columns=pictures.shape[1])
        if (writer := self._writer(step)) is not None:
            grid = rearrange(pictures, "n t c h w -> c (n h) (t w)")
            writer.add_image("samples", grid, step)
            writer.flush()
        return path
