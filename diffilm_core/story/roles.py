"""What a noun does in its sentence: its role, its verb, its owner, of what it is an apposition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .lexicon import these, words
from .names import SUBJECTS
from .parse import Token

if TYPE_CHECKING:
    from .entities import Noun

OBJECTS = frozenset(("dobj", "dative", "oprd", "obj"))
NAMES = these("name surname")
INVERTED = these(
    "come go stand sit lie hang appear rise run step walk ride stride march live emerge follow rush crawl creep leap"
    " jump spring fly swim sail lean wait peep stalk hover float"
)


def place_in_sentence(tokens: Sequence[Token], noun: Noun, by_head: dict[int, Noun]) -> None:
    """Fill in role, verb, preposition, owner."""
    at = noun.head
    token = tokens[at]
    seen = 0
    while token.dep in ("conj", "appos", "compound", "nmod") and token.head != at and seen < 8:
        at, seen = token.head, seen + 1
        other = by_head.get(at)
        if other is not None and other is not noun:
            if token.dep == "conj":
                noun.joined = other.joined or other
                at = other.head  # "Tom the cook and Ann": Ann stands beside all of it
            elif token.dep == "appos" and noun.joined is None:
                noun.role, noun.same = "apposition", _named_last(noun, other, by_head)
                noun.verb = other.verb
                return
        token = tokens[at]
    head = tokens[token.head]
    noun.verb = token.head
    named = _of_the_name(tokens, token, by_head) if noun.kind == "name" else None
    if named is not None:
        noun.role, noun.same, noun.verb = "apposition", named, named.verb
        return
    called = by_head.get(head.head) if head.low in ("named", "called") and head.dep in ("acl", "relcl") else None
    if token.dep == "oprd" and called is None and head.low in ("named", "called"):
        called = next((by_head[c] for c in head.children if tokens[c].dep == "nsubjpass" and c in by_head), None)
    if token.dep in ("oprd", "dobj", "attr") and called is not None and noun.kind == "name":
        noun.role, noun.same, noun.verb = "apposition", called, called.verb  # "a boy named Tom"
        return
    counted = _counted(tokens, noun, by_head) if token.dep == "pobj" and head.low == "of" else None
    if counted is not None:
        noun.role, noun.same, noun.verb, counted.end = "apposition", counted, counted.verb, noun.end
        return
    if token.dep in SUBJECTS and token.dep != "agent":
        noun.role = "subject"
    elif token.dep in OBJECTS:
        noun.role = "object"
    elif token.dep == "pobj" or (token.dep == "pcomp" and head.dep in ("prep", "agent")):
        noun.role, noun.preposition = "oblique", head.low
        noun.verb = _verb_above(tokens, head.head)
        if head.dep == "agent":
            noun.role = "object"
    elif token.dep == "poss":
        noun.role = "possessor"
        owned = by_head.get(token.head)
        if owned is not None and owned is not noun:
            owned.owner = noun
            owned.determiner = owned.determiner or "poss"
            if noun.kind != "pronoun" and owned.kind == "description" and owned.first == noun.last + 2:
                owned.first, owned.start = noun.first, noun.start
            noun.verb = _verb_above(tokens, token.head)
    elif token.dep == "attr" and any(tokens[c].dep == "expl" for c in head.children):
        noun.role = "subject"  # "there was a fox"
    elif token.dep == "attr":
        noun.role = "predicate"
        subject = next((by_head[c] for c in head.children if tokens[c].dep == "nsubj" and c in by_head), None)
        if subject is not noun:
            noun.same = subject
        if subject is not None and subject.lemma in NAMES and subject.owner is not None and noun.kind == "name":
            noun.role, noun.same = "apposition", subject.owner  # "his name was Tom"
        elif noun.kind == "name" and head.dep == "relcl" and head.head in by_head and _whose_name(tokens, head):
            noun.role, noun.same = "apposition", by_head[head.head]  # "a boy whose name was Tom"
    elif token.dep == "npadvmod":
        noun.role = "adverb"
    elif token.dep == "ROOT":
        noun.role, noun.verb = "fragment", at
    if token.dep in ("dobj", "attr", "oprd") and head.lemma in INVERTED and _inverted(tokens, noun, head):
        noun.role, noun.same = "subject", None  # "down the slope came a warrior"
    spoken = token.dep == "dobj" and token.quote < 0 and noun.first == head.index + 1
    if spoken and head.lemma in words("verb.speech") and head.index > 0 and tokens[head.index - 1].quote >= 0:
        noun.role = "subject"  # "..." asked the cat
    if noun.role == "other" and head.lemma in words("verb.speech") and head.index == noun.first - 1:
        noun.role = "subject"


def _counted(tokens: Sequence[Token], noun: Noun, by_head: dict[int, Noun]) -> Noun | None:
    """Of "a couple of sisters", "a crowd of boys": the couple, who are the sisters."""
    group = by_head.get(tokens[tokens[noun.head].head].head)
    if group is None or not noun.plural or noun.determiner or noun.animacy != "group" or group.animacy != "group":
        return None
    return group if group.determiner in ("a", "number") and noun.first == group.head + 2 else None


def _whose_name(tokens: Sequence[Token], verb: Token) -> bool:
    """Whether a clause begins with "whose name"."""
    kids = [tokens[c] for c in verb.children if tokens[c].dep == "nsubj" and tokens[c].low in NAMES]
    return any(tokens[c].low == "whose" for kid in kids for c in kid.children)


def _of_the_name(tokens: Sequence[Token], token: Token, by_head: dict[int, Noun]) -> Noun | None:
    """ "A woman of the name of Hale": the woman."""
    word = tokens[tokens[token.head].head]
    of = tokens[word.head]
    if token.dep != "pobj" or word.low != "name" or of.low not in ("of", "by"):
        return None
    return by_head.get(of.head)


def _named_last(noun: Noun, other: Noun, by_head: dict[int, Noun]) -> Noun:
    """ "Tom and his cousin, Ann": Ann is the cousin, though the parser hangs her on Tom."""
    joined = [n for n in by_head.values() if n.joined is other and other.head < n.head < noun.first]
    return max(joined, key=lambda n: n.head, default=other)


def _inverted(tokens: Sequence[Token], noun: Noun, verb: Token) -> bool:
    """Whether the noun behind a verb is its subject: a phrase of place or an adverb leads, and nobody else does it."""
    if noun.kind == "pronoun" or noun.head < verb.index:
        return False
    above = tokens[verb.head] if verb.dep in ("xcomp", "advcl") and verb.head != verb.index else verb
    if above.lemma not in INVERTED or above.dep not in ("ROOT", "conj", "ccomp"):
        return False
    kids = [tokens[c] for v in (above, verb) for c in v.children if c < verb.index]
    return any(k.dep in ("prep", "advmod") for k in kids) and not any(k.dep in SUBJECTS for k in kids)


def _verb_above(tokens: Sequence[Token], at: int) -> int:
    """The nearest verb at or above a token, -1 where there is none."""
    for _ in range(20):
        if tokens[at].pos in ("VERB", "AUX"):
            return at
        if tokens[at].head == at:
            break
        at = tokens[at].head
    return -1
