"""Processes that train together, one a GPU, launched by Accelerate.

    accelerate launch --num_processes 4 -m diffilm_core.cli train configs/motion.toml -o runs/motion
    ... --set train.sharding=fsdp       # a model that one GPU has no room for

Each process takes its share of every batch; gradients are averaged (DDP, Li et al. 2020; FSDP, Zhao et al. 2023). Since
every sample's noise hangs on its number alone, the result is that of one process with the whole batch, but for
rounding, and a run may go on with another number of processes. Only the first writes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..errors import DiffilmError
from .shards import shard


@dataclass(frozen=True)
class Processes:
    """`rank` of `count`; `accelerator` where there is more than one. `sharding`: "ddp" or "fsdp"."""

    rank: int = 0
    count: int = 1
    accelerator: Any = None
    sharding: str = "ddp"

    @property
    def main(self) -> bool:
        return self.rank == 0

    @property
    def sharded(self) -> bool:
        """Whether each process holds a slice of the weights alone, so that all must take part in whatever runs them."""
        return self.accelerator is not None and self.sharding == "fsdp"

    def agreed(self, choice: bool) -> bool:
        """The first process's choice, where what hangs on it needs all of them."""
        if not self.sharded:
            return choice
        said = torch.tensor([choice], dtype=torch.uint8, device=self.accelerator.device)
        torch.distributed.broadcast(said, 0)
        return bool(said)

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
        if self.sharded:  # Accelerate calls the same engine, but not on CPUs and for one network alone
            return shard(module, self.accelerator.device, self.count)
        made: nn.Module = self.accelerator.prepare_model(module)
        return made


def one_process(stage: str) -> None:
    """Raises DiffilmError where several processes were launched for a stage that trains in one."""
    if (count := int(os.environ.get("WORLD_SIZE", "1"))) > 1:
        raise DiffilmError(f"stage {stage} trains in one process, {count} were launched: start it without a launcher")


def launched(device: torch.device, sharding: str = "ddp") -> tuple[Processes, torch.device]:
    """The processes that `accelerate launch` or `torchrun` started, and this one's device: `device` where it is alone.

    sharding: as `StageConfig` has it. Raises DiffilmError where there are several and Accelerate is not installed.
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
    device = device if device.type == "cpu" else accelerator.device  # "cpu:0" cannot be loaded to
    return Processes(accelerator.process_index, accelerator.num_processes, accelerator, sharding), device
