"""A sprite bank that needs no download."""

from __future__ import annotations

import torch

from diffilm_core.training.emoji import SpriteBank
from diffilm_core.training.vocabulary import OBJECTS, PROPS

SIDE = 16


def disc_bank() -> SpriteBank:
    """Discs of a colour each; every third object blinks."""
    count = len(OBJECTS) + len(PROPS)
    line = torch.arange(SIDE) - (SIDE - 1) / 2
    disc = (line[:, None] ** 2 + line[None] ** 2 < (SIDE / 2 - 1) ** 2).float()
    colours = torch.rand(count, 3, generator=torch.Generator().manual_seed(0))
    stills = torch.cat([colours[:, :, None, None] * disc, disc.expand(count, 1, SIDE, SIDE)], 1)
    moving = (len(OBJECTS) + 2) // 3
    blink = torch.linspace(0, 1, 24)[None, :, None, None, None]
    clips = (stills[: len(OBJECTS) : 3, None] * blink * 255).to(torch.uint8)
    clip_of = torch.tensor([i // 3 if i % 3 == 0 else -1 for i in range(len(OBJECTS))])
    return SpriteBank(
        stills=(stills * 255).to(torch.uint8),
        extent=torch.ones(count, 2),
        clips=clips,
        clip_of=clip_of,
        clip_seconds=torch.full((moving,), 3.0),
        clip_zoom=torch.ones(moving),
        props={name: len(OBJECTS) + i for i, name in enumerate(PROPS)},
    )
