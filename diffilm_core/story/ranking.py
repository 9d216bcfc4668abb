"""Which of those who fit a pronoun it means: a log-linear model of salience, roles, clauses and what went before.

The rules say who can be meant at all (number, gender, binding); the weights here only order them. They are fitted on the
annotated passages (scripts/fit_pronouns.py), with no word or name among the features.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .cast import Entity
from .entities import Noun
from .salience import salience

LATELY = 6  # mentions
NOBODY = -3.9  # score of nobody: salience of 0.02
OBJECTS = frozenset(("object", "oblique"))
WEIGHTS: dict[str, float] = {
    "salience": 1.0, "own": 0.47, "above": 0.26, "over": 0.26, "unsure": -0.36, "unsure_named": -0.1, "called": -1.9,
    "he_or_she": -0.7, "place": -0.7, "it_alive": -0.05, "speaker": -0.36, "heard": 0.26, "neuter": -1.5,
}  # fmt: skip


@dataclass
class Context:
    """What is known where a pronoun stands. binder: kind and who stands above it; opened, before: the first subjects of
    this sentence and of the one before; said: whom the last pronoun of a gender meant; turn: who spoke last, and to
    whom, where the pronoun takes up the talk."""

    clock: float
    binder: str = ""
    bound: tuple[Entity, ...] = ()
    opened: tuple[Entity, ...] = ()
    before: tuple[Entity, ...] = ()
    said: Mapping[str, Entity] = field(default_factory=dict)
    turn: tuple[Entity | None, Entity | None] = (None, None)


def features(entity: Entity, noun: Noun, here: Context, nth: int) -> dict[str, float]:
    """Of one who fits. nth: how many of the others were mentioned later."""
    then, _, last = entity.trail[-1]
    same = last.sentence == noun.sentence and last.quote == noun.quote
    gap = here.clock - then
    out = {"salience": math.log(salience(entity, noun, here.clock) + 1e-4)}
    on = [
        ("same", same), ("far", gap > 2.5), ("farther", gap > 5), ("newest", nth == 0), ("second", nth == 1),
        ("again", here.said.get(noun.gender) is entity), (here.binder, entity in here.bound),
        ("opened", entity in here.opened), ("before", entity in here.before and not same),
        ("subjects", noun.role == last.role == "subject"), ("objects", noun.role in OBJECTS and last.role in OBJECTS),
        ("raised", noun.role == "subject" and last.role in OBJECTS),
        ("lowered", noun.role in OBJECTS and last.role == "subject"),
        ("possessed", last.role == "possessor"), ("whose", noun.role == "possessor" and last.role == "subject"),
        ("whose_object", noun.role == "possessor" and last.role in OBJECTS),
        ("once", len(entity.nouns) == 1), ("entered", len(entity.nouns) == 1 and last.determiner == "a"),
        ("named_last", last.kind != "pronoun"), ("proper", entity.proper), ("quoted", last.quote >= 0 > noun.quote),
        ("unseen", not last.visible), ("speaker", entity is here.turn[0]), ("heard", entity is here.turn[1]),
        ("thing", not entity.alive), ("neuter", entity.neuter > 0 and not entity.called and noun.gender != "n"),
        ("bound_named", same and entity in here.bound and last.kind != "pronoun"),
        ("newest_here", same and nth == 0), ("newest_named", same and nth == 0 and last.kind != "pronoun"),
         ("animal", entity.animacy == "animal"),
    ]  # fmt: skip
    if noun.gender == "n":
        calls = any(n.lemma in ("he", "she", "him", "her") for n in entity.nouns[-LATELY:])
        called = entity.alive and entity.called
        on += [
            ("called", called), ("he_or_she", entity.alive and calls and not called), ("place", entity.animacy == "place"),
            ("it_alive", entity.alive), ("it_subject", noun.role == "subject" and not entity.alive),
        ]  # fmt: skip
    elif set(entity.gender) - {"n"} != set(noun.gender):
        on += [("unsure_named" if entity.proper else "unsure", True)]
    out.update((name, 1.0) for name, true in on if true and name)
    out["told"] = math.log1p(entity.acts)
    return out


def score(found: Mapping[str, float], weights: Mapping[str, float] = WEIGHTS) -> float:
    return sum(weights.get(name, 0.0) * value for name, value in found.items())


def choose(fitting: Iterable[Entity], noun: Noun, here: Context) -> Entity | None:
    """Whom the pronoun means; None where nobody is near enough."""
    those = [entity for entity in fitting if entity.trail]  # the one mentioned last is the last
    scored = [(score(features(e, noun, here, len(those) - 1 - n)), n, e) for n, e in enumerate(those)]
    best = max(scored, key=lambda item: item[:2], default=None)
    return best[2] if best is not None and best[0] > NOBODY else None
