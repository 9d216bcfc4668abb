"""Verbs with what belongs to them, and whether what they say is to be seen: not what is denied, thought or supposed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from .entities import Noun
from .lexicon import genders, these, words
from .parse import Token

EMBEDDED = frozenset(("ccomp", "xcomp", "acl", "csubj", "pcomp"))
PERCEPTION = these(
    "see hear watch notice observe find feel spy behold perceive discover show remark let make help begin"
    " start go come keep continue manage dare seem"
    " get have happen chance cease stop finish prepare hasten run stand sit lie set proceed be leave bring catch use"
)
WISHFUL = these("impatient eager anxious willing unwilling ready afraid desirous reluctant inclined loath likely")
FACTIVE = these(
    "surprised astonished amazed glad happy pleased delighted rejoiced sorry vexed grieved shocked alarmed obliged"
    " forced compelled content satisfied proud able"
)
SOUGHT = these("look search seek hunt wait long wish ask call send watch hope pray")
TOLD = these(
    "ask tell command order beg forbid advise persuade invite bid urge entreat warn teach help assist request implore"
    " encourage oblige force compel cause allow permit enable lead send"
)
RECALLED = these("remember imagine dream miss mention describe fear expect wish")
NEAR_OF = these("number pair couple lot side front presence midst back rest one sight glimpse hold leave")
MODALS = these("would might could may can should must")
UNREAL = frozenset(("if", "unless", "whether", "lest"))
TEMPORAL = frozenset(("when", "while", "until", "till", "before", "after", "as"))
TALK_OF = frozenset(("about", "of", "for", "concerning", "regarding", "with", "against", "on"))
LIKENESS = frozenset(("like", "than", "unlike", "as", "without", "except", "but", "save", "besides", "despite"))
NO_OTHER = frozenset(("ever", "before", "usual"))  # "brighter than ever": no comparison with anything
SORRY = these("afraid sure sorry glad certain bound")  # "I am afraid": the teller's own words
PRESENT = frozenset(("VBP", "VBZ"))
SIGHT = words("verb.look") | these("find meet hear know recognise recognize want need have get catch touch")


def is_negated(tokens: Sequence[Token], verb: int) -> bool:
    token = tokens[verb]
    for child in (tokens[c] for c in token.children):
        if child.dep == "neg" or child.low in ("never", "hardly", "scarcely", "neither", "nor"):
            return True
        if child.low == "no" and child.dep not in ("intj", "discourse"):
            return True
        if child.dep in ("nsubj", "nsubjpass", "attr", "dobj") and (
            child.low in ("nobody", "nothing", "none", "no-one") or any(tokens[g].low == "no" for g in child.children)
        ):
            return True
    return False


def _joints(tokens: Sequence[Token], verb: Token) -> set[str]:
    """The small words that join a verb's clause to the one above."""
    return {tokens[c].low for c in verb.children if tokens[c].dep in ("mark", "advmod")}


def is_unreal(tokens: Sequence[Token], verb: int) -> bool:
    """Whether the clause of a verb is thought, wished, supposed, or said to be so: not what is to be seen."""
    at = verb
    for _ in range(12):
        token = tokens[at]
        if token.pos in ("VERB", "AUX"):
            marks = {tokens[c].low for c in token.children if tokens[c].dep == "mark"}
            if marks & UNREAL and token.dep != "ROOT":
                return True  # but for "If only he had known!"
            if token.dep in EMBEDDED and token.head != at:
                head = tokens[token.head]
                if head.quote != token.quote or any(t.text == ";" for t in tokens[at : head.index]):
                    return False
                if head.pos in ("VERB", "AUX") and head.lemma not in PERCEPTION:
                    infinitive = any(tokens[c].low == "to" and tokens[c].dep == "aux" for c in token.children)
                    if (
                        head.lemma in words("verb.thought", "verb.speech", "verb.hypothetical")
                        or is_negated(tokens, head.index)
                        or infinitive
                    ):
                        return True
                elif head.lemma == "be" and any(tokens[c].low in WISHFUL for c in head.children):
                    return True  # "impatient to ride on"
                elif _follows(tokens, token, head):
                    pass
                elif (
                    head.pos in ("NOUN", "ADJ")
                    and token.dep in ("acl", "xcomp", "ccomp", "advcl")
                    and any(tokens[c].low in ("to", "that") for c in token.children)
                ):
                    return True
            elif token.dep == "advcl" and token.tag == "VBD" and _joints(tokens, token) & TEMPORAL:
                return False  # "he was thinking of it, when the cook came": when something was, it was
            elif token.lemma == "pass" and tokens[token.head].lemma == "come":
                pass  # "it came to pass that ..."
            elif token.dep == "advcl" and any(tokens[c].low == "to" and tokens[c].dep == "aux" for c in token.children):
                return True
        if token.head == at or token.dep in ("ROOT", "relcl"):
            return False
        low, high = sorted((at, token.head))
        if token.pos in ("VERB", "AUX") and any(tokens[i].text in (";", "--", "—") for i in range(low, high)):
            return False  # the parser hangs what follows a dash too deep
        at = token.head
    return False


def _follows(tokens: Sequence[Token], verb: Token, head: Token) -> bool:
    """Whether what hangs on an adjective or adverb is so: "glad to see him", "so near that he heard it"."""
    if head.low in FACTIVE and any(tokens[c].low == "to" for c in verb.children):
        return True
    return verb.tag == "VBD" and any(tokens[c].low in ("so", "such") for c in head.children)


def is_likened(tokens: Sequence[Token], at: int) -> bool:
    """Whether a word stands in a comparison or an exception: "like a fire on the prairie", "as quick as the fox"."""
    for _ in range(6):
        token = tokens[at]
        ever = token.low == "than" and token.index + 1 < len(tokens) and tokens[token.index + 1].low in NO_OTHER
        if (
            token.dep in ("prep", "mark", "ROOT")
            and token.low in LIKENESS
            and token.pos in ("ADP", "SCONJ")
            and not ever
        ):
            return token.dep != "ROOT" or token.low == "like"
        if token.dep == "pcomp" and tokens[token.head].low == "like":
            return True  # "it was like drinking at a spring"
        if token.pos in ("VERB", "AUX") or token.head == at:
            return (
                token.dep == "advcl"
                and any(tokens[c].low in ("than", "as", "like") and tokens[c].dep == "mark" for c in token.children)
                and token.low in ("is", "was", "did", "do", "does", "were", "had")
            )
        at = token.head
    return False


def _likens(verb: Token, lows: set[str]) -> bool:
    """Whether a clause with "as" tells what is so at all times."""
    return verb.dep == "advcl" and "as" in lows and verb.tag in ("VBZ", "VBP")


def is_past(paragraphs: Iterable[Sequence[Token]]) -> bool:
    """Whether a story is told in the past tense."""
    tags = Counter(t.tag for tokens in paragraphs for t in tokens if t.quote < 0 and t.tag in PRESENT | {"VBD"})
    return tags["VBD"] > tags["VBP"] + tags["VBZ"]


def _remarks(tokens: Sequence[Token], noun: Noun) -> bool:
    """Whether a story in the past tense only remarks on somebody: on people in general ("as people say"), on the
    telling itself ("I suspect", "as I told you")."""
    if noun.role != "subject" or noun.verb < 0:
        return False
    verb = tokens[noun.verb]
    kids = [tokens[c] for c in verb.children]
    now = next((k.tag for k in kids if k.dep in ("aux", "auxpass") and k.tag != "TO"), verb.tag) in PRESENT
    if noun.lemma == "i":
        said = verb.lemma in words("verb.thought", "verb.speech") or any(k.low in SORRY for k in kids)
        return said and (now or any(k.low == "you" and k.dep in ("dobj", "dative") for k in kids))
    if noun.kind == "pronoun":
        return now and bool(noun.entities) and not any(n.visible for e in noun.entities for n in e.nouns)
    return now and _in_general(noun)


def _in_general(noun: Noun) -> bool:
    """ "Girls", "a girl", as a subject: may be any."""
    any_one = noun.determiner == "a" or (noun.plural and noun.determiner == "")
    return noun.role == "subject" and noun.kind == "description" and any_one


def _told_to(tokens: Sequence[Token], noun: Noun) -> int:
    """The noun's verb; for who is told to do something, the verb of telling: "she advised him to stay"."""
    if noun.role != "subject" or noun.verb < 0:
        return noun.verb
    verb = tokens[noun.verb]
    above = tokens[verb.head]
    infinitive = any(tokens[c].low == "to" and tokens[c].dep == "aux" for c in verb.children)
    told = infinitive and verb.dep in ("xcomp", "ccomp") and above.index < noun.first and above.lemma in TOLD
    return above.index if told else noun.verb


def is_visible(tokens: Sequence[Token], noun: Noun, past: bool = False) -> bool:
    """Whether somebody named here is there to be seen. past: the story is told in the past tense."""
    if noun.quote >= 0 or noun.determiner == "no":
        return False
    if is_likened(tokens, noun.head) or (noun.joined is not None and not noun.joined.visible):
        return False
    low = {tokens[c].low for c in tokens[noun.head].children}
    if low & {"no", "neither"} or any(tokens[c].dep == "neg" for c in tokens[noun.head].children):
        return False
    verb = _told_to(tokens, noun)
    if noun.role == "possessor":
        owned = tokens[noun.head].head
        held = tokens[owned].lemma in words("body", "clothes")
        leading = tokens[owned].dep in ("nsubj", "nsubjpass") and not genders("person", tokens[owned].lemma)
        if not held and not leading:
            return False
    if verb < 0 or verb >= len(tokens):
        return True
    if is_unreal(tokens, verb) or (past and _remarks(tokens, noun)):
        return False
    lows = {tokens[c].low for c in tokens[verb].children}
    if _in_general(noun) and noun.plural and lows & MODALS:
        return False  # "so that visitors might sit there"
    if noun.role == "subject" and noun.determiner == "a" and (lows & MODALS or _likens(tokens[verb], lows)):
        return False  # "a keen eye might have seen", "as a man drains his glass"
    before = tokens[verb].dep == "relcl" and "when" not in lows
    if noun.role == "subject" and "had" in lows and (before or (tokens[verb].dep == "advcl" and "as" in lows)):
        return False  # "as his father had told him": before now
    if noun.role == "subject" and noun.kind != "pronoun" and tokens[verb].dep == "advcl" and "before" in lows:
        return False  # "before the doctor came"
    lemma = tokens[verb].lemma
    if noun.role in ("object", "oblique"):
        sought = noun.preposition == "for" and lemma in SOUGHT and tokens[tokens[noun.head].head].head == verb
        if sought or (noun.role == "object" and lemma == "seek"):
            return False  # "looking for Tom"
        if is_negated(tokens, verb) and lemma in SIGHT:
            return False
        if noun.role == "object" and lemma in (words("verb.hypothetical") - TOLD) | RECALLED:
            return False
        if noun.role == "oblique":
            above = tokens[noun.head].head
            owner = tokens[tokens[above].head] if tokens[above].dep == "prep" else tokens[above]
            if noun.preposition == "of" and owner.low == "one" and noun.kind != "pronoun":
                return False  # "one of the men": only he
            if (
                noun.preposition in TALK_OF
                and lemma in words("verb.thought") | {"say", "tell", "speak", "talk", "hear", "read"}
                and noun.preposition not in ("with", "on")
            ):
                return False
            if (
                noun.preposition == "of"
                and owner.pos == "NOUN"
                and owner.lemma not in words("body", "group")
                and owner.dep not in ("nsubj", "nsubjpass")
            ):
                return noun.lemma in words("group") or owner.lemma in NEAR_OF
            if noun.preposition in ("for", "towards", "from", "until", "since") and owner.pos == "NOUN":
                return False
    passive = noun.role == "subject" and tokens[noun.head].dep == "nsubjpass"
    if passive and lemma in RECALLED and all(tokens[c].dep != "xcomp" for c in tokens[verb].children):
        return False  # "Tom was expected back"
    if noun.role not in ("subject", "other") or lemma != "be" or not is_negated(tokens, verb):
        return True
    return all(tokens[c].low != "there" for c in tokens[verb].children)
