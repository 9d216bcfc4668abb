"""When a story is: the time of day, the season, the day or the lapse that a sentence tells."""

from __future__ import annotations

from collections.abc import Sequence

from .clauses import PERCEPTION, is_likened, is_negated, is_unreal
from .clock import date_of, hour_of, is_dark
from .entities import Noun
from .evidence import narrates_now, told_before
from .grammar import own_tokens
from .lexicon import these, words
from .parse import Token

LATER = frozenset(("after", "later", "afterwards", "afterward"))
SHORT = these("moment minute instant second while time")
VAGUE_ALONE = these("day daytime may march fall spring")  # months, seasons and days only with a word that says so
PREPOSITIONS = these("at in into on by during before after towards toward about through of with near")
OWNERS = these(
    "shadow darkness dead middle hour light dusk gloom coming beginning stillness silence course close end part"
)
COMING = these("come fall break begin dawn draw arrive set approach be find close wear wane deepen advance grow")
LIGHTS = these("sunbeam sunlight sunshine sun light air mist fog sky dew star breeze wind shadow chill frost gloom")
SUN = {"set": "sunset", "setting": "sunset", "sink": "sunset", "rise": "sunrise", "rising": "sunrise"}
BY_LIGHT = {"moonlight": "night", "starlight": "night", "dark": "dark"}
MEALS = these("breakfast lunch luncheon dinner supper tea")
WHICH = these("next last early late second third fourth fifth sixth seventh other")
MARKED = these("mean follow ensue prove befall")  # "it followed that he went"
SUPPOSING = these("would might should may must will shall")
HABIT = these("every each often usually always sometimes")
YEAR, DAY = these("spring summer autumn winter"), these("morning noon afternoon evening night day")
CAPITAL = these("advent lent")  # not "lent", "the advent of a guest"
LEADS = these("and but now then so yet , -- -")
FOR = these("for until till since from to than between")  # "a sermon for the next day"


def is_told(tokens: Sequence[Token], noun: Noun) -> bool:
    """Whether what the noun says of the scene is told of it as fact: not in speech, thought, a likeness or a wish."""
    if noun.quote >= 0 or noun.determiner == "no" or is_likened(tokens, noun.head):
        return False
    return noun.verb < 0 or told_of(tokens, noun.verb)


def told_of(tokens: Sequence[Token], verb: int) -> bool:
    """Whether what a verb says is told as fact."""
    if is_unreal(tokens, verb) or _supposed(tokens, verb) or _reported(tokens, verb):
        return False
    for at in _clauses_above(tokens, verb):
        before = any(tokens[c].low == "had" and tokens[c].dep == "aux" for c in tokens[at].children)
        if (before and tokens[at].dep == "relcl") or is_likened(tokens, tokens[at].head):
            return False
    return True


def _clauses_above(tokens: Sequence[Token], verb: int) -> list[int]:
    """The clauses that hang on a noun in which a verb stands, the innermost first."""
    found, at = [], verb
    for _ in range(12):
        token = tokens[at]
        verbal = token.pos in ("VERB", "AUX")
        if token.dep in ("relcl", "acl"):
            found.append(at)
        elif token.dep not in (
            ("conj", "advcl", "xcomp", "ccomp", "pcomp") if verbal else ("pobj", "dobj", "prep", "conj")
        ):
            break
        if token.head == at:
            break
        at = token.head
    return found


def _supposed(tokens: Sequence[Token], verb: int) -> bool:
    """Whether a verb has "would", "might", "will" or "seem" about it."""
    token = tokens[verb]
    for _ in range(6):
        if any(tokens[c].low in SUPPOSING and tokens[c].dep == "aux" for c in token.children):
            return True
        own = any(tokens[c].dep in ("aux", "nsubj", "nsubjpass") for c in token.children)
        if token.dep not in ("xcomp", "pcomp") and (token.dep != "conj" or own):
            break
        token = tokens[token.head]  # "would try to reach the coast"
    token = tokens[verb]
    seems = token.dep in ("xcomp", "ccomp") and tokens[token.head].lemma in ("seem", "appear")
    return seems or _is_to_come(tokens, token)


def _is_to_come(tokens: Sequence[Token], token: Token) -> bool:
    """ "was to die", "was going to walk", "was about to go"; but "his first thought was to run"."""
    kids = [tokens[c] for c in token.children]
    if token.dep != "xcomp" or not any(k.low == "to" and k.dep == "aux" for k in kids):
        return False
    head = tokens[token.head]
    above = [tokens[c] for c in head.children]
    if head.low == "going" and any(a.lemma == "be" and a.dep == "aux" for a in above):
        return True
    meant = any(a.dep == "nsubj" and a.tag in ("PRP", "NNP", "WDT", "WP") and a.low != "it" for a in above)
    named = any(a.dep in ("acomp", "attr") and a.low != "about" for a in above)  # "he was glad to go"
    return head.lemma == "be" and meant and not named and not any(k.dep == "auxpass" for k in kids)


def _reported(tokens: Sequence[Token], verb: int) -> bool:
    """Whether a verb stands in a clause with "that" under a verb of telling: "assured him that the winter passed"."""
    token = tokens[verb]
    while token.dep == "conj" and token.pos in ("VERB", "AUX") and token.head != token.index:
        token = tokens[token.head]
    head = tokens[token.head]
    that = any(tokens[c].low == "that" and tokens[c].dep == "mark" for c in token.children)
    return that and token.dep == "ccomp" and head.pos == "VERB" and head.lemma not in PERCEPTION | MARKED


def time_of(
    tokens: Sequence[Token], nouns: Sequence[Noun], now: str = "", past: bool = False
) -> tuple[str | None, bool]:
    """The time that a sentence tells, "" where that is some other day ("one day"), None where it tells none; and
    whether time has passed. now: the time told before; past: the story is told in the past tense."""
    found, lapse = None, False
    hour = _hour(tokens, nouns, now)
    several = _is_round(nouns)
    for noun in nouns:
        if noun.quote >= 0:
            continue
        told = _by_light(tokens, noun)
        if told:
            found = _with(found, told) if noun.lemma in MEALS else told
            continue
        dated = date_of(tokens, noun) if noun.role not in ("subject", "object") and is_told(tokens, noun) else ""
        if dated:
            found = dated
            continue
        known = (noun.lemma in words("time.day", "season") and not several) or _follows(noun)
        if not (known or noun.lemma in words("time.unit")) or not _is_of_scene(tokens, noun, now):
            continue
        if past and known and _in_general(tokens, noun):
            continue
        passed = _passed(tokens, noun)
        if passed is not None:
            found, lapse = passed or found, lapse or bool(passed)
            continue
        if noun.words == ("day",) and tokens[noun.first].low == "one":
            found = found or ""
            continue
        said = _said(tokens, noun) if known else ""
        if said:
            found = said if found is None or not found.endswith(said) else found
            lapse = lapse or noun.role == "subject"
        lapse = lapse or (known and bool(set(noun.words) & {"next", "following"}))
    if hour and (found is None or _is_daytime(found)):
        found = _with(hour, found or "")  # "three o'clock in the morning"
    return found, lapse


def _is_daytime(told: str) -> bool:
    return any(word in words("time.day") for word in told.split())


def _with(found: str | None, told: str) -> str:
    """ "next morning after breakfast" """
    return f"{found or ''} {told}".strip()


def _hour(tokens: Sequence[Token], nouns: Sequence[Noun], now: str) -> str:
    """The hour that a sentence tells of its scene."""
    own = own_tokens(tokens, nouns[0])
    said, at = hour_of(own)
    if not said:
        return ""
    verb = own[at].index
    for _ in range(8):
        if tokens[verb].pos in ("VERB", "AUX") or tokens[verb].head == verb:
            break
        verb = tokens[verb].head
    if is_likened(tokens, own[at].index) or not told_of(tokens, verb) or (now and _is_before(tokens, verb)):
        return ""
    joints = {tokens[c].low for c in tokens[verb].children}
    return "" if joints & HABIT else said


def _is_round(nouns: Sequence[Noun]) -> bool:
    """Whether a sentence goes round the year or the day: "in summer ..., in winter ...": it tells of what is always
    so."""
    seasons = {n.lemma for n in nouns if n.quote < 0 and n.lemma in YEAR}
    hours = {n.lemma for n in nouns if n.quote < 0 and n.lemma in DAY}
    return len(seasons) > 1 or len(hours) > 2 or hours == {"day", "night"}


def _in_general(tokens: Sequence[Token], noun: Noun) -> bool:
    """ "it is cool in summer": what is so at all times, in a story told of the past."""
    singled = tokens[noun.first].low in ("one", "this", "that") or set(noun.words) & WHICH
    return not singled and narrates_now(tokens, noun)


def _is_of_scene(tokens: Sequence[Token], noun: Noun, now: str) -> bool:
    """Whether a time is told as that of the scene: not as one before it, nor as one that is only known by what was
    then ("the night we took supper with him")."""
    if noun.quote >= 0 or noun.determiner == "no" or is_likened(tokens, noun.head):
        return False
    if noun.animacy in ("person", "animal") or (noun.entities and noun.entities[0].acts > 2):
        return False  # "Aunt March"
    if noun.lemma in CAPITAL and not tokens[noun.head].text[0].isupper():
        return False
    if not is_told(tokens, noun):
        return _opens(tokens, noun)
    if set(noun.words) & {"previous", "preceding"} or _next_low(tokens, noun) in ("previous", "preceding", "ago"):
        return False
    after = set(noun.words) & {"next", "following"} or _next_low(tokens, noun) in LATER
    if now and noun.role != "subject" and not after and noun.verb >= 0 and _is_before(tokens, noun.verb):
        return False  # "she had been there in the morning"
    if noun.preposition or noun.role in ("subject", "predicate") or noun.determiner != "the" or after:
        return True
    return not any(tokens[c].dep == "relcl" for c in tokens[noun.head].children)


def _is_before(tokens: Sequence[Token], verb: int) -> bool:
    """Whether a verb tells what had been before; not "the clock had just struck nine"."""
    return told_before(tokens, verb) and not any(tokens[c].low == "just" for c in tokens[verb].children)


def _next_low(tokens: Sequence[Token], noun: Noun) -> str:
    return tokens[noun.last + 1].low if noun.last + 1 < len(tokens) else ""


def _opens(tokens: Sequence[Token], noun: Noun) -> bool:
    """ "One morning" at the start of its sentence, whatever the parser hangs it on."""
    at = noun.first
    if tokens[at].low != "one" or (noun.verb >= 0 and _supposed(tokens, noun.verb)):
        return False
    while at > 0 and tokens[at - 1].sentence == noun.sentence:
        at -= 1
        if tokens[at].low not in LEADS:
            return False
    return True


def _follows(noun: Noun) -> bool:
    """ "the Sunday following" """
    return noun.lemma == "following" and any(w in words("time.day", "season") for w in noun.words[:-1])


def _by_light(tokens: Sequence[Token], noun: Noun) -> str:
    """ "as soon as it was light", "it grew dark", "by moonlight", "the early morning sunbeams"."""
    if dark := is_dark(tokens, noun):
        return dark
    if noun.role == "oblique" and noun.lemma in BY_LIGHT and noun.preposition in ("by", "in", "after", "through"):
        return BY_LIGHT[noun.lemma] if is_told(tokens, noun) else ""
    if (
        noun.lemma in MEALS
        and noun.role == "oblique"
        and noun.preposition in ("after", "before")
        and noun.determiner == ""
    ):
        return f"{noun.preposition} {noun.lemma}"
    if noun.lemma == "sun" and is_told(tokens, noun):
        does = tokens[noun.verb].lemma if noun.role == "subject" and noun.verb >= 0 else ""
        hour = next((SUN[word] for word in (does, *noun.words) if word in SUN), "")
        if hour:
            return hour
    if noun.lemma in LIGHTS and is_told(tokens, noun):
        return next((word for word in noun.words if word in words("time.day") and word not in LIGHTS), "")
    return ""


def _passed(tokens: Sequence[Token], noun: Noun) -> str | None:
    """The lapse that a unit of time tells ("next day", "three days later", "two years passed"), "" where it is too
    short to tell, None where it tells none."""
    if noun.lemma not in words("time.unit"):
        return None
    if noun.preposition in FOR and noun.role == "oblique":
        return ""
    ahead = [t for t in tokens[noun.last + 1 : noun.last + 3] if t.sentence == noun.sentence]
    other = ahead[-1:] and ahead[-1].lemma != noun.lemma  # "the next morning after breakfast", not "night after night"
    after = [t.low for t in ahead if not (other and t.low == "after" and t.children)]
    follows = noun.preposition == "after" and noun.role == "oblique"
    if follows and noun.determiner == "" and tokens[noun.head].tag == "NN":
        return ""  # "week after week"
    if set(noun.words) & {"next", "following"} or set(after[:1]) & LATER or follows:
        if after[1:2] == [noun.lemma]:
            return ""
        if noun.lemma in SHORT:
            return ""
        numbered = [*_tens(tokens, noun), *noun.words]
        said = ["after", *numbered] if follows else [*numbered, *LATER & set(after[:1])]
        return " ".join(word for word in said if word[0].isalpha())
    if noun.role == "subject" and noun.verb >= 0 and tokens[noun.verb].lemma in ("pass", "elapse"):
        if noun.lemma in SHORT:
            return ""
        said = [*_tens(tokens, noun), *noun.words]
        return " ".join(said if noun.determiner == "the" else [*said, "later"])
    return None


def _is_figure(tokens: Sequence[Token], noun: Noun) -> bool:
    """ "the dawn of freedom", "the winter of life", "winter-stripped vines": no time."""
    after = tokens[noun.last + 1] if noun.last + 1 < len(tokens) else None
    if after is not None and after.text == "-" and after.start == tokens[noun.last].end:
        return True
    of = next((tokens[c] for c in tokens[noun.head].children if tokens[c].low == "of"), None)
    inner = next((tokens[c] for c in of.children if tokens[c].dep == "pobj"), None) if of is not None else None
    if inner is None or noun.determiner != "the" or inner.tag != "NN" or inner.lemma in words("time", "season"):
        return False
    return not any(tokens[c].dep in ("det", "poss", "nummod") for c in inner.children)


def _tens(tokens: Sequence[Token], noun: Noun) -> list[str]:
    """Of "twenty-four hours" the twenty."""
    first, hyphen = tokens[noun.first], tokens[noun.first + 1 : noun.first + 2]
    return [first.low] if first.tag == "CD" and hyphen and hyphen[0].text == "-" else []


def _said(tokens: Sequence[Token], noun: Noun) -> str:
    """The words of a time of day or a season where they date the scene."""
    said = set(noun.words)
    lead = tokens[noun.first].low
    owner = tokens[tokens[tokens[noun.head].head].head] if noun.preposition == "of" else None
    if owner is not None and noun.lemma == "day" and owner.lemma in ("close", "end") and not noun.determiner:
        return f"{owner.lemma} of day"
    clause = {tokens[c].low for c in tokens[noun.verb].children} if noun.verb >= 0 else set()
    comes = noun.role == "subject" and noun.verb >= 0 and tokens[noun.verb].lemma in COMING
    which = said & WHICH or (said - {noun.lemma}) & words("season", "time.day")  # "the third day", "a summer day"
    named = lead in ("one", "next") or which or noun.kind == "name" or (comes and noun.lemma in words("season"))
    if noun.lemma in VAGUE_ALONE and not named and noun.role != "predicate":
        return ""
    if "good" in said or ("last" in said and "had" in clause):
        return ""  # "good night" is a greeting; what "he had done last autumn" was before
    before = tokens[noun.first - 1].low if noun.first else ""
    after = tokens[noun.last + 1] if noun.last + 1 < len(tokens) else None
    if after is not None and after.low == "before" and after.dep != "mark" and not after.children:
        return ""  # "the evening before"
    if (noun.plural and noun.lemma in words("time.day")) or _is_figure(tokens, noun):
        return ""  # "on summer evenings", "the dawn of freedom"
    if noun.role == "predicate" and noun.verb >= 0 and is_negated(tokens, noun.verb):
        return ""
    if (
        noun.lemma in ("light", "moonlight")
        or lead == "no"
        or "all" in (lead, before)
        or ({lead, before} | clause) & HABIT
    ):
        return ""  # what is so at all times
    told = " ".join(w for w in noun.words if w not in ("very", "that", "this", "same", "one"))
    if noun.role == "oblique" and noun.preposition in PREPOSITIONS:
        if owner is not None and owner.lemma not in OWNERS:
            return ""
        return told
    adverb = noun.role in ("adverb", "fragment") or (noun.role == "other" and (noun.first > 0 or _follows(noun)))
    if (
        adverb
        or noun.role == "predicate"
        or (lead in ("one", "that", "this") and noun.role not in ("subject", "object"))
    ):
        return told
    return told if comes else ""
