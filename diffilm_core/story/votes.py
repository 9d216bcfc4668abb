"""What pronouns a story follows its names with, before anybody is resolved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .cast import key_of
from .entities import Noun


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
                if noun.gender == "n" and (noun.role == "subject" or last.animacy == "person"):
                    continue
                votes.setdefault(key_of(last), Counter())[noun.gender] += 1
    return votes
