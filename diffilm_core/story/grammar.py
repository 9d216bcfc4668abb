"""Subjects of a paragraph's verbs, also of those that have none beside them."""

from __future__ import annotations

from collections.abc import Sequence

from .entities import Noun
from .parse import Token

SUBJECT_DEPS = frozenset(("nsubj", "nsubjpass", "csubj", "expl"))
CONTROLLED = frozenset(("xcomp", "advcl", "ccomp", "pcomp", "prep", "conj", "acl", "dep"))


class Grammar:
    """Looks up what stands above what in a paragraph that has been parsed."""

    def __init__(self, tokens: Sequence[Token], nouns: Sequence[Noun]) -> None:
        self.tokens = tokens
        self.by_head = {noun.head: noun for noun in nouns}
        self.subjects: dict[int, Noun] = {}
        for noun in nouns:
            if noun.role == "subject" and noun.verb >= 0 and noun.joined is None:
                self.subjects.setdefault(noun.verb, noun)

    def subject(self, verb: int) -> Noun | None:
        """Who does what the verb says: its own subject, that of the verb it is joined or subordinate to, or the object
        that it is said of ("kept him from falling", "a man singing")."""
        at = verb
        for _ in range(8):
            if at < 0:
                return None
            if at in self.subjects:
                return self.subjects[at]
            token = self.tokens[at]
            if any(self.tokens[c].dep in ("nsubj", "nsubjpass") for c in token.children):
                head = self.by_head.get(token.head) if token.dep == "relcl" else None
                return head  # "who", "which"
            if token.dep not in CONTROLLED or token.head == at:
                return None
            if token.dep == "acl":
                return self.by_head.get(token.head)
            above = self.tokens[token.head]
            if token.dep in ("xcomp", "ccomp", "prep") and above.pos in ("VERB", "AUX"):
                held = self._object(above)
                if held is not None and held.head < at and (token.dep != "prep" or token.low in ("from", "into")):
                    return held
            at = token.head
        return None

    def above(self, verb: int) -> Noun | None:
        """The subject of the clause that a verb's clause is joined or subordinate to."""
        at = verb
        for _ in range(6):
            token = self.tokens[at]
            if token.head == at:
                return None
            at = token.head
            if self.tokens[at].pos in ("VERB", "AUX"):
                return self.subject(at)
        return None

    def _object(self, verb: Token) -> Noun | None:
        return next(
            (self.by_head[c] for c in verb.children if self.tokens[c].dep == "dobj" and c in self.by_head), None
        )


def own_tokens(tokens: Sequence[Token], noun: Noun) -> Sequence[Token]:
    """The tokens of the noun's sentence."""
    low, high = noun.first, noun.last + 1
    while low > 0 and tokens[low - 1].sentence == noun.sentence:
        low -= 1
    while high < len(tokens) and tokens[high].sentence == noun.sentence:
        high += 1
    return tokens[low:high]
