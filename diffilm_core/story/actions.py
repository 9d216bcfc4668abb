"""Who does what in a sentence: its verbs with their subjects, objects, and predicates in plain words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .cast import Entity
from .clauses import is_negated, is_unreal
from .entities import Noun
from .lexicon import these, words
from .parse import Token, subtree

VERBS = frozenset(("VERB", "AUX"))
LEFT_OUT = these("mark cc punct neg intj discourse")
LONGEST = 24  # words of a predicate


@dataclass(frozen=True)
class Act:
    """What somebody does. start, end: characters; words: the predicate."""

    start: int
    end: int
    subject: tuple[Entity, ...]
    verb: str
    words: str
    object: tuple[Entity, ...]
    filmed: bool


def acts(tokens: Sequence[Token], nouns: Sequence[Noun], sentence: int, called: Callable[[Entity], str]) -> list[Act]:
    """The acts told in one sentence, outside speech, in order. called: what to write for somebody."""
    own = [token for token in tokens if token.sentence == sentence and token.quote < 0]
    heads = [token for token in own if _is_head(tokens, token)]
    out = []
    for verb in heads:
        spoken = {n.head: n for n in nouns if n.sentence == sentence}
        subject = _subject(tokens, nouns, verb)
        inside = _inside(tokens, verb, heads)
        lead = subject.first if subject is not None and subject.verb == verb.index else verb.index
        predicate = [i for i in inside if not (subject and subject.first <= i <= subject.last)]
        who = tuple(subject.entities) if subject is not None else ()
        objects = tuple(
            entity for n in nouns if n.head in inside and n is not subject and n.role in ("object", "oblique")
            for entity in n.entities
        )  # fmt: skip
        said = _words(tokens, verb, predicate, spoken, who, called)
        if not said:
            continue
        covered = [*inside, lead]
        filmed = not is_negated(tokens, verb.index) and not is_unreal(tokens, verb.index)
        filmed = filmed and verb.lemma not in words("verb.hypothetical") and (subject is None or subject.visible)
        out.append(Act(tokens[min(covered)].start, tokens[max(covered)].end, who, verb.lemma, said, objects, filmed))
    return out


def _is_head(tokens: Sequence[Token], token: Token) -> bool:
    """Whether a verb starts a clause of its own."""
    if token.pos not in VERBS or token.dep in ("aux", "auxpass", "amod", "compound"):
        return False
    finite = any(tokens[c].dep in ("nsubj", "nsubjpass", "expl") for c in token.children)
    if token.dep == "ROOT" or finite:
        return token.dep != "relcl"
    above = tokens[token.head]  # itself, where what it was joined to is in no sentence of the story
    return token.dep == "conj" and above is not token and above.pos in VERBS and _is_head(tokens, above)


def _inside(tokens: Sequence[Token], verb: Token, heads: Sequence[Token]) -> list[int]:
    """The verb and its dependants, without other clauses and speech."""
    others = {head.index for head in heads if head.index != verb.index}
    gone: set[int] = set()
    for child in subtree(tokens, verb.index):
        if child in others and child not in gone:
            gone.update(subtree(tokens, child))
    kept = [i for i in subtree(tokens, verb.index) if i not in gone and tokens[i].quote < 0]
    return [i for i in kept if tokens[i].sentence == verb.sentence] or [verb.index]


def _subject(tokens: Sequence[Token], nouns: Sequence[Noun], verb: Token) -> Noun | None:
    at = verb.index
    for _ in range(8):
        for noun in nouns:
            if noun.role == "subject" and noun.verb == at and noun.joined is None:
                return noun
        if tokens[at].dep != "conj" or tokens[at].head == at:
            return None
        at = tokens[at].head
    return None


def _words(
    tokens: Sequence[Token],
    verb: Token,
    inside: Sequence[int],
    nouns: dict[int, Noun],
    subject: tuple[Entity, ...],
    called: Callable[[Entity], str],
) -> str:
    """The predicate from its first auxiliary on, names in the place of pronouns."""
    start = min([verb.index, *(c for c in verb.children if tokens[c].dep in ("aux", "auxpass") and c < verb.index)])
    chosen = [i for i in inside if i >= start and not (tokens[i].head == verb.index and tokens[i].dep in LEFT_OUT)]
    moved = [
        i for i in inside if i < start and tokens[i].dep in ("prep", "advmod", "prt") and tokens[i].head == verb.index
    ]
    lead = [j for i in moved if tokens[i].dep == "prep" for j in subtree(tokens, i) if j in inside and j < start]
    out = ""
    for i in [*chosen, *lead][: LONGEST + 12]:
        token = tokens[i]
        text = token.text
        noun = nouns.get(i)
        if noun is not None and noun.kind == "pronoun" and noun.entities and noun.entities != list(subject):
            text = " and ".join(dict.fromkeys(called(e) for e in noun.entities))
            if token.tag == "PRP$" or token.low in ("his", "its", "their"):
                text += "'s" if not text.endswith("s") else "'"
        glued = token.text in (",", ".", "!", "?", ";", ":", "'s", "n't", ")") or token.dep == "case"
        hyphen = token.text == "-" or out.endswith("-")
        out += text if not out or glued or hyphen else f" {text}"
    cut = out.split()
    return " ".join(cut[:LONGEST]).strip(" ,;:.!?-—–\"'()*_")
