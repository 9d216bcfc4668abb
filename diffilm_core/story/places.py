"""Where a story is: the place that a sentence moves its scene to.

A place is known by its word, or by its place in the sentence: what somebody runs into or sits under.
"""

from __future__ import annotations

from collections.abc import Sequence

from .clauses import is_negated
from .entities import Noun
from .lexicon import these, words
from .parse import Token
from .times import is_told

AT = these(
    "in into inside within on onto upon at by near beside under beneath behind through across along among"
    " over up down above below outside around round between before aboard amid amidst amongst past"
)
ARRIVE = these("enter reach approach visit cross climb ascend descend pass leave quit")
BOUND_FOR = these("start head make leave sail depart set steer run bolt rush")
PERCHES = these(
    "tree branch bough log stump rock stone bush haystack trunk twig window door roof table chair stool seat"
)
PARTS = these(
    "edge side bottom top middle foot end entrance corner mouth bank heart midst depth centre center brink"
    " shore front back step threshold wave shade outskirt border"
)
SURFACE = these(
    "ground floor world wall space heaven heavens hold ship-board flat stage fall spring common earth land sky"
)
LOOSE = these("grass snow sand wood country air ice mud")  # a place where one is in it, with an article
POSTURE = these(
    "sit stand lie kneel crouch live dwell sleep hide wait rest perch nestle squat hang stay remain halt pause stop"
)
INTO = these("into through across along up down under beneath behind beside over onto among amongst above past")
NO_PLACE = words("body", "generic", "clothes", "time.unit", "time.day", "season", "weather") | these(
    "rate way pace speed hurry haste rage fury silence tone whisper peace surprise astonishment trouble danger pain"
    " fear joy love sleep dream dance thought mind memory life death battle war fight sight view distance lung"
    " opportunity moment air manner line row procession fashion direction turn pair book paper letter tear laughter"
    " word plan business"
)


def place_of(tokens: Sequence[Token], nouns: Sequence[Noun], now: str, lapse: bool) -> str | None:
    """The place of the scene after a sentence; "" where it is left for nowhere, None where nothing is said of it."""
    best: tuple[int, str] | None = None
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
        strength = _strength(tokens, noun)
        if strength < 0 and now and set(noun.words) & set(now.split()):
            best = (9, "")
        if strength <= 0 or (strength == 1 and now):
            continue
        if best is None or strength >= best[0]:
            best = (strength, _phrase(noun, inner))
    if (
        best is None
        and lapse
        and now
        and any(
            n.role == "subject"
            and n.verb >= 0
            and tokens[n.verb].lemma in ("go", "walk", "ride", "travel", "journey", "sail")
            for n in nouns
        )
    ):
        return ""  # "next day he went on"
    return best[1] if best else None


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


def _strength(tokens: Sequence[Token], noun: Noun) -> int:
    """How surely the scene is at this place: 0 not, -1 no longer."""
    if noun.role == "oblique":
        return _oblique(tokens, noun)
    verb = tokens[noun.verb] if 0 <= noun.verb < len(tokens) else None
    if verb is None:
        return 0
    if noun.role == "object" and verb.lemma in ARRIVE:
        return -1 if verb.lemma in ("leave", "quit") else 4
    before = tokens[noun.first - 1].low if noun.first else ""
    if (
        noun.role == "object"
        and verb.lemma in words("verb.motion")
        and before in INTO
        and not is_negated(tokens, noun.verb)
    ):
        return 4  # "rode up the mountain"
    if noun.role == "object" and verb.lemma in ("see", "find", "perceive") and noun.determiner == "a":
        return 2
    shown = ("be", "stand", "lie", "look", "grow", "stretch")
    return 2 if noun.role == "subject" and verb.lemma in shown and noun.lemma not in PERCHES else 0


def _oblique(tokens: Sequence[Token], noun: Noun) -> int:
    verb = tokens[noun.verb] if 0 <= noun.verb < len(tokens) else None
    moving = verb is not None and verb.lemma in words("verb.motion")
    preposition = noun.preposition
    token = tokens[noun.head]
    owner = tokens[tokens[token.head].head]
    chain = {tokens[token.head].low, owner.low, tokens[owner.head].low}
    if preposition in ("from", "of") or "from" in chain:
        if preposition == "of" and "out" in chain:
            return 1
        away = "away" in {t.low for t in tokens[max(0, token.head - 2) : token.head]}
        return -1 if "from" in chain and (moving or away) else 0
    if any(tokens[c].low in ("you", "one") and tokens[c].dep == "nsubj" for c in (verb.children if verb else ())):
        return 0
    if owner.pos in ("NOUN", "PROPN", "PRON"):
        if owner.lemma in words("time.unit") and owner.dep in ("attr", "npadvmod", "dobj"):
            return 3 if preposition in AT else 0  # "they were two days on the road"
        inside = ("nsubj", "dobj", "ROOT", "nsubjpass", "attr", "pobj", "conj", "appos")
        main = (
            verb is not None and verb.dep in ("ROOT", "conj") and not any(tokens[c].low == "had" for c in verb.children)
        )
        if (
            main
            and owner.dep in ("dobj", "pobj")
            and preposition in ("in", "on", "at")
            and noun.determiner in ("the", "a")
        ):
            return 2 if noun.animacy == "place" or noun.lemma in PARTS else 1  # "finds a flower in the street"
        return 1 if owner.dep in inside and preposition in AT else 0
    looking = verb is not None and verb.lemma in words("verb.look") | {"point", "look"}
    if looking and preposition in ("at", "on", "upon", "over", "to", "across", "through", "into", "up", "down"):
        return 0
    if verb is not None and is_negated(tokens, verb.index):
        return 0
    if preposition == "to":
        return 4 if moving and owner.pos in ("VERB", "AUX", "ADV", "ADP") else 0
    if preposition == "for":
        return 4 if verb is not None and verb.lemma in BOUND_FOR and noun.animacy == "place" else 0
    if preposition not in AT or (preposition == "at" and noun.determiner == "" and noun.lemma == "bay"):
        return 0
    weak = (noun.lemma in SURFACE and not noun.plural and noun.kind != "name") or noun.lemma in PERCHES
    if noun.lemma in LOOSE and (noun.determiner == "" or preposition in ("on", "upon")):
        weak = True
    known = noun.animacy == "place" or noun.lemma in PARTS
    if weak or (not known and not moving):
        return 1
    return 4 if moving or preposition in ("into", "through") else 3
