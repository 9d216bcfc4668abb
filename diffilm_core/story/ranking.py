"""Which of those who fit a pronoun it means: how salient each is, and what speaks for or against it.

The rules of `binding.py` and `Resolver` say who can be meant at all; the weights here only order them. `WEIGHTS` were
set by hand; `FITTED`, for he and she, are those of a log-linear model that takes the hand-set score as it is, fitted on
55 works of LitBank (Bamman, Lewke and Mansoor 2020, CC BY 4.0), the reader's own errors included (docs/story.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from .cast import Entity
from .entities import Noun
from .salience import salience
from .votes import Named

LATELY = 6  # mentions of one entity
CHAIN = 12  # mentions of which the pronouns count
KNOWN = 40  # mentions of which it counts how many are names and descriptions
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
FITTED = {
    "opposite": -1.61, "alike": 0.34,  # log(1 + how often lately called by another pronoun, by this one)
    "named": -1.51,  # share of names and descriptions among its mentions
    "new": -1.08,  # mentioned once, without a name
    "indefinite": 0.76,  # last mentioned as "a man"
    "next": -1.0, "other_next": 0.54,  # 1 / sentences until it, until another who fits is named again
    "ahead": 0.49,  # log(1 + how often it is named in the next 15 sentences)
    "around": 0.27,  # log(1 + how often it is named in the 20 sentences before and behind)
    "rank": -0.43,  # how many others who fit were mentioned later, at most 6
    "since": -0.41,  # log(1 + sentences since it was named)
}  # fmt: skip
HE = ("he", "him", "his", "himself")
SHE = ("she", "her", "hers", "herself")
IT = ("it", "its", "itself")


@dataclass(frozen=True)
class Context:
    """What is known where a pronoun stands. named: where the story names whom. binder: how those in `bound` stand
    above it. turn: who spoke last, and to whom, where the pronoun takes up the talk."""

    clock: float
    named: Named
    binder: str = ""
    bound: tuple[Entity, ...] = ()
    turn: tuple[Entity | None, Entity | None] = (None, None)


def choose(fitting: Iterable[Entity], noun: Noun, here: Context) -> Entity | None:
    """Whom the pronoun means; None where nobody is near enough."""
    near = [entity for entity in fitting if entity.trail]
    scores = {entity: _score(entity, noun, here) for entity in near}
    if max(scores.values(), default=LEAST) <= LEAST:
        return None
    if noun.gender in ("m", "f"):
        _fitted(scores, noun, here.named)
    return max(near, key=lambda entity: (scores[entity], -entity.order))


def _fitted(scores: dict[Entity, float], noun: Noun, named: Named) -> None:
    """Add what `FITTED` says of each."""
    here = noun.sentence
    alike, opposite = (HE, (*SHE, *IT)) if noun.gender == "m" else (SHE, (*HE, *IT))
    last = {entity: _last(entity, noun) for entity in scores}
    until = {entity: named.until(entity, here) for entity in scores}
    soonest = min(until.values())
    for rank, entity in enumerate(sorted(scores, key=lambda e: last[e][:2], reverse=True)):
        called = [n.lemma for n in entity.nouns[-CHAIN:] if n.kind == "pronoun"]
        known = entity.nouns[-KNOWN:]
        told = [n.sentence for n in known if n.kind != "pronoun"]
        found = {
            "opposite": math.log1p(sum(word in opposite for word in called)),
            "alike": math.log1p(sum(word in alike for word in called)),
            "named": len(told) / (1 + len(known)),
            "new": float(len(entity.nouns) < 2 and not entity.called),
            "indefinite": float(last[entity][2] == "a"),
            "next" if until[entity] == soonest else "other_next": 1 / (1 + soonest),
            "ahead": math.log1p(named.count(entity, here + 1, here + 15)),
            "around": math.log1p(named.count(entity, here - 20, here + 20)),
            "rank": min(6, rank),
            "since": math.log1p(max(0, here - told[-1])) if told else 0.0,
        }
        scores[entity] += sum(FITTED[name] * value for name, value in found.items())


def _last(entity: Entity, noun: Noun) -> tuple[float, int, str]:
    """Of its mentions the last before this one: clock, offset, determiner."""
    out = [(clock, n.start, n.determiner) for clock, _, n in entity.trail if n is not noun]
    return max(out, default=(-1.0, -1, ""))


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
