"""What names and descriptions tell before anybody is resolved: the pronouns that follow them, where they stand."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence

from .cast import Entity, key_of
from .entities import Noun
from .names import long_form


def gender_votes(paragraphs: Sequence[Sequence[Noun]]) -> dict[str, Counter[str]]:
    """What pronouns follow a name where it alone can be meant: {name: {"m": 3, "f": 0}}."""
    votes: dict[str, Counter[str]] = {}
    for nouns in paragraphs:
        last: Noun | None = None
        alone = True
        sentence = -1
        for noun in nouns:
            if noun.quote >= 0:
                continue
            if noun.sentence != sentence:
                if noun.sentence > sentence + 1:
                    last = None
                sentence = noun.sentence
            if noun.kind != "pronoun" and noun.animacy in ("person", "animal") and not noun.plural:
                alone = last is None or key_of(last) == key_of(noun)
                last = noun
            elif noun.kind == "pronoun" and last is not None and alone and noun.gender in ("m", "f", "n"):
                if noun.verb == last.verb >= 0 and noun.role != "possessor" and not noun.lemma.endswith("self"):
                    continue  # "to Tom she was": another argument of the verb
                if noun.gender == "n" and (noun.role == "subject" or last.animacy == "person"):
                    continue
                votes.setdefault(key_of(last), Counter())[noun.gender] += 1
    return votes


def full_names(paragraphs: Sequence[Sequence[Noun]]) -> dict[str, str]:
    """Of names told in full: the last name of a first name and the first of a last, where there is only one."""
    firsts: dict[str, set[str]] = {}
    lasts: dict[str, set[str]] = {}
    for nouns in paragraphs:
        for noun in nouns:
            if noun.kind == "name" and len(noun.name) == 2 and noun.animacy == "person" and not noun.plural:
                first, last = map(long_form, noun.name)
                lasts.setdefault(first, set()).add(last)
                firsts.setdefault(last, set()).add(first)
    out: dict[str, str] = {}
    for first, known in lasts.items():
        last = min(known)
        if len(known) == len(firsts[last]) == 1 and first not in firsts and last not in lasts:
            out[first], out[last] = last, first
    return out


class Named:
    """In which sentences each name and each description stands."""

    def __init__(self, paragraphs: Sequence[Sequence[Noun]]) -> None:
        self.names: defaultdict[str, list[int]] = defaultdict(list)
        self.described: defaultdict[str, list[int]] = defaultdict(list)
        for nouns in paragraphs:
            for noun in nouns:
                if noun.animacy not in ("person", "animal", "group", ""):
                    continue
                if noun.kind == "name":
                    for word in noun.name:
                        self.names[long_form(word)].append(noun.sentence)
                elif noun.kind == "description" and noun.determiner != "a":
                    self.described[noun.lemma].append(noun.sentence)
        for sentences in (*self.names.values(), *self.described.values()):
            sentences.sort()

    def of(self, entity: Entity) -> Sequence[int]:
        """The sentences that name it by its most frequent word, or describe it."""
        if entity.names:
            words = sorted({word for name in entity.names for word in name})
            return max((self.names.get(word, ()) for word in words), key=len)
        return self.described.get(entity.lemma, ())

    def count(self, entity: Entity, first: int, last: int) -> int:
        """How often it is named in these sentences, both included."""
        sentences = self.of(entity)
        return bisect_right(sentences, last) - bisect_left(sentences, first)

    def until(self, entity: Entity, sentence: int) -> float:
        """How many sentences pass until it is named again, infinity where it never is."""
        sentences = self.of(entity)
        at = bisect_right(sentences, sentence)
        return sentences[at] - sentence if at < len(sentences) else float("inf")
