"""Stories: text in, a storyboard of shots out."""

from __future__ import annotations

from .filming import DEFAULT_FPS, DEFAULT_FRAMES, plan, shot_seed, split_story
from .read import read_story
from .reading import Reading, read
from .sentences import Sentence, sentences
from .storyboard import CastMember, Shot, Storyboard, read_storyboard, write_storyboard

__all__ = [
    "DEFAULT_FPS",
    "DEFAULT_FRAMES",
    "CastMember",
    "Reading",
    "Sentence",
    "Shot",
    "Storyboard",
    "plan",
    "read",
    "read_story",
    "read_storyboard",
    "sentences",
    "shot_seed",
    "split_story",
    "write_storyboard",
]
