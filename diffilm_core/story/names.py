"""Which words of a story are proper names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .lexicon import genders, these, words
from .parse import Token

SUBJECTS = frozenset(("nsubj", "nsubjpass", "csubj", "expl", "agent"))


SHORT = {
    short: line.split(":")[0]
    for line in (
        "thomas:tom tommy", "richard:dick dickie", "robert:bob bobby", "william:will bill billy",
        "charles:charley charlie",
        "james:jim jimmy", "joseph:joe joey", "samuel:sam sammy", "benjamin:ben", "daniel:dan danny", "david:dave davy",
        "frederick:fred freddy", "henry:harry hal", "edward:ned", "nicholas:nick", "philip:phil", "matthew:mat matt",
        "timothy:tim", "anthony:tony", "alexander:alec alick", "archibald:archie", "nathaniel:nat", "peter:pete",
        "andrew:andy", "michael:mike", "patrick:pat", "stephen:steve", "catherine:kate katie katy kitty",
        "caroline:carrie", "deborah:deb debby", "margaret:meg maggie peggy", "elizabeth:lizzie bessie", "frances:fanny",
        "susan:susy sue", "rebecca:becky", "sophia:sophy",
    )
    for short in line.split(":")[1].split()
}  # fmt: skip


def long_form(word: str) -> str:
    """The name, in small letters, of which a word is the short form: "Tom" is Thomas."""
    low = word.lower()
    return SHORT.get(low) or _of_animal(low)


def _of_animal(low: str) -> str:
    """The animal of a pet name: "Ratty" is Rat."""
    stem = low[:-1] if low.endswith("y") else low[:-2] if low.endswith("ie") else ""
    stem = stem[:-1] if len(stem) > 3 and stem[-1] == stem[-2] else stem
    return stem if stem in words("animal") and low not in words("animal", "name") else low


class Names:
    """Which words of a story are proper names: seen with a capital where no capital is due."""

    def __init__(self) -> None:
        self.capital: Counter[str] = Counter()
        self.small: Counter[str] = Counter()
        self.after_in: Counter[str] = Counter()
        self.acting: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()
        self.titled: set[str] = set()  # "Mr Temple": somebody of that name

    def learn(self, tokens: Sequence[Token], story: str) -> None:
        for at, token in enumerate(tokens):
            if not token.text[0].isalpha():
                continue
            low = token.low
            if token.text[0].islower():
                self.small[low] += 1
                continue
            self.seen[low] += 1
            shouted = sum(map(str.isalpha, token.text)) > 1 and story[token.start : token.end].isupper()  # not "J."
            if not shouted and not begins(tokens, at):
                self.capital[low] += 1
            if token.dep in SUBJECTS and tokens[token.head].lemma in words("verb.act"):
                self.acting[low] += 1
            before = tokens[at - 1].low if at else ""
            title = tokens[at - 2].low if before == "." and at > 1 else before
            if title.rstrip(".") in OF_PERSONS:
                self.titled.add(low)
            above = tokens[token.head]
            if token.dep == "dobj" and above.lemma in ("approach", "reach", "enter", "visit", "leave", "quit"):
                self.after_in[low] += 1
            if before == "of" and at > 1 and tokens[at - 2].lemma in LANDS:
                self.after_in[low] += 2
            if before in ("in", "at", "from", "near", "through", "towards", "into", "to") and token.dep in (
                "pobj",
                "compound",
            ):
                self.after_in[low] += 1

    def is_name(self, tokens: Sequence[Token], at: int) -> bool:
        token = tokens[at]
        low = token.low
        if low in TITLES and token.text[0].isupper() and _leads_name(tokens, at):
            return True  # "Colonel Hale", where a sentence begins
        if token.tag == "JJ" and token.dep == "acomp":
            return False  # "the girl was Irish"
        if (low.endswith(ABSTRACT) and len(low) > 6) or low in DIRECTIONS:
            known = low in words("name") or low in self.titled or self.acting[low] > 0
            if not known:
                return False  # "Latitude", "pointing East", "Delightful, charming"
        if begins(tokens, at) and low.endswith("ing") and len(low) > 5 and not self.capital[low]:
            return False  # "Riding was an indulgence"
        if (
            not token.text[0].isupper()
            or low in NEVER_NAMES
            or token.tag in ("PRP", "PRP$", "DT", "UH", "MD", "WP", "WRB")
        ):
            return False
        if (
            token.pos in ("VERB", "AUX", "ADV", "CCONJ", "SCONJ", "ADP", "PRON")
            and begins(tokens, at)
            and not self.capital[low]
        ):
            return False
        if token.pos == "ADJ" and not self.capital[low] and self.small[low]:
            return False
        if low in words("name") and not self.small[low]:
            return True
        if not begins(tokens, at):
            return self.capital[low] > 0 and self.small[low] <= 4 * self.capital[low]
        if self.capital[low]:
            return self.small[low] <= 2 * self.capital[low]
        return (
            not self.small[low]
            and token.tag in ("NNP", "NNPS")
            and not genders("person", low)
            and low not in words("animal", "indoor", "outdoor")
        )

    def is_place(self, word: str) -> bool:
        if word in words("place.name"):
            return True
        if word in self.titled:
            return False
        return self.after_in[word] * 3 > 2 * self.seen[word] and not self.acting[word] and word not in words("name")


NEVER_NAMES = words("season", "title") - words("title.m") - words("title.f") | these(
    "i o oh ah yes no well sir madam ma'am english french german spanish italian american dutch latin greek god lord"
    " heaven christmas hurrah alas hush ho ha ere lest lo nay aye yea verily hark amen hello hallo thus thence whence"
    " hence downstairs upstairs indoors outdoors outside inside overhead away down up off out back forth"
    " suddenly presently"
    " welsh scotch scottish irish british cornish manx swedish danish norse finnish polish turkish jewish swiss chinese"
    " japanese portuguese flemish moorish gaelic yiddish"
) - frozenset(("april", "may", "june"))


ABSTRACT = ("tion", "ness", "ity", "itude", "ship", "hood", "able", "ible", "ful", "less", "ous")  # not of names
DIRECTIONS = these("north south east west")
LANDS = these("town city village parish province county island isle state vale valley kingdom district port bank")
OF_PERSONS = these("mr mrs miss ms mister mistress dr sir lady captain colonel major farmer monsieur madame")
TITLES = words("title") - these("old little young poor dear big great good")


def _leads_name(tokens: Sequence[Token], at: int) -> bool:
    after = next((t for t in tokens[at + 1 : at + 3] if t.text != "."), None)
    return (
        after is not None and after.sentence == tokens[at].sentence and after.quote == tokens[at].quote
        and after.text[0].isupper() and after.tag in ("NNP", "NNPS") and after.low not in NEVER_NAMES
    )  # fmt: skip


def begins(tokens: Sequence[Token], at: int) -> bool:
    """Whether a capital is due here: the start of a sentence or of speech."""
    if at == 0 or tokens[at - 1].sentence != tokens[at].sentence or tokens[at - 1].quote != tokens[at].quote:
        return True
    before = at - 1
    if at > 1 and tokens[before].text == "-" and tokens[at - 2].end == tokens[before].start:
        return False  # "Half-Chick"
    while before >= 0 and tokens[before].text[0] in "\"'(`*-—":
        before -= 1
        if before < 0 or tokens[before].sentence != tokens[at].sentence:
            return True
    return tokens[before].text in (".", "!", "?", ":", "...") or before < at - 1
