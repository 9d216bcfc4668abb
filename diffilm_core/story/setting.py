"""Where and when a story is, and its weather, carried until they change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .clauses import is_likened, is_negated, is_unreal
from .entities import Noun
from .lexicon import these, words
from .parse import Token

AT = these(
    "in into inside within on onto upon at by near beside under beneath behind through across along among"
    " over up down above below outside around round between before aboard"
)
ARRIVE = these("enter reach approach visit cross climb ascend descend leave")
LATER = frozenset(("after", "later"))
PERCHES = these("tree branch bough log stump rock stone bush haystack trunk twig window door roof")
PARTS = these(
    "edge side bottom top middle foot end entrance corner mouth bank heart midst depth centre center brink"
    " shore front back"
)
SURFACE = these(
    "ground floor grass earth land snow sand world wall country common space heaven sky heavens wood hold"
    " ship-board flat stage fall spring"
)


@dataclass
class Setting:
    """What holds now."""

    place: str = ""
    time: str = ""
    weather: str = ""
    place_changed: bool = False
    time_changed: bool = False
    weather_changed: bool = False
    time_lapse: bool = False
    flashback: bool = False

    def next_sentence(self) -> None:
        self.place_changed = self.time_changed = self.weather_changed = self.time_lapse = False

    def reset(self) -> None:
        """A scene break: nothing of the old scene holds."""
        self.place = self.time = self.weather = ""

    def read(self, tokens: Sequence[Token], nouns: Sequence[Noun]) -> None:
        """Take up what one sentence says. tokens: its paragraph's; nouns: the sentence's own."""
        self.next_sentence()
        place = _place(tokens, nouns, self.place)
        if place is not None:
            self.place_changed, self.place = place != self.place, place
        time, lapse = _time(tokens, nouns)
        self.time_lapse = lapse
        if time:
            self.time_changed, self.time = time != self.time, time
        weather = _weather(tokens, nouns)
        if weather:
            self.weather_changed, self.weather = weather != self.weather, weather


def _real(tokens: Sequence[Token], noun: Noun) -> bool:
    if noun.quote >= 0 or noun.determiner == "no" or is_likened(tokens, noun.head):
        return False
    return noun.verb < 0 or not (is_unreal(tokens, noun.verb) or _supposed(tokens, noun.verb))


def _supposed(tokens: Sequence[Token], verb: int) -> bool:
    """Whether a verb has "would", "might" or "seem" about it."""
    token = tokens[verb]
    if any(
        tokens[c].low in ("would", "might", "should", "may", "must") and tokens[c].dep == "aux" for c in token.children
    ):
        return True
    return token.dep in ("xcomp", "ccomp") and tokens[token.head].lemma in ("seem", "appear")


def _phrase(tokens: Sequence[Token], noun: Noun, nouns: Sequence[Noun]) -> str:
    if noun.kind == "name":
        return " ".join(noun.name)
    kept = [w for w in noun.words if w not in ("very", "own", "same", "other", "certain", "such", "so")]
    text = " ".join(kept[-3:])
    if noun.lemma in PARTS:
        inner = next(
            (n for n in nouns if n.preposition == "of" and tokens[tokens[n.head].head].head == noun.head), None
        )
        if inner is not None:
            text += f" of the {' '.join(inner.words[-3:])}"
    return text


def _place(tokens: Sequence[Token], nouns: Sequence[Noun], now: str) -> str | None:
    best: tuple[int, str] | None = None
    for noun in nouns:
        part = noun.lemma in PARTS and any(
            n.preposition == "of" and tokens[tokens[n.head].head].head == noun.head and n.animacy in ("place", "thing")
            for n in nouns
        )
        part = part or noun.lemma in PERCHES
        if (
            (noun.animacy != "place" and not part)
            or not _real(tokens, noun)
            or (noun.entities
            and noun.entities[0].acts > 2)
        ):
            continue
        if noun.plural and noun.determiner not in ("the", "poss") and noun.kind != "name":
            continue
        strength = _strength(tokens, noun)
        if strength < 0 and now and set(noun.words) & set(now.split()):
            best = (9, "")
        if strength <= 0 or (strength == 1 and now):
            continue
        if best is None or strength >= best[0]:
            best = (strength, _phrase(tokens, noun, nouns))
    return best[1] if best else None


def _strength(tokens: Sequence[Token], noun: Noun) -> int:
    """How surely the scene is at this place: 0 not, -1 no longer."""
    verb = tokens[noun.verb] if 0 <= noun.verb < len(tokens) else None
    moving = verb is not None and verb.lemma in words("verb.motion")
    if noun.role == "oblique":
        preposition = noun.preposition
        token = tokens[noun.head]
        above = tokens[token.head].head
        chain = {tokens[token.head].low, tokens[above].low, tokens[tokens[above].head].low}
        if preposition in ("from", "of") or "from" in chain:
            if preposition == "of" and "out" in chain:
                return 1
            return (
                -1
                if "from" in chain
                and (moving or "away" in {t.low for t in tokens[max(0, token.head - 2) : token.head]})
                else 0
            )
        owner = tokens[above]
        if owner.pos in ("NOUN", "PROPN", "PRON"):
            inside = ("nsubj", "dobj", "ROOT", "nsubjpass", "attr", "pobj", "conj", "appos")
            return 1 if owner.dep in inside and preposition in AT else 0
        if (
            preposition in ("at", "on", "upon", "over", "to", "across")
            and verb is not None
            and verb.lemma in words("verb.look") | {"point", "look"}
        ):
            return 0
        if verb is not None and is_negated(tokens, verb.index):
            return 0
        if preposition == "to":
            return 4 if moving and owner.pos in ("VERB", "AUX", "ADV", "ADP") else 0
        if preposition in AT:
            if (noun.lemma in SURFACE and not noun.plural) or noun.lemma in PERCHES:
                return 1
            return 4 if moving or preposition in ("into", "through") else 3
        return 0
    if noun.role == "object" and verb is not None and verb.lemma in ARRIVE:
        return -1 if verb.lemma == "leave" else 4
    if (
        noun.role == "object"
        and verb is not None
        and verb.lemma in ("see", "find", "perceive")
        and noun.determiner == "a"
    ):
        return 2
    if noun.role == "subject" and verb is not None and verb.lemma in ("be", "stand", "lie", "look", "grow", "stretch"):
        return 2
    return 0


def _time(tokens: Sequence[Token], nouns: Sequence[Noun]) -> tuple[str, bool]:
    found, lapse = "", False
    units = words("time.unit")
    for noun in nouns:
        known = noun.lemma in words("time.day", "season") or noun.animacy == "time"
        if noun.quote >= 0 or not (known or noun.lemma in units) or not _real(tokens, noun):
            continue
        said = set(noun.words)
        lead = tokens[noun.first].low
        after = [t.low for t in tokens[noun.last + 1 : noun.last + 3] if t.sentence == noun.sentence]
        adverb = noun.role in ("adverb", "fragment") or (noun.role == "other" and noun.first > 0)
        if noun.lemma in units and (
            said & {"next", "following"}
            or after[:1] in (["after"], ["later"])
            or (noun.preposition == "after" and noun.role == "oblique")
        ):
            if noun.lemma not in ("moment", "minute", "instant", "second", "while", "time"):
                said_so = [*noun.words, *LATER & set(after[:1])]
                if noun.preposition == "after":
                    said_so = ["after", *noun.words]
                found, lapse = " ".join(w for w in said_so if w[0].isalpha()), True
            continue
        if (
            noun.role == "subject"
            and noun.verb >= 0
            and tokens[noun.verb].lemma in ("pass", "elapse")
            and noun.lemma in units
        ):
            found, lapse = f"{' '.join(noun.words)} later" if noun.determiner != "the" else " ".join(noun.words), True
            continue
        if (
            not known
            or (noun.lemma in ("day", "daytime", "may", "march", "fall", "spring")
            and not (
                lead in ("one", "next")
                or said & {"next", "last", "early", "late"}
                or (noun.kind == "name")
                or noun.role == "predicate"
            ))
        ):
            continue
        if noun.lemma in ("light", "moonlight") or lead == "no":
            continue
        words_said = " ".join(w for w in noun.words if w not in ("very", "that", "this", "same", "one"))
        if noun.role == "oblique" and noun.preposition in (
            "at",
            "in",
            "on",
            "by",
            "during",
            "before",
            "after",
            "towards",
            "toward",
            "about",
            "through",
            "of",
            "with",
            "till",
            "until",
            "near",
        ):
            if noun.preposition == "of" and tokens[tokens[noun.head].head].head >= 0:
                owner = tokens[tokens[tokens[noun.head].head].head]
                if owner.lemma not in (
                    "shadow",
                    "darkness",
                    "dead",
                    "middle",
                    "hour",
                    "light",
                    "dusk",
                    "gloom",
                    "coming",
                    "beginning",
                    "stillness",
                    "silence",
                ):
                    continue
            if noun.preposition in ("till", "until"):
                continue
            found = words_said
        elif adverb or (lead in ("one", "that", "this", "every") and noun.role not in ("subject", "object")) or (
            noun.role == "subject"
            and noun.verb >= 0
            and tokens[noun.verb].lemma
            in ("come", "fall", "break", "begin", "dawn", "draw", "arrive", "set", "approach", "be", "find", "close")
        ) or noun.role == "predicate":
            found = words_said
        if said & {"next", "following"} or noun.role == "subject":
            lapse = True
    return found, lapse


LYING = ("snow", "ice", "frost")
"""What lies on the ground as well: somebody in the snow says nothing of the weather."""


def _weather(tokens: Sequence[Token], nouns: Sequence[Noun]) -> str:
    for noun in nouns:
        if (
            noun.lemma in words("weather")
            and _real(tokens, noun)
            and noun.role in ("subject", "oblique", "object", "predicate")
        ):
            if noun.role == "oblique" and (
                noun.lemma in LYING or noun.preposition not in ("in", "through", "into", "under", "by")
            ):
                continue
            return noun.lemma
    for noun in nouns:
        if noun.lemma == "it" and noun.quote < 0 and noun.verb >= 0 and noun.role == "subject":
            verb = tokens[noun.verb]
            if verb.lemma in ("rain", "snow", "hail", "thunder", "drizzle") and not is_negated(tokens, noun.verb):
                return verb.lemma
    return ""
