"""Kin: whom "his mother" means, by what has been told of who is whose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .lexicon import these, words

if TYPE_CHECKING:
    from .binding import Binding
    from .cast import Entity
    from .entities import Noun

RELATIONS = {
    word: line.split(":")[0]
    for line in (
        "parent:father mother papa mamma mama dad daddy mummy parent", "child:son daughter child",
        "spouse:husband wife", "elder:uncle aunt", "younger:nephew niece", "sibling:brother sister", "cousin:cousin",
        "grandparent:grandfather grandmother grandpapa grandmamma", "grandchild:grandson granddaughter grandchild",
    )
    for word in line.split(":")[1].split()
}  # fmt: skip
INVERSE = {
    "parent": "child", "child": "parent", "spouse": "spouse", "elder": "younger", "younger": "elder",
    "sibling": "sibling", "cousin": "cousin", "grandparent": "grandchild", "grandchild": "grandparent",
}  # fmt: skip
SHARED = {  # a wife's child is the husband's too, a father's wife the mother, a child's father the husband
    "child": ("spouse", "child"), "parent": ("parent", "spouse"), "spouse": ("child", "parent"),
}  # fmt: skip
MARRIED = these("mrs lady madame")
DOCTORS = these("dr doctor professor prof")
RULERS = these("king queen emperor empress monarch")


def relation_of(noun: Noun) -> str:
    """What it calls somebody to his owner: "parent" for "his mother"; "" where it is no kin."""
    if noun.determiner != "poss" or noun.plural or noun.owner is None:
        return ""
    said = (noun.lemma,) if noun.kind == "description" else noun.words
    return next((RELATIONS[word] for word in said if word in RELATIONS), "")


def note_had(noun: Noun, entity: Entity, subject: Noun | None) -> None:
    """Remember whose kin the entity is that somebody "had": "she had a daughter"."""
    if subject is None or noun.lemma not in RELATIONS or len(subject.entities) != 1 or subject.entities[0] is entity:
        return
    entity.kin.append((RELATIONS[noun.lemma], subject.entities[0]))


def note(noun: Noun, entity: Entity) -> None:
    """Remember whose kin the entity is."""
    relation = relation_of(noun)
    owners = noun.owner.entities if noun.owner is not None else ()
    if not relation or len(owners) != 1 or owners[0] is entity or owners[0].plural or noun.quote >= 0:
        return
    if (relation, owners[0]) not in entity.kin:
        entity.kin.append((relation, owners[0]))


def kin(noun: Noun, owner: Entity | None, active: Sequence[Entity], binding: Binding) -> Entity | None:
    """Who is the owner's kin, of those mentioned lately: told so, or told the other way round, or by family name."""
    relation = relation_of(noun) if noun.kind == "description" else ""
    if not relation or owner is None or "other" in noun.words:
        return None
    busy = binding.busy(noun)
    people = [e for e in active if e not in busy and e is not owner and e.fits(noun.gender, False)]
    inner, outer = SHARED.get(relation, ("", ""))
    found = _of(owner, relation, active) or [e for m in _of(owner, inner, active) for e in _of(m, outer, active)]
    if relation == "parent" and not found:
        having = {_now(other) for e in active if e.plural for word, other in e.kin if word == "child"}
        found = [e for e in people if e in having]  # "she had two children", of whom this is one
        found = found if len(found) == 1 else []
    near = [e for e in found if e in people]
    if near:
        return max(near, key=active.index)
    return None if found or owner.plural else _by_name(noun, relation, owner, people)


def royal(noun: Noun, active: Sequence[Entity]) -> Entity | None:
    """ "The princess", where somebody was called a king's daughter."""
    gender = {"princess": "f", "prince": "m"}.get(noun.lemma, "")
    if not gender or noun.kind != "description" or noun.determiner not in ("the", "poss") or noun.plural:
        return None
    heirs = [e for e in active if any(word == "child" and _now(o).lemmas & RULERS for word, o in e.kin)]
    return next((e for e in reversed(heirs) if e.animacy == "person" and e.fits(gender, False)), None)


def unnamed(noun: Noun, entity: Entity, active: Sequence[Entity]) -> Entity | None:
    """Who was only "her mother", of Miss Hale, before Mrs Hale is named. entity: the one who is named."""
    titles = words("title.m") | DOCTORS if "m" in noun.gender else MARRIED
    if noun.kind != "name" or noun.title not in titles or noun.plural or any(len(name) > 1 for name in entity.names):
        return None
    known = [e for e in active if e is not entity and not e.names and e.fits(noun.gender, False)]
    known = [e for e in known if any(_family(word, _now(other), entity) for word, other in e.kin)]
    return known[0] if len(known) == 1 else None


def _family(relation: str, other: Entity, entity: Entity) -> bool:
    """Whether who is this to another bears the other's family name."""
    kept = relation == "spouse" or (relation == "parent" and other.title not in MARRIED)
    return kept and other is not entity and bool(other.family & entity.family)


def _of(owner: Entity, relation: str, active: Sequence[Entity]) -> list[Entity]:
    """Who is said to be this to the owner, or to whom he is the inverse."""
    if not relation:
        return []
    told = [e for e in active if e.kin and any(word == relation and _now(o) is owner for word, o in e.kin)]
    return told + [_now(other) for word, other in owner.kin if word == INVERSE[relation]]


def _now(entity: Entity) -> Entity:
    """Who he turned out to be."""
    while entity.into is not None:
        entity = entity.into
    return entity


def _by_name(noun: Noun, relation: str, owner: Entity, people: Sequence[Entity]) -> Entity | None:
    """ "His wife", of Mr Hale: Mrs Hale; "her father", of Miss Hale or Ann Hale: Mr Hale. Only where there is one."""
    if relation not in ("spouse", "parent") or (relation == "parent" and owner.title in MARRIED):
        return None
    titles = MARRIED if noun.gender == "f" else words("title.m") | DOCTORS
    known = [e for e in people if e.title in titles and e.family & owner.family]
    known = [e for e in known if relation == "spouse" or all(len(name) == 1 for name in e.names)]
    return known[0] if len(known) == 1 else None
