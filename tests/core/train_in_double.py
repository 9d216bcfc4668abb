"""Run by test_training_processes.py: `diffilm train` with the model in float64."""

from __future__ import annotations

import sys
from dataclasses import replace

from diffilm_core.cli import main
from diffilm_core.training import motion

opened = motion.open_base


def in_double(*arguments: object) -> motion.Base:
    base = opened(*arguments)
    base.unet.double(), base.vae.double()
    save = base.save
    return replace(base, context=base.context.double(), save=lambda path, about: save(path, about))


motion.open_base = in_double
sys.exit(main(sys.argv[1:]))
