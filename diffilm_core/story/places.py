"""Where a story is: the place that a sentence moves its scene to.

A place is known by its word, or by its place in the sentence: what somebody runs into or sits under. How surely the
scene is there is told by its evidence (evidence.py): it is moved by enough of it, and what little was taken for want
of better gives way to anything as good.
"""

from __future__ import annotations

from collections.abc import Sequence

from .clauses import is_likened, is_negated
from .entities import Noun
from .evidence import ARRIVE, MOVES, PARTS, PERCHES, POSTURE, evidence, is_event, is_home, is_spot, narrates_now
from .grammar import own_tokens
from .lexicon import these, words
from .parse import Token
from .times import is_told, told_of

ADVERBS = {
    word: word for word in ["home", "upstairs", "downstairs", "indoors", "outdoors", "outside", "inside", "aboard"]
} | {"ashore": "shore"}
FURNITURE = these("door bed hearth fireplace stove cradle sofa couch sideboard")
BESIDE = ("at", "by", "beside", "before", "near", "around", "round")  # the fire
WITHIN, WITHOUT = ("inside", "indoors"), ("outside", "outdoors")
GOES = MOVES | ARRIVE
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
        if now and _is_elsewhere(tokens, noun):
            best, by = (9, ""), noun.verb
            continue
        if not _is_place(tokens, noun, inner) or not (is_told(tokens, noun) or _goes_to(tokens, noun)):
            continue
        if noun.entities and noun.entities[0].acts > 2 and not is_home(tokens, noun):
            continue
        if noun.plural and noun.lemma != "stair" and noun.determiner not in ("the", "poss") and noun.kind != "name":
            continue
        if past and narrates_now(tokens, noun):
            continue  # what is so at all times
        if noun.lemma == "threshold" and inner is None and _is_within(best[1] if best else now):
            continue  # "crossed the threshold" into the room
        strength = evidence(tokens, noun)
        if strength < 0 and now and set(noun.words) & set(now.split()):
            best, by = (9, ""), noun.verb
        if noun.lemma == "home" and noun.preposition == "at" and _is_within(best[1] if best else now):
            continue  # at home in the house
        if strength == 1 and (noun.lemma == "home" or (noun.lemma in PERCHES and _is_within(now))):
            continue  # "her ways at home", a chair in the room
        if strength <= 0 or (now and strength < min(held, MOVED) and not _is_indoors_now(noun, now)):
            continue
        if best is None or strength >= (best[0] if noun.verb == by else min(best[0], 3)):
            best, by = (strength, _phrase(noun, inner)), noun.verb
    own = own_tokens(tokens, nouns[0])
    by_adverb = _by_adverb(tokens, own, now)
    if by_adverb is not None:
        after = by > by_adverb[2] and best is not None and best[0] > 2  # "went upstairs and stood in the hall"
        if best is None or best[1] == "" or (best[0] < by_adverb[0] and not after):
            best = by_adverb[:2]
    entered = _entered(tokens, own, nouns)
    if entered is not None and (best is None or by <= entered.head):
        best = 4, _phrase(entered, None)
    if best is None and now and any(_departs(tokens, noun, lapse) for noun in nouns):
        return 0, ""
    if best is None:
        return None
    spot = set(best[1].split()) & PERCHES and not set(best[1].split()) & words("indoor", "outdoor") - PERCHES
    passing = spot or (best[1] in ADVERBS and best[1] != "home")  # more will be said soon
    return (1 if passing else best[0]), best[1]


def _by_adverb(tokens: Sequence[Token], own: Sequence[Token], now: str) -> tuple[int, str, int] | None:
    """Where a word beside a verb says that somebody goes or is: "went back home", "ran upstairs"; and the verb."""
    found = None
    for token in own:
        if token.quote >= 0 or token.low not in ADVERBS or token.tag not in ("RB", "NN"):
            continue
        if token.tag == "NN" and token.low != "home":
            continue  # "the inside of the hut"
        verb = tokens[token.head]
        if verb.pos == "ADV":  # "back home"
            verb = tokens[verb.head]
        if is_likened(tokens, token.index):
            continue  # "like a pigeon flying home"
        joints = {tokens[c].low for c in verb.children if tokens[c].dep in ("aux", "auxpass", "mark", "advmod")}
        goes, stays = verb.lemma in GOES, verb.lemma in POSTURE | {"be"}
        if not (goes or stays) or not told_of(tokens, verb.index) or is_negated(tokens, verb.index):
            continue
        if verb.dep in ("acl", "relcl", "xcomp") or (goes and joints & {"as", "while", "was", "were", "had"}):
            continue  # not there yet, or before now
        here = WITHIN if _is_within(now) else WITHOUT if now else ()
        if token.low in here or (here == WITHIN and token.low == "home" and verb.lemma == "come"):
            continue  # where they are already
        found = (4 if goes else 3), ADVERBS[token.low], verb.index
    return found


def _entered(tokens: Sequence[Token], own: Sequence[Token], nouns: Sequence[Noun]) -> Noun | None:
    """The building that somebody goes into: of "saw the castle and went in" the castle."""
    for token in own:
        bare = token.low == "in" and token.quote < 0 and not token.children
        if not bare or tokens[token.head].lemma not in MOVES:
            continue
        verb = tokens[token.head]
        if verb.dep == "relcl" or is_negated(tokens, verb.index) or not told_of(tokens, verb.index):
            continue
        seen = [
            n for n in nouns if n.head < token.index and n.quote < 0 and n.lemma in words("indoor") and not n.plural
        ]
        if seen:
            return seen[-1]
    return None


def _goes_to(tokens: Sequence[Token], noun: Noun) -> bool:
    """ "went to walk in the wood": there, as far as the going is told."""
    if noun.quote >= 0 or noun.verb < 0 or noun.determiner == "no":
        return False
    verb = tokens[noun.verb]
    head, to = tokens[verb.head], any(tokens[c].low == "to" and tokens[c].dep == "aux" for c in verb.children)
    there = to and verb.dep in ("advcl", "xcomp") and verb.lemma in MOVES | POSTURE
    went = head.lemma in ("go", "come") and head.tag != "VBG" and not is_negated(tokens, head.index)
    return there and went and told_of(tokens, head.index)


def _is_within(place: str) -> bool:
    return bool(set(place.split()) & words("indoor"))


def _is_indoors_now(noun: Noun, now: str) -> bool:
    """Whether what stands in houses only is beside somebody who was outdoors: "hid behind the bed"."""
    furniture = noun.lemma in FURNITURE and noun.determiner in ("the", "poss") and noun.role == "oblique"
    return furniture and bool(set(now.split()) & words("outdoor")) and not _is_within(now)


def _is_elsewhere(tokens: Sequence[Token], noun: Noun) -> bool:
    """ "came to a place where ...": somewhere that is not named yet."""
    if noun.lemma not in ("place", "spot") or noun.determiner != "a" or noun.verb < 0 or not is_told(tokens, noun):
        return False
    return noun.preposition == "to" and tokens[noun.verb].lemma in MOVES and not is_negated(tokens, noun.verb)


def _departs(tokens: Sequence[Token], noun: Noun, lapse: bool) -> bool:
    """ "they set out", "next day he went on"."""
    if noun.role != "subject" or noun.verb < 0:
        return False
    verb = tokens[noun.verb]
    if lapse and verb.lemma in ("go", "walk", "ride", "travel", "journey", "sail"):
        return True
    off = verb.lemma in ("set", "start") and any(tokens[c].low in ("out", "off", "forth") for c in verb.children)
    return off and is_told(tokens, noun) and not is_negated(tokens, noun.verb)


def _inner(tokens: Sequence[Token], noun: Noun, nouns: Sequence[Noun]) -> Noun | None:
    """Of "the edge of the forest": the forest."""
    if noun.lemma not in PARTS:
        return None
    whole = (n for n in nouns if n.kind != "pronoun" and n.preposition == "of")
    return next((n for n in whole if tokens[tokens[n.head].head].head == noun.head), None)


def _is_place(tokens: Sequence[Token], noun: Noun, inner: Noun | None) -> bool:
    if noun.kind == "pronoun" or (noun.kind == "name" and set(noun.words) & words("time", "season")):
        return False  # "the November moon"
    if noun.lemma == "fire" and (noun.role != "oblique" or noun.preposition not in BESIDE):
        return False
    if noun.animacy == "place" or noun.lemma in PERCHES or is_home(tokens, noun) or is_event(tokens, noun):
        return True
    if is_spot(tokens, noun):
        return True
    if noun.lemma not in PARTS or inner is None:
        return False
    named = inner.kind == "name" and not any(entity.acts > 2 for entity in inner.entities)  # not "old Tom's side"
    return inner.animacy == "place" or named or inner.lemma in PERCHES | words("room.words")


def _phrase(noun: Noun, inner: Noun | None) -> str:
    home = "'s house" if noun.animacy == "person" else ""  # "to the baker's"
    if noun.kind == "name":
        return " ".join(noun.name) + home
    kept = [w for w in noun.words if w not in ("very", "own", "same", "other", "certain", "such", "so")]
    text = " ".join(kept[-3:]) + home
    return f"{text} of the {' '.join(inner.words[-3:])}" if inner is not None else text
