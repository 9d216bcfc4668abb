"""The hour that a sentence tells: "at six", "half past eight", "at 10.30 p.m.", "two o'clock"; the day of the month."""

from __future__ import annotations

from collections.abc import Sequence

from .clauses import is_negated
from .entities import Noun
from .lexicon import these, words
from .parse import Token

MONTHS = these("january february march april may june july august september october november december")
HOURS = these("one two three four five six seven eight nine ten eleven twelve")
HALVES = ("a.m.", "p.m.", "a.m", "p.m")
PLANNED = these("for until till since from between every than")  # "ordered for six o'clock"
PRICED = these(
    "sell buy value price set estimate rate reckon count guess stop look laugh point aim stare gaze"
)  # "valued at ten"
NEARLY = these("about nearly exactly precisely punctually almost")


def date_of(tokens: Sequence[Token], noun: Noun) -> str:
    """ "April 3", "the 3rd of April": the day of the month where it dates the scene."""
    above = tokens[tokens[tokens[noun.head].head].head]
    if noun.preposition == "of" and noun.lemma in MONTHS and above.low[:1].isdigit():
        dates = above.dep in ("attr", "npadvmod") or (above.dep == "pobj" and tokens[above.head].low in ("on", "about"))
        return f"{above.low} of {noun.lemma}" if dates else ""
    own = tokens[noun.first : noun.last + 2]
    month = next((t.low for t in own if t.low in MONTHS), "")
    number = next((t.low.strip(".") for t in own if t.low[:1].isdigit()), "")
    return f"{month} {number}" if month and number and noun.preposition in ("", "on", "in") else ""


def hour_of(own: Sequence[Token]) -> tuple[str, int]:
    """The hour that a sentence's narration tells, "" where it tells none; and its token's place in the sentence.
    own: the tokens of the sentence."""
    for at, token in enumerate(own):
        if token.quote >= 0:
            continue
        ahead = [t.low for t in own[at + 1 : at + 5] if t.text != "-"]
        before = [t.low for t in own[max(0, at - 4) : at] if t.text != "-"]
        said = ""
        if token.low.replace("’", "'") == "o'clock" and before and own[at - 1].tag == "CD":
            said = f"{before[-1]} o'clock"
        elif token.low in HALVES and before and before[-1][0].isdigit():
            said = f"{before[-1]} {token.low}"
        elif token.low == "half" and ahead[:1] == ["past"] and ahead[1:2] and ahead[1] in HOURS:
            said = f"half past {ahead[1]}"
        elif token.low == "quarter" and len(ahead) > 1 and ahead[0] in ("to", "past", "before") and ahead[1] in HOURS:
            said = f"quarter {ahead[0]} {ahead[1]}"
        elif token.text in HOURS and _is_hour(own, at):
            said = token.low
        if said and not set(before) & PLANNED:
            return said, at
    return "", -1


def _is_hour(own: Sequence[Token], at: int) -> bool:
    """Whether a number tells an hour: "at six", "soon after four"; not "at ten pounds", "at two of them"."""
    first, token = own[0].index, own[at]
    lead = token.head - first
    if token.dep != "pobj" or not 0 <= lead < at or own[lead].low not in ("at", "after", "before") or token.children:
        return False
    if any(t.low not in NEARLY for t in own[lead + 1 : at]):
        return False
    bound = at + 1 < len(own) and (own[at + 1].tag[:2] in ("NN", "JJ", "CD", "HY") or own[at + 1].low in ("or", "of"))
    verb = own[lead].head - first
    above = own[verb] if 0 <= verb < len(own) else token
    soon = own[lead].low == "at" or (lead > 0 and own[lead - 1].low in ("soon", "shortly", "just"))
    return soon and not bound and above.lemma not in PRICED | words("verb.look") and above.pos in ("VERB", "AUX", "ADV")


def is_dark(tokens: Sequence[Token], noun: Noun) -> str:
    """ "as soon as it was light", "it grew dark", "it was dark now": "light" or "dark", "" where neither is said."""
    if noun.lemma != "it" or noun.role != "subject" or noun.verb < 0 or noun.entities:
        return ""
    verb = tokens[noun.verb]
    state = next(
        (tokens[c] for c in verb.children if tokens[c].dep == "acomp" and tokens[c].low in ("light", "dark")), None
    )
    if state is None or is_negated(tokens, noun.verb):
        return ""
    grows = verb.lemma in ("grow", "get", "become")
    since = verb.lemma == "be" and verb.dep == "advcl" and state.low == "light"
    night = verb.lemma == "be" and verb.dep in ("ROOT", "conj") and state.low == "dark"
    where = {tokens[c].low for c in (*verb.children, *state.children)} & {
        "too",
        "in",
        "inside",
        "within",
        "there",
        "down",
    }
    return state.low if grows or since or (night and not where) else ""
