"""Which of those who fit a pronoun it means: how salient each is, and what speaks for or against it.

The rules of `binding.py` and `Resolver` say who can be meant at all; the weights here only order them. A fit of these
weights and 30 more on the annotated passages read a book that was left out worse than these numbers (docs/story.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from .cast import Entity
from .entities import Noun
from .salience import salience

LATELY = 6  # mentions of one entity
LEAST = math.log(0.02)  # score of one who is near enough
WEIGHTS = {
    "own": 0.47,  # the subject, for "his" in its clause
    "above": 0.26,  # the subject of the clause above
    "spoke": -0.36, "heard": 0.26,  # who spoke last, and to whom, for who speaks now
    "unsure": -0.36, "unsure_named": -0.1,  # of what gender
    "called": -1.9,  # "it", of one with a name of its own
    "he_or_she": -0.7,  # "it", of one who was he or she lately
    "neuter": -1.5,  # he or she, of one whom the story calls it
    "place": -0.7,  # "it" is rather somebody than somewhere
    "it_alive": -0.05,
}  # fmt: skip


@dataclass(frozen=True)
class Context:
    """What is known where a pronoun stands. binder: how those in `bound` stand above it. turn: who spoke last, and to
    whom, where the pronoun takes up the talk."""

    clock: float
    binder: str = ""
    bound: tuple[Entity, ...] = ()
    turn: tuple[Entity | None, Entity | None] = (None, None)


def choose(fitting: Iterable[Entity], noun: Noun, here: Context) -> Entity | None:
    """Whom the pronoun means; None where nobody is near enough."""
    scored = [(_score(entity, noun, here), -entity.order, entity) for entity in fitting if entity.trail]
    best = max(scored, key=lambda item: item[:2], default=None)
    return best[2] if best is not None and best[0] > LEAST else None


def is_he_or_she(entity: Entity) -> bool:
    """Whether it was called so lately."""
    return any(noun.lemma in ("he", "she", "him", "her") for noun in entity.nouns[-LATELY:])


def _score(entity: Entity, noun: Noun, here: Context) -> float:
    """Logarithm of how likely, up to a constant."""
    score = math.log(salience(entity, noun, here.clock) + 1e-4)
    if entity in here.bound:
        score += WEIGHTS[here.binder]
    spoke, heard = here.turn
    score += WEIGHTS["spoke"] * (entity is spoke) + WEIGHTS["heard"] * (entity is heard)
    if noun.gender != "n":
        if set(entity.gender) - {"n"} != set(noun.gender):
            score += WEIGHTS["unsure_named" if entity.proper else "unsure"]
        return score + WEIGHTS["neuter"] * (entity.neuter > 0 and not entity.called)
    if entity.alive:
        known = "called" if entity.called else "he_or_she" if is_he_or_she(entity) else "it_alive"
        score += WEIGHTS[known]
    return score + WEIGHTS["place"] * (entity.animacy == "place")
