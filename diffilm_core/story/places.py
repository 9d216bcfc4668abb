"""Where a story is: the place that a sentence moves its scene to.

A place is known by its word, or by its place in the sentence: what somebody runs into or sits under. How surely the
scene is there is told by its evidence (evidence.py): it is moved by enough of it, and what little was taken for want
of better gives way to anything as good.
"""

from __future__ import annotations

from collections.abc import Sequence

from .entities import Noun
from .evidence import INTO, PARTS, PERCHES, POSTURE, evidence, narrates_now
from .lexicon import these, words
from .parse import Token
from .times import is_told

NO_PLACE = words("body", "generic", "clothes", "time.unit", "time.day", "season", "weather") | these(
    "rate way pace speed hurry haste rage fury silence tone whisper peace surprise astonishment trouble danger pain"
    " fear joy love sleep dream dance thought mind memory life death battle war fight sight view distance lung"
    " opportunity moment air manner line row procession fashion direction turn pair book paper letter tear laughter"
    " word plan business"
)
MOVED = 2
"""Evidence that moves a scene which was surely somewhere else."""


def place_of(
    tokens: Sequence[Token], nouns: Sequence[Noun], now: str, lapse: bool, held: int = MOVED, past: bool = False
) -> tuple[int, str] | None:
    """The place of the scene after a sentence and the evidence of it; "" where it is left for nowhere, None where
    nothing is said of it. held: the evidence of `now`. past: the story is told in the past tense."""
    best: tuple[int, str] | None = None
    by = -1
    for noun in nouns:
        inner = _inner(tokens, noun, nouns)
        if not _is_place(tokens, noun, inner) or not is_told(tokens, noun):
            continue
        if noun.entities and noun.entities[0].acts > 2:
            continue
        if (
            noun.plural
            and noun.determiner not in ("the", "poss")
            and noun.kind != "name"
            and noun.preposition not in INTO
        ):
            continue
        if past and narrates_now(tokens, noun):
            continue  # what is so at all times
        strength = evidence(tokens, noun)
        if strength < 0 and now and set(noun.words) & set(now.split()):
            best, by = (9, ""), noun.verb
        if strength <= 0 or (now and strength < min(held, MOVED)):
            continue
        if best is None or strength >= (best[0] if noun.verb == by else min(best[0], 3)):
            best, by = (strength, _phrase(noun, inner)), noun.verb
    if best is None and lapse and now and any(_travels(tokens, noun) for noun in nouns):
        return 0, ""  # "next day he went on"
    if best is None:
        return None
    spot = set(best[1].split()) & PERCHES and not set(best[1].split()) & words("indoor", "outdoor") - PERCHES
    return (1 if spot else best[0]), best[1]


def _travels(tokens: Sequence[Token], noun: Noun) -> bool:
    verb = tokens[noun.verb].lemma if noun.verb >= 0 else ""
    return noun.role == "subject" and verb in ("go", "walk", "ride", "travel", "journey", "sail")


def _inner(tokens: Sequence[Token], noun: Noun, nouns: Sequence[Noun]) -> Noun | None:
    """Of "the edge of the forest": the forest."""
    if noun.lemma not in PARTS:
        return None
    return next((n for n in nouns if n.preposition == "of" and tokens[tokens[n.head].head].head == noun.head), None)


def _is_place(tokens: Sequence[Token], noun: Noun, inner: Noun | None) -> bool:
    if noun.kind == "pronoun":
        return False
    if noun.animacy == "place" or noun.lemma in PERCHES:
        return True
    if noun.lemma in PARTS and inner is not None:
        return inner.animacy == "place" or (
            inner.animacy == "thing" and inner.lemma not in NO_PLACE and inner.determiner != "poss"
        )
    return noun.animacy == "thing" and _by_syntax(tokens, noun)


def _by_syntax(tokens: Sequence[Token], noun: Noun) -> bool:
    """Whether a noun that no list knows is where somebody goes or stays: "into the gully", "lay under the awning"."""
    if noun.role != "oblique" or noun.verb < 0 or noun.lemma in NO_PLACE or noun.kind == "name":
        return False
    if noun.determiner not in ("the", "a", "poss") or noun.lemma.endswith(
        ("ness", "tion", "ment", "ity", "ing", "ance", "ence")
    ):
        return False
    head = tokens[tokens[noun.head].head]
    if tokens[head.head].index != noun.verb and tokens[head.head].dep != "prep":
        return False  # it belongs to another noun
    verb = tokens[noun.verb]
    moves = verb.lemma in words("verb.motion") and noun.preposition in INTO
    stays = verb.lemma in POSTURE and noun.preposition in INTO | {"in", "at", "on", "by", "near", "inside", "outside"}
    lively = any(tokens[c].dep == "nsubj" for c in verb.children) or verb.dep in ("conj", "advcl", "xcomp")
    return (moves or stays) and lively and noun.determiner != "poss"


def _phrase(noun: Noun, inner: Noun | None) -> str:
    if noun.kind == "name":
        return " ".join(noun.name)
    kept = [w for w in noun.words if w not in ("very", "own", "same", "other", "certain", "such", "so")]
    text = " ".join(kept[-3:])
    return f"{text} of the {' '.join(inner.words[-3:])}" if inner is not None else text
