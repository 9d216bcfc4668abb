"""What a name stands for: a person, an animal, a place, a time or a thing; and its gender."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lexicon import genders, these, words
from .names import Names

if TYPE_CHECKING:
    from .entities import Noun

PARENTS = these("father mother papa mama mamma daddy mummy brother sister lady gentleman boy girl")
ALIKE = tuple(
    these(line)
    for line in (
        "girl lass lassie maiden damsel miss", "boy lad laddie youth youngster", "baby babe infant",
        "man fellow chap bloke", "child boy girl baby babe infant lad lass lassie laddie", "king monarch sovereign",
        "priest clergyman parson cleric vicar", "doctor physician surgeon", "sailor seaman mariner",
        "thief robber burglar", "mother mamma mama", "father papa", "lady gentlewoman", "woman female", "dog hound",
        "donkey ass", "pig hog swine", "rabbit bunny hare", "rooster cock", "cat puss kitty",
    )
)  # fmt: skip


def alike(word: str) -> frozenset[str]:
    """The words that may stand for the same one: a girl is a lass, and a child."""
    return frozenset().union(*(group for group in ALIKE if word in group))


def kind_of_name(noun: Noun, names: Names) -> None:
    low = [part.lower() for part in noun.name]
    last = noun.lemma
    singular = last[:-1] if last.endswith("s") and last not in words("animal", "name", "person") else last
    if "the" in low[1:-1]:
        singular = low[-1]
    if noun.title or genders("name", low[0]):
        noun.animacy = "animal" if singular in words("animal") else "person"
        noun.gender = genders("title", noun.title).replace("n", "") or genders("name", low[0]) or "mf"
        if not noun.title and singular in words("animal"):
            noun.gender = (genders("name", low[0]) or "mf") + "n"
    elif genders("person", singular):
        noun.animacy, noun.gender = "person", genders("person", singular).replace("n", "") or "mf"
    elif singular in words("animal"):
        noun.animacy, noun.gender = (
            "animal",
            genders("animal", singular) + "n" if genders("animal", singular) else "mfn",
        )
    elif (
        (singular in words("indoor", "outdoor") and not {singular, last} & names.titled and not _acts(noun, names))
        or names.is_place(last)
        or (len(last) > 6 and last.endswith(("land", "shire")))
        or noun.name[0].lower() in ("mount", "lake")
    ):
        noun.animacy, noun.gender = "place", "n"
    elif singular in words("time", "season"):
        noun.animacy, noun.gender = "time", "n"
    elif (called := next((g for word in noun.words if (g := genders("person", word))), "")) and noun.determiner:
        noun.animacy, noun.gender = "person", called.replace("n", "") or "mf"  # "the widow Hale"
    else:
        noun.animacy, noun.gender = "person", "mf" if noun.title else "mfn"
        folk = last.endswith(("er", "man", "ian", "ite", "ese"))
        if noun.determiner == "the" and not noun.plural and not names.acting[last] and not folk:
            noun.animacy = "thing"
    noun.gender = told_gender(noun)
    if noun.plural:
        noun.gender = "mfn"
        noun.animacy = "group" if noun.animacy in ("person", "animal") else noun.animacy


def _acts(noun: Noun, names: Names) -> bool:
    """Whether somebody of that name does something: Dale, but not "the Dale"."""
    return noun.determiner == "" and names.acting[noun.lemma] > 0


def told_gender(noun: Noun) -> str:
    """ "the mother duck", "the little father Jackal": what a word of kin says."""
    said = {genders("person", word) for word in noun.words if word in PARENTS and word != noun.lemma}
    return said.pop() if len(said) == 1 and noun.animacy in ("person", "animal") else noun.gender
