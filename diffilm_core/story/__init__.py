"""Stories: text in, a storyboard of shots out."""

from __future__ import annotations

from .read import read_story
from .sentences import Sentence, sentences
from .split import DEFAULT_FPS, DEFAULT_FRAMES, shot_seed, split_story
from .storyboard import CastMember, Shot, Storyboard, read_storyboard, write_storyboard

__all__ = [
    "DEFAULT_FPS",
    "DEFAULT_FRAMES",
    "CastMember",
    "Sentence",
    "Shot",
    "Storyboard",
    "read_story",
    "read_storyboard",
    "sentences",
    "shot_seed",
    "split_story",
    "write_storyboard",
]
