"""Who and what a story names: its noun phrases and pronouns, with number, gender and kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from .kinds import kind_of_name, told_gender
from .lexicon import genders, these, words
from .names import Names
from .nominals import after, belongs, counts_things
from .parse import Token
from .roles import place_in_sentence

if TYPE_CHECKING:
    from .cast import Entity

NounKind = Literal["name", "pronoun", "description"]
NOUN_TAGS = frozenset(("NN", "NNS", "NNP", "NNPS"))
NUMBERS = these("two three four five six seven eight nine ten eleven twelve twenty hundred several many few")

# word: (genders, plural, reflexive, possessive)
PRONOUNS: dict[str, tuple[str, bool]] = {
    "he": ("m", False), "him": ("m", False), "his": ("m", False), "himself": ("m", False),
    "she": ("f", False), "her": ("f", False), "hers": ("f", False), "herself": ("f", False),
    "it": ("n", False), "its": ("n", False), "itself": ("n", False),
    "they": ("mfn", True), "them": ("mfn", True), "their": ("mfn", True), "theirs": ("mfn", True),
    "themselves": ("mfn", True),
}  # fmt: skip
FIRST = these("i me my mine myself")
FIRST_PLURAL = these("we us our ours ourselves")
SECOND = these("you your yours yourself thou thee thy thine")


@dataclass(slots=True, eq=False)
class Noun:
    """A noun phrase or pronoun of a paragraph. head: token index; first, last: the tokens it covers; start, end:
    characters. words: lower-case words without the determiner. name: proper words with titles apart."""

    head: int
    first: int
    last: int
    start: int
    end: int
    sentence: int
    quote: int
    kind: NounKind
    lemma: str
    text: str
    words: tuple[str, ...] = ()
    title: str = ""
    name: tuple[str, ...] = ()
    gender: str = "mfn"
    plural: bool = False
    animacy: str = ""  # person, animal, group, place, thing; "" not known
    determiner: str = ""  # a, the, this, poss, no, number, other, "" none
    role: str = "other"
    verb: int = -1
    preposition: str = ""
    owner: "Noun | None" = None
    entities: "list[Entity]" = field(default_factory=list)
    visible: bool = True
    joined: "Noun | None" = None  # the first noun of a list of which this is a later one
    restricted: bool = False  # told from others by a clause or a phrase: "the man who ..."
    after: str = ""  # what tells it from others of its kind
    same: "Noun | None" = None  # of which this says who it is: "Tom, the cook", "Tom was a cook"


def nouns(tokens: Sequence[Token], story: str, names: Names) -> list[Noun]:
    """The noun phrases and third-person pronouns of a paragraph, in order of their heads."""
    out: list[Noun] = []
    taken: set[int] = set()
    proper = [names.is_name(tokens, i) for i in range(len(tokens))]
    by_head: dict[int, Noun] = {}
    for at, token in enumerate(tokens):
        if at in taken:
            continue
        low = token.low
        if low in PRONOUNS and token.tag in ("PRP", "PRP$", "NN", "NNP", "DT"):
            noun = _pronoun(tokens, at)
        elif low in FIRST or low in FIRST_PLURAL or low in SECOND:
            noun = _speech_pronoun(tokens, at)
        elif proper[at] and (
            token.tag in NOUN_TAGS
            or token.tag in ("JJ", "CD", "FW")
            or token.pos in ("PROPN", "VERB", "ADJ", "ADV", "X", "INTJ", "ADP", "AUX")
        ):
            noun = _name(tokens, at, proper, names)
        elif low == "one" and (one := _one_of(tokens, at, proper)) is not None:
            noun = one
        elif low in ("something", "anything", "nothing", "everything"):
            continue  # "it" is none of these
        elif token.tag in NOUN_TAGS or low in ("everybody", "everyone", "others", "somebody", "someone"):
            if token.dep == "compound" and token.head > at and tokens[token.head].tag in NOUN_TAGS:
                continue
            ahead = tokens[at + 1] if at + 1 < len(tokens) and proper[at + 1] else token
            if ahead is not token and genders("person", low) and _is_called(tokens, at):
                continue  # "the little mother Jackal", "the widow Hale"
            noun = _description(tokens, at, proper)
        else:
            continue
        if noun.kind == "name" and (not noun.name or _describes(tokens, noun) or _is_numeral(noun)):
            continue
        taken.update(range(at, noun.last + 1))
        for i in range(noun.head, noun.last + 1):
            by_head[i] = noun
        by_head[noun.head] = noun
        out.append(noun)
    for noun in out:
        place_in_sentence(tokens, noun, by_head)
        acts = noun.role == "subject" and noun.verb >= 0 and tokens[noun.verb].lemma in ACTS
        acts = acts and not (noun.lemma == "spirit" and noun.determiner == "poss")  # "her spirits rose"
        if acts and noun.lemma in SHAPES and noun.kind == "description":
            noun.animacy, noun.gender = ("group", "mfn") if noun.plural else ("person", "mf")
    for noun in out:
        noun.text = " ".join(story[noun.start : noun.end].split())
    return out


def _one_of(tokens: Sequence[Token], at: int, proper: list[bool]) -> Noun | None:
    """ "One of the sailors": a sailor."""
    of = next((tokens[c] for c in tokens[at].children if c == at + 1 and tokens[c].low == "of"), None)
    inner = next((tokens[c] for c in of.children if tokens[c].tag in NOUN_TAGS), None) if of is not None else None
    if inner is None or inner.quote != tokens[at].quote:
        return None
    low = inner.low[:-1] if inner.tag == "NNP" and inner.low.endswith("s") else inner.lemma
    persons, animal = genders("person", low), low in words("animal")
    if inner.low == low or not (persons or animal):
        return None
    noun = _description(tokens, inner.index, proper)
    noun.head = noun.first = noun.last = at
    noun.start, noun.lemma, noun.sentence = tokens[at].start, low, tokens[at].sentence
    noun.plural, noun.determiner, noun.restricted, noun.words = False, "a", False, ()
    noun.animacy, noun.gender = ("person", persons.replace("n", "") or "mf") if persons else ("animal", "mfn")
    return noun


def _is_called(tokens: Sequence[Token], at: int) -> bool:
    """Whether the name behind a person's word is his: not "the girl Tom saw"."""
    name = tokens[at + 1]
    if name.sentence != tokens[at].sentence or name.quote != tokens[at].quote or tokens[at].tag != "NN":
        return False
    together = name.dep == "nsubj" and tokens[at].head in (name.index, name.head)
    return together or (name.head == at and name.dep == "appos")


def _describes(tokens: Sequence[Token], noun: Noun) -> bool:
    """Whether a name only says what sort of thing follows: "the Roman coin", "the Paris train"."""
    token = tokens[noun.head]
    thing = tokens[token.head]
    # "a Welsh maid-servant" is a servant
    hyphen = tokens[thing.index - 1].text == "-" and tokens[thing.index - 2].head == thing.index
    return (
        token.dep in ("compound", "amod", "nmod") and noun.last < thing.index <= noun.last + 2 + 2 * hyphen
        and thing.tag in ("NN", "NNS") and thing.text.islower()
        and (bool(noun.determiner) or not genders("person", thing.lemma))
    )  # fmt: skip


def _is_numeral(noun: Noun) -> bool:
    """ "II", "R. I. P.": a number or a letter by itself is nobody's name."""
    word = noun.name[0].rstrip(".").upper()
    return len(noun.name) == 1 and not noun.title and (len(word) < 2 or set(word) <= set("IVX"))


def _pronoun(tokens: Sequence[Token], at: int) -> Noun:
    token = tokens[at]
    gender, plural = PRONOUNS[token.low]
    return Noun(
        at, at, at, token.start, token.end, token.sentence, token.quote, "pronoun", token.low, token.text,
        gender=gender, plural=plural,
    )  # fmt: skip


def _speech_pronoun(tokens: Sequence[Token], at: int) -> Noun:
    token = tokens[at]
    return Noun(
        at, at, at, token.start, token.end, token.sentence, token.quote, "pronoun", token.low, token.text,
        animacy="person", gender="mf", plural=token.low in FIRST_PLURAL,
    )  # fmt: skip


def _name(tokens: Sequence[Token], at: int, proper: list[bool], names: Names) -> Noun:
    """A run of proper words, "of" and "the" between two of them included, with its titles and article."""
    last = at
    while last + 1 < len(tokens) and tokens[last + 1].sentence == tokens[at].sentence:
        ahead = tokens[last + 1]
        if (proper[last + 1] and tokens[last].low not in ("'s",)) or (
            ahead.text == "." and tokens[last].low in TITLE_POINT
        ):
            last += 1
        elif ahead.text in ("-", "'") and last + 2 < len(tokens) and proper[last + 2]:
            last += 2  # "the Fish-Footman"
        elif ahead.text == "-" and _hyphened(tokens, last):
            last += 2  # "Snow-white"
        elif ahead.low in ("of", "the", "de", "von", "van") and last + 2 < len(tokens) and proper[last + 2]:
            last += 2
        elif ahead.low == "of" and last + 3 < len(tokens) and tokens[last + 2].low == "the" and proper[last + 3]:
            last += 3
        elif tokens[last].low in words("title") | {"mr", "mrs"} and ahead.text[0].isupper() and ahead.tag in NOUN_TAGS:
            last += 1
        else:
            break
    while tokens[last].text == ".":
        last -= 1
    first = at
    pair = _couple(tokens, at, last)
    if pair:
        last = pair
    while first > 0 and tokens[first - 1].sentence == tokens[at].sentence:
        before = tokens[first - 1]
        leads = before.tag in ("DT", "PRP$")
        told = before.dep == "compound" or tokens[at].head == first - 1
        kin = before.tag == "NN" and genders("person", before.low) and (told or _is_called(tokens, first - 1))
        if not leads and not kin and (before.tag not in ("JJ", "CD", "JJS") or before.head < first):
            break
        first -= 1
        if leads:
            break
    run = [t for t in tokens[at : last + 1] if t.text not in (".", "-", "'")]
    title = ""
    parts = [t.text for t in run]
    if pair:
        family = tokens[pair + 3] if tokens[pair + 3].text != "." else tokens[pair + 4]
        parts.append(family.text)
    while len(parts) > 1 and parts[0].lower().rstrip(".") in words("title") and parts[1].lower() != "of":
        title, parts = parts[0].lower().rstrip("."), parts[1:]
    parts = [part for part in parts if not (len(part) == 2 and part[1] == ".")] or parts  # "Adam J. Hale"
    core = parts[: parts.index("of")] if "of" in parts[1:] else parts
    core = core[: core.index("the")] if "the" in core[1:] else core
    head = next((i for i in range(at, last + 1) if tokens[i].text == core[-1]), at)
    outer = next((i for i in range(at, last + 1) if not at <= tokens[i].head <= last), head)
    noun = _make(tokens, first, last, outer, "name")
    noun.title, noun.name, noun.lemma = title, tuple(parts), core[-1].lower()
    single = MANY.get(core[-1].lower()) or (core[-1][:-1].lower() if core[-1].endswith("s") else "")
    plural = tokens[last].tag == "NNPS" or single in names.capital
    people = core[-1].lower().endswith(("ites", "ians", "eans", "ines", "tines", "men"))
    noun.plural = plural and (noun.determiner in ("the", "number", "other") or people) and not title.startswith("mr")
    if (
        single
        and core[-1].lower() not in words("animal", "name")
        and (genders("person", single) or single in words("animal"))
    ):
        noun.plural = True
    kind_of_name(noun, names)
    return noun


def _couple(tokens: Sequence[Token], at: int, last: int) -> int:
    """Of "Mr" in "Mr and Mrs Dale": its last token, 0 where it is no such couple."""
    if tokens[at].low.rstrip(".") not in ("mr", "lord", "king", "sir", "dr", "captain") or any(
        t.text != "." for t in tokens[at + 1 : last + 1]
    ):
        return 0
    ahead = tokens[last + 1 : last + 5]
    if tokens[last].text != "." and ahead and ahead[0].text == ".":
        ahead = ahead[1:]
    if len(ahead) > 2 and ahead[0].low == "and" and ahead[1].low.rstrip(".") in ("mrs", "lady", "queen", "miss"):
        return ahead[0].index - 1 if ahead[0].index + 3 < len(tokens) else 0
    return 0


def _hyphened(tokens: Sequence[Token], at: int) -> bool:
    """Whether a name goes on behind a hyphen: not "Paris-made"."""
    if at + 2 >= len(tokens):
        return False
    hyphen, ahead = tokens[at + 1 : at + 3]
    joined = tokens[at].end == hyphen.start and hyphen.end == ahead.start
    return joined and ahead.text.isalpha() and ahead.dep not in ("amod", "compound")


MANY = {"children": "child", "men": "man", "women": "woman", "gentlemen": "gentleman", "people": "person"}
TITLE_POINT = these("mr mrs ms dr st messrs capt col gen prof rev hon lieut sgt")


def _description(tokens: Sequence[Token], at: int, proper: list[bool]) -> Noun:
    first = at
    while first > 0 and belongs(tokens, first - 1, at, proper):
        first -= 1
    noun = _make(tokens, first, at, at, "description")
    low = tokens[at].lemma if tokens[at].tag in NOUN_TAGS else tokens[at].low
    noun.lemma = low
    bare = low[:-1] if low.endswith("s") and not low.endswith("ss") else ""
    if bare and tokens[at].tag == "NN" and low not in EVERYDAY and bare in EVERYDAY:
        low, noun.lemma = bare, bare  # tagged as singular, "the treetops"
        noun.plural = True
    noun.after = after(tokens, at)
    noun.plural = (
        noun.plural or tokens[at].tag in ("NNS", "NNPS") or low in ("others", "everybody", "everyone", "people")
    )
    persons, animals = genders("person", low), low in words("animal")
    if low == "god" and tokens[at].text[0].isupper():
        persons = ""  # "God knows"
    plain = low.rsplit("-", 1)[-1]
    if not persons and not animals and "-" in low:
        persons, animals = genders("person", plain), plain in words("animal")
    if not persons and len(low) > 6 and low.endswith(("man", "woman", "boy", "girl", "maid", "wife")):
        persons = "f" if low.endswith(("woman", "girl", "maid", "wife")) else "m"
    people = low in words("group") or (noun.plural and tokens[at].low in words("group"))
    owned = any(tokens[c].dep in ("poss", "det") for c in tokens[at].children)
    alone = tokens[at].tag == "NN" and not noun.determiner and not owned and low not in FOLK  # "with pride"
    if people and not persons and (alone or counts_things(tokens, at, low)):
        noun.animacy, noun.gender = "thing", "n"
    elif people and not persons:
        noun.animacy, noun.gender, noun.plural = "group", "mfn", True
    elif low in SHAPES:
        noun.animacy, noun.gender = "thing", "n"
    elif low == "one" and noun.plural and YOUNG & set(noun.words):
        noun.animacy, noun.gender = "group", "mfn"  # "the little ones"
    elif persons and not (noun.determiner == "poss" and low in INNER and not noun.plural):
        noun.animacy, noun.gender = "person", persons.replace("n", "") or "mf"
        if low in ("baby", "infant", "child", "creature", "robot", "ghost", "doll", "monster"):
            noun.gender = "mfn"
    elif animals:
        noun.animacy, noun.gender = "animal", genders("animal", low) or "mfn"
    elif low == "thing" and not noun.plural and {"poor", "dear", "little", "sweet"} & set(noun.words):
        noun.animacy, noun.gender = "person", "mfn"  # "the poor little thing"
    elif low in words("indoor", "outdoor") or "-".join(noun.words[-2:]) in words("indoor", "outdoor"):
        noun.animacy, noun.gender = "place", "n"
    else:
        noun.animacy, noun.gender = "thing", "n"
        if len(low) > 5 and low.endswith(
            ("keeper", "teller", "sweeper", "monger", "maker", "seller", "smith", "wright", "herd")
        ):
            noun.animacy, noun.gender = "person", "mf"
    noun.restricted = any(
        (tokens[c].dep == "relcl" and tokens[at + 1].text != ",")
        or (c == at + 1 and tokens[c].dep == "prep" and tokens[c].low in ("with", "in", "at", "from"))
        for c in tokens[at].children if c > at
    )  # fmt: skip
    noun.gender = told_gender(noun)
    if noun.plural and noun.animacy in ("person", "animal"):
        noun.animacy = "group"
        noun.gender = "mfn"
        if noun.determiner == "number" and first < at and tokens[first].low in NUMBERS:
            noun.words = (tokens[first].low, *noun.words)  # "four girls" are "the four sisters"
    return noun


ACTS = words("verb.act", "verb.motion", "verb.speech")
YOUNG = these("young little loved dear")
FOLK = these("people folk cattle poultry livestock vermin police gentry clergy everybody everyone")
SHAPES = these("figure spirit")  # somebody only where they act: not "in high spirits"
INNER = these("person youth genius")  # "her person pleased him": nobody else
EVERYDAY = words("person", "animal", "group", "indoor", "outdoor", "generic", "thing", "body", "clothes")


LEADS = these("quite such what rather many half")  # "such a man"


def _make(tokens: Sequence[Token], first: int, last: int, head: int, kind: NounKind) -> Noun:
    lead = tokens[first]
    inside = tokens[first : last + 1]
    determiner = ""
    rest = list(inside)
    if lead.low in ("a", "an", "another") or (lead.low in LEADS and first < last and inside[1].low in ("a", "an")):
        determiner = "a"
    elif lead.low in ("the", "this", "that", "these", "those", "both", "all"):
        determiner = "the"
    elif lead.tag == "PRP$" or lead.low == "his":
        determiner = "poss"
    elif lead.low in ("no", "neither"):
        determiner = "no"
    elif lead.low in NUMBERS or lead.tag == "CD" or lead.low in ("some", "any", "every", "each", "one"):
        determiner = "number"
    if determiner and len(inside) > 1:
        rest = rest[1:]
    another = ("other",) if lead.low == "another" else ()
    said = {t.low for t in rest}
    if determiner in ("the", "poss", "number") and said & {"other", "others"}:
        determiner = "other"
    token = tokens[head]
    return Noun(
        head, first, last, lead.start, tokens[last].end, token.sentence, token.quote, kind, token.lemma, "",
        words=tuple(t.low for t in rest if t.text[0].isalnum()) + another,
        determiner=determiner,
    )  # fmt: skip
