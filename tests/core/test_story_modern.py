"""Proves that short simple stories of today, in the present or the past, are read: who is seen, where and when."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import pytest

from diffilm_core.story.reading import Reading, read

FOX = (Path(__file__).resolve().parents[2] / "stories" / "the_fox.txt").read_text(encoding="utf-8")
CAT = (
    "Mia finds a small black kitten in the garden. It is wet and shivers. She carries it into the kitchen and gives it "
    "some milk. In the evening the kitten sleeps on her bed."
)
SUBWAY = (
    "Daniel waited on the platform. At midnight the last train arrived. A woman in a red coat got off and looked at "
    "him. He followed her up the stairs into the street. She stopped and turned around."
)
ROBOT = (
    "A robot walks through an empty city. It finds a flower in the street. The robot picks the flower and carries it "
    "to the roof of a tower. At sunset an old woman comes. She smiles at the robot."
)
TWINS = (
    "Leo and Ella ran down to the beach. They built a castle. A big wave came and washed it away. Leo cried, but Ella "
    "laughed. Then their mother called them. The next morning they went into the forest."
)
CHEF = (
    "Every day Rosa cooks for the children of the village. Today a stranger enters the kitchen. He asks for a bowl of "
    'soup. "Sit down," says Rosa. He sits at the table and eats. Outside, it begins to snow.'
)
DIVER = (
    "The diver sank into the dark sea. A huge whale swam past her. She held her breath and waited. After an hour she "
    "climbed back into the boat, and the captain gave her a blanket."
)
DRAGON = (
    "Once upon a time a young dragon lived in a cave. One night a knight rode up the mountain. The dragon was afraid "
    "of him, and hid behind a rock. The knight sat down by the fire and sang. In the morning the dragon came out."
)
SEEN = [
    (FOX, "little fox wakes", "little fox"), (FOX, "rabbit and", "little fox+rabbit"), (FOX, "bee hums", "bee"),
    (FOX, "brown bear", "brown bear+little fox"), (CAT, "Mia finds", "Mia+small black kitten"),
    (CAT, "She carries", "Mia+small black kitten"), (SUBWAY, "He followed", "Daniel+woman"),
    (SUBWAY, "She stopped", "woman"), (ROBOT, "It finds", "robot"), (ROBOT, "She smiles", "old woman+robot"),
    (TWINS, "They built", "Ella+Leo"), (TWINS, "next morning", "Ella+Leo"), (CHEF, "He asks", "stranger"),
    (CHEF, "Sit down", "Rosa"), (CHEF, "He sits", "stranger"), (DIVER, "She held", "diver"),
    (DIVER, "After an hour", "captain+diver"), (DRAGON, "was afraid", "knight+young dragon"),
    (DRAGON, "sang", "knight"),
]  # fmt: skip
WHERE = [
    (FOX, "little fox wakes", "snow", "night"),
    (FOX, "rabbit and", "meadow", "morning"), (FOX, "bee hums", "garden", ""),
    (FOX, "At last", "sea", "night"), (CAT, "It is wet", "garden", ""), (CAT, "In the evening", "kitchen", "evening"),
    (SUBWAY, "At midnight", "platform", "midnight"), (SUBWAY, "She stopped", "street", "midnight"),
    (ROBOT, "It finds", "street", ""), (ROBOT, "She smiles", "roof", "sunset"), (TWINS, "They built", "beach", ""),
    (TWINS, "next morning", "forest", "next morning"), (CHEF, "He asks", "kitchen", ""), (DIVER, "She held", "sea", ""),
    (DIVER, "After an hour", "boat", "after hour"), (DRAGON, "hid", "mountain", "night"),
    (DRAGON, "In the morning", "", "morning"),
]  # fmt: skip


@lru_cache(maxsize=16)
def reading(text: str) -> Reading:
    return read(text)


@pytest.mark.parametrize(("text", "words", "seen"), SEEN, ids=lambda value: value if len(value) < 40 else "")
def test_who_is_seen(text: str, words: str, seen: str) -> None:
    sentence = next(s for s in reading(text).sentences if words in text[slice(*s.span)])
    called = {
        m.id: m.name.lower().removeprefix("the ").removeprefix("a ").removeprefix("an ") for m in reading(text).cast
    }
    assert "+".join(sorted(called[i] for i in sentence.cast)) == seen.lower()


@pytest.mark.parametrize(("text", "words", "place", "time"), WHERE, ids=lambda value: value if len(value) < 40 else "")
def test_where_and_when(text: str, words: str, place: str, time: str) -> None:
    """A place or time of "" is not asked for."""
    sentence = next(s for s in reading(text).sentences if words in text[slice(*s.span)])
    assert place in sentence.place and time in sentence.time
