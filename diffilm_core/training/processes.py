"""Processes that train together, one a GPU: data parallel, by Accelerate.

    accelerate launch --num_processes 4 -m diffilm_core.cli train configs/motion.toml -o runs/motion

Each process takes its share of every batch; gradients are averaged (DDP, Li et al. 2020). Since every sample's noise
hangs on its number alone, the result is that of one process with the whole batch, but for rounding. Only the first
writes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..errors import DiffilmError


@dataclass(frozen=True)
class Processes:
    """`rank` of `count`; `accelerator` where there is more than one."""

    rank: int = 0
    count: int = 1
    accelerator: Any = None

    @property
    def main(self) -> bool:
        return self.rank == 0

    def share(self, batch: int) -> int:
        """How many samples of a batch are this process's. Raises DiffilmError where it cannot be parted evenly."""
        if batch % self.count:
            raise DiffilmError(
                f"batch {batch} for {self.count} processes: expected a multiple of {self.count}; change it"
            )
        return batch // self.count

    def prepared(self, module: nn.Module) -> nn.Module:
        """The module to call in training; its parameters stay those of `module`."""
        if self.accelerator is None:
            return module
        made: nn.Module = self.accelerator.prepare_model(module)
        return made


def launched(device: torch.device) -> tuple[Processes, torch.device]:
    """The processes that `accelerate launch` or `torchrun` started, and this one's device: `device` where it is alone.

    Raises DiffilmError where there are several and Accelerate is not installed.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return Processes(), device
    try:
        from accelerate import Accelerator
    except ImportError as error:
        raise DiffilmError(
            f"several processes need Accelerate ({error}): pip install accelerate, or start one"
        ) from error
    accelerator = Accelerator(cpu=device.type == "cpu")
    return Processes(accelerator.process_index, accelerator.num_processes, accelerator), accelerator.device
