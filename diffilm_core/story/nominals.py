"""Which words belong to a noun phrase, and what stands behind its noun."""

from __future__ import annotations

from collections.abc import Sequence

from .lexicon import genders, words
from .parse import Token

ADJECTIVES = frozenset(("JJ", "JJR", "JJS", "VBG", "VBN"))


def counts_things(tokens: Sequence[Token], at: int, low: str) -> bool:
    """ "a pair of shoes", "both pairs", "a host of reasons": no group of anybody."""
    if low in ("pair", "couple") and tokens[at].tag == "NNS":
        return True
    of = next((tokens[c] for c in tokens[at].children if c == at + 1 and tokens[c].low == "of"), None)
    inner = next((tokens[c] for c in of.children if tokens[c].dep == "pobj"), None) if of is not None else None
    return (
        inner is not None and inner.tag == "NNS" and inner.index == at + 2 + len(inner.children)
        and not any(tokens[c].tag in ("DT", "PRP$") for c in inner.children) and not genders("person", inner.lemma)
        and inner.lemma not in words("animal") and not {inner.lemma, inner.low} & words("group")
    )  # fmt: skip


def after(tokens: Sequence[Token], at: int) -> str:
    """What follows a noun to tell it from others: "the sisters from the MILL"."""
    for child in (tokens[c] for c in tokens[at].children if c > at):
        if child.dep == "prep" and child.low in ("from", "in", "with", "at", "of", "on"):
            return next((tokens[g].lemma for g in child.children if tokens[g].dep == "pobj"), "")
    return ""


def belongs(tokens: Sequence[Token], i: int, head: int, proper: list[bool]) -> bool:
    """Whether token i is a word of the noun phrase that ends with `head`."""
    token = tokens[i]
    if token.sentence != tokens[head].sentence or token.quote != tokens[head].quote:
        return False
    if token.tag in ("PRP$",) or (token.tag in ("DT", "PDT", "WP$") and token.head >= i):
        return tokens[i + 1].tag not in ("IN",)
    if tokens[i + 1].tag in ("DT", "PRP$") and token.tag != "PDT":
        return False
    if token.tag in ("JJ", "JJR", "JJS", "CD", "HYPH", "VBN", "VBG", "NN", "AFX", "NNP"):
        climbed = i
        for _ in range(4):
            climbed = tokens[climbed].head
            if climbed == head:
                return True
        return False
    if token.tag in ("RB", "RBS", "RBR") and token.dep == "advmod":
        return i < token.head <= head and tokens[token.head].tag in ("JJ", "VBN")
    return (
        token.text in (",", "and")
        and i + 1 < head
        and tokens[i + 1].tag in ADJECTIVES | {"RB", "RBS"}
        and tokens[i - 1].tag in ADJECTIVES
        and tokens[i - 1].head == head
    )
