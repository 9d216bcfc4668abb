"""What each member of the cast looks like, and from where in the story on."""

from __future__ import annotations

from collections.abc import Sequence

from .cast import Entity
from .clauses import is_negated, is_unreal
from .entities import Noun
from .lexicon import these, words
from .parse import Token, subtree

BODY = words("body")
BECOME = these("be become grow turn get look stand lie remain feel")
PASSING = these("ready able sure sorry glad afraid late right wrong true good same alone gone certain other")
WORDS = 16  # of one description
STATES = these(
    "wet soaking dripping muddy dirty dusty bloody wounded injured bandaged naked dressed torn ragged dead"
    " asleep sick hungry tired clean"
    " frozen burnt pale shining golden covered clothed"
)


class Descriptions:
    """Collects them as the story is read."""

    def __init__(self) -> None:
        self.looks: dict[Entity, list[str]] = {}
        self.states: dict[Entity, str] = {}
        self.found: dict[Entity, list[tuple[int, str]]] = {}

    def read(self, tokens: Sequence[Token], nouns: Sequence[Noun]) -> None:
        """Take up what the sentence's nouns say of how somebody looks."""
        for noun in nouns:
            if noun.quote >= 0 or not noun.entities:
                continue
            entity = noun.entities[0]
            if len(noun.entities) > 1 or (not entity.alive and not entity.acts):
                continue
            if noun.kind != "pronoun":
                self._phrase(tokens, noun, entity)
            if noun.role == "subject" and noun.verb >= 0:
                self._predicate(tokens, noun, entity)

    def _phrase(self, tokens: Sequence[Token], noun: Noun, entity: Entity) -> None:
        """ "a small grey mouse with one torn ear"."""
        look = [w for w in noun.words if w in words("adjective.look") or ("-" in w and w != noun.lemma)]
        after = _with(tokens, noun.head)
        if not look and not after and entity in self.looks:
            return
        head = tokens[noun.head].text.lower() if noun.kind == "description" else ""
        known = self.looks.setdefault(entity, [])
        fresh = [w for w in look if w not in " ".join(known)]
        if not known and (look or after):
            kind = head or (noun.lemma if noun.lemma in words("animal", "person") else "")
            if not kind:
                return
            known.append(" ".join([*look, kind, *([after] if after else [])]))
        elif known and (fresh or after) and after not in " ".join(known):
            if fresh and noun.kind == "description" and noun.determiner != "a":
                fresh = []
            if not (fresh or after):
                return
            known += [*fresh, *([after] if after else [])]
        else:
            return
        self._note(entity, noun.start)

    def _predicate(self, tokens: Sequence[Token], noun: Noun, entity: Entity) -> None:
        """ "it was now soaking wet", "she had red hair"."""
        verb = tokens[noun.verb]
        if is_negated(tokens, verb.index) or is_unreal(tokens, verb.index):
            return
        helped = any(tokens[c].lemma == "be" and tokens[c].dep in ("aux", "auxpass") for c in verb.children)
        if helped and verb.low in STATES:
            rest = [tokens[c].low for c in verb.children if c > verb.index and tokens[c].low in STATES]
            self.states[entity] = " ".join([verb.low, *rest])
            self._note(entity, noun.start)
            return
        joined = [tokens[c] for c in verb.children if tokens[c].dep == "conj" and tokens[c].pos in ("VERB", "AUX")]
        if any(tokens[g].dep == "nsubj" for other in joined for g in other.children):
            joined = []
        for owner, child in ((v, tokens[c]) for v in (verb, *joined) for c in v.children if c > noun.head):
            if child.dep == "acomp" and owner.lemma in BECOME:
                said = [
                    tokens[i]
                    for i in subtree(tokens, child.index)
                    if tokens[i].pos in ("ADJ", "ADV", "VERB", "NOUN", "ADP", "DET", "CCONJ")
                ]
                low = {t.low for t in said}
                if not low & words("adjective.look") or low & PASSING or len(said) > 8:
                    continue
                text = " ".join(t.low for t in said if t.low not in ("so", "very", "too", "quite", "now", "as", "then"))
                if low & STATES:
                    self.states[entity] = text
                else:
                    self.looks.setdefault(entity, []).append(text)
                self._note(entity, noun.start)
            elif child.dep == "dobj" and (owner.lemma == "wear" or (owner.lemma == "have" and child.lemma in BODY)):
                own = [tokens[i].low for i in subtree(tokens, child.index) if tokens[i].pos not in ("PUNCT", "VERB")]
                if 1 < len(own) <= 7 and not set(own) & set(these("his her its their him")):
                    self.looks.setdefault(entity, []).append(
                        ("with " if owner.lemma == "have" else "wearing ") + " ".join(own)
                    )
                    self._note(entity, noun.start)

    def _note(self, entity: Entity, offset: int) -> None:
        parts = list(dict.fromkeys(self.looks.get(entity, ())))
        if entity in self.states:
            parts.append(f"now {self.states[entity]}" if parts else self.states[entity])
        text = ", ".join(parts)
        cut = " ".join(text.split()[:WORDS]).rstrip(",")
        known = self.found.setdefault(entity, [])
        if known and known[-1][1] == cut:
            return
        known.append((offset, cut))


def _with(tokens: Sequence[Token], head: int) -> str:
    """ "with one torn ear", "in a red coat": a phrase of body or clothes behind a noun."""
    for child in (tokens[c] for c in tokens[head].children if c > head):
        if child.dep == "prep" and child.low in ("with", "in"):
            thing = next((tokens[g] for g in child.children if tokens[g].dep == "pobj"), None)
            worn = thing is not None and (thing.lemma in words("body") or thing.lemma in words("clothes"))
            inside = subtree(tokens, child.index)
            if worn and len(inside) <= 8 and inside == list(range(inside[0], inside[-1] + 1)):
                said = [tokens[i] for i in inside]
                if not any(
                    t.low in ("his", "her", "its", "their") or (t.pos == "VERB" and t.dep == "relcl") for t in said
                ):
                    return " ".join(t.low for t in said if t.pos != "PUNCT" or t.text == "-").replace(" - ", "-")
    return ""
