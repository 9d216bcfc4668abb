"""How much somebody is in the reader's mind: by role, halved with each sentence (Lappin and Leass 1994)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .cast import LOOK_BACK, Entity
from .entities import Noun
from .lexicon import genders, words
from .parse import Token

WEIGHT = {"subject": 1.0, "object": 0.62, "oblique": 0.42, "possessor": 0.45, "predicate": 0.4, "apposition": 0.3}
FADING = 0.5  # of salience, for each sentence told
OWNER = 0.5  # times the weight: "Farmer Hale's boy" is rather of the boy
HELD = 0.75  # weight of whose hand or eye is named
ENTERS = 1.3  # weight of who comes in behind the verb: "there came a knight"
SAME = 1.25  # times as salient: named in the same sentence
OF_SPEECH = 0.3  # times the weight: who is only named in a speech
SPOKEN = 3.0  # times as salient: for what is said there
STAR = 0.1  # more salient for each doubling of what is told of somebody


def weight_of(tokens: Sequence[Token], noun: Noun, entity: Entity) -> float:
    """What one mention adds."""
    weight = WEIGHT.get(noun.role, 0.4)
    if noun.role == "subject" and noun.verb >= 0 and tokens[noun.verb].dep not in ("ROOT", "conj"):
        weight = 0.85
    if noun.quote >= 0:
        weight *= OF_SPEECH
    if noun.role == "subject" and noun.determiner == "a" and noun.head > noun.verb >= 0:
        weight = ENTERS
    if noun.plural and noun.determiner == "" and noun.kind == "description":
        weight *= 0.4
    owned = tokens[tokens[noun.head].head] if noun.role == "possessor" else None
    if owned is not None and noun.kind != "pronoun" and genders("person", owned.lemma):
        weight *= OWNER
    elif owned is not None and owned.dep in ("nsubj", "nsubjpass"):
        weight = max(weight, 0.8)
    if owned is not None and owned.lemma in words("body"):
        weight = max(weight, HELD)
    if not noun.visible:
        weight *= 0.8
    if entity.animacy == "thing":
        weight *= 0.8
    return weight


def remember(entity: Entity, clock: float, weight: float, noun: Noun) -> None:
    """Keep a mention; of too many the least is dropped."""
    entity.trail.append((clock, weight, noun))
    if len(entity.trail) > LOOK_BACK:
        entity.trail.remove(min(entity.trail, key=lambda item: item[1] * FADING ** (clock - item[0])))


def salience(entity: Entity, noun: Noun, clock: float) -> float:
    """Of an entity where the noun stands; more for whom more is told of."""
    total = 0.0
    for then, weight, mention in entity.trail:
        if mention is noun:
            continue
        gap = clock - then
        share = weight * FADING ** max(0.0, gap)
        if mention.sentence == noun.sentence and mention.quote == noun.quote:
            if noun.role == "possessor" and mention.role == "subject" and mention.verb == noun.verb:
                share *= 1.5
            share *= SAME
        if noun.quote >= 0 and mention.quote >= 0:
            share *= SPOKEN
        if mention.role == noun.role == "subject" and gap <= 1:
            share *= 1.15
        total = max(total, share) + 0.25 * min(total, share)
    return total * (1 + STAR * math.log2(1 + entity.acts))
