"""The people, animals and things of a story: what has been said of each, and which of them a noun phrase means."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from .entities import NUMBERS, Noun
from .kinds import PARENTS, alike
from .lexicon import genders, these, words
from .names import long_form

LOOK_BACK = 6  # mentions of one entity that count
ACTIVE = 80  # of those mentioned last: who a later word can mean
SIDES = (
    {"old", "young", "new"}, {"big", "little", "small", "large", "tall", "short"},
    {"black", "white", "red", "grey", "brown", "yellow", "green", "blue"},
    {"first", "second", "third", "fourth", "last", "other"}, {"good", "bad", "wicked"},
    {"eldest", "youngest", "elder", "younger"}, {"father", "mother", "papa", "mama", "baby", "brother", "sister"},
    {"fat", "thin"}, {"dark", "fair"}, {"rich", "poor"},
)  # fmt: skip
CLAIMS = {"mrs": "w", "miss": "u", "ms": "u", "dr": "m", "doctor": "m", "prof": "m", "professor": "m"}
MARRIED = these("mrs lady madame")
TITLED = {
    "dr": ("doctor", "physician"), "capt": ("captain",), "col": ("colonel",), "gen": ("general",),
    "prof": ("professor",),
    "lieut": ("lieutenant",), "sgt": ("sergeant",), "rev": ("clergyman", "parson", "reverend", "cleric"),
    "father": ("priest", "cleric"), "reverend": ("clergyman", "parson", "cleric"),
    "old": (), "little": (), "young": (), "poor": (), "dear": (), "uncle": (),
    "aunt": (), "cousin": (), "brother": (), "sister": (), "mother": (), "sir": ("sir", "baronet", "knight"),
    "lord": ("lord", "nobleman", "marquis", "marquess", "earl", "viscount", "baron", "peer"),
}  # fmt: skip
UNSURE = 0.6  # times as salient, for an epithet that tells a gender: who may be of the other one
COUNTS = NUMBERS | these("thousand million dozen")
EPITHETS_PERSON = these(
    "man woman boy girl lady gentleman fellow child lad lass youth person maiden stranger creature"
    " lassie laddie babe infant damsel personage individual thing wretch villain rascal friend visitor guest traveller"
)
EPITHETS_ANIMAL = these("thing animal beast creature bird fish insect pet monster brute fellow rascal")


@dataclass(slots=True, eq=False)
class Entity:
    """Somebody or something of the story. members: who a group is made of, where that is known."""

    order: int
    lemma: str
    animacy: str
    gender: str
    plural: bool
    title: str = ""
    names: set[tuple[str, ...]] = field(default_factory=set)
    lemmas: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    after: str = ""
    owner: "Entity | None" = None
    members: "tuple[Entity, ...]" = ()
    nouns: list[Noun] = field(default_factory=list)
    trail: list[tuple[float, float, Noun]] = field(default_factory=list)  # clock, weight, where
    acts: int = 0
    called: bool = False  # by a name of its own, not only "the White Rabbit"
    epithets: set[str] = field(default_factory=set)  # descriptions that stood for it: "the old man" for King Leo
    into: "Entity | None" = None  # who it turned out to be
    neuter: int = 0  # how often the story calls it "it"
    kin: "list[tuple[str, Entity]]" = field(default_factory=list)  # what it is to whom: parent, child, spouse

    @property
    def proper(self) -> bool:
        return bool(self.names)

    @property
    def alive(self) -> bool:
        return self.animacy in ("person", "animal", "group")

    @property
    def family(self) -> set[str]:
        return {name[-1] for name in self.names if len(name) > 1 or self.title}

    def fits(self, gender: str, plural: bool) -> bool:
        return self.plural == plural and bool(set(self.gender) & set(gender))


class Registry:
    """All entities, and those mentioned last by their words."""

    def __init__(self, votes: dict[str, Counter[str]], full: dict[str, str]) -> None:
        self.entities: list[Entity] = []
        self.active: list[Entity] = []
        self.by_word: defaultdict[str, list[Entity]] = defaultdict(list)
        self.votes = votes
        self.full = full  # the last name of a first name, the first of a last, where there is only one

    def touch(self, entity: Entity) -> None:
        if entity in self.active:
            self.active.remove(entity)
        self.active.append(entity)
        del self.active[:-ACTIVE]

    def forget(self, entity: Entity) -> None:
        """Somebody who turned out to be somebody else."""
        if entity in self.active:
            self.active.remove(entity)
        for known in self.by_word.values():
            if entity in known:
                known.remove(entity)
        entity.nouns.clear()

    def merge(self, kept: Entity, gone: Entity) -> None:
        """Two who turned out to be one."""
        gone.into = kept
        kept.nouns = sorted([*kept.nouns, *gone.nouns], key=lambda noun: noun.start)
        kept.trail = sorted([*kept.trail, *gone.trail], key=lambda item: item[0])[-LOOK_BACK:]
        kept.acts += gone.acts
        kept.words |= gone.words
        kept.kin += gone.kin
        for word in gone.lemmas:
            self._learn_word(kept, word)
        kept.gender = "".join(g for g in kept.gender if g in gone.gender) or kept.gender
        self.forget(gone)

    def titled(self, noun: Noun, entity: Entity | None) -> Entity | None:
        """Who was only "the doctor" before his name was told: "Dr Hale"."""
        if noun.kind != "name" or not noun.title:
            return None
        called = TITLED.get(noun.title, (noun.title,) if genders("person", noun.title) else ())
        known = [e for word in called for e in self.by_word.get(word, ()) if e is not entity]
        if len(known) != 1 or known[0] not in self.active or known[0].nouns[0].determiner != "the":
            return None
        nameless = not known[0].proper and not known[0].plural and known[0].fits(noun.gender, False)
        return known[0] if nameless else None

    def add(self, noun: Noun) -> Entity:
        entity = Entity(len(self.entities), noun.lemma, noun.animacy, noun.gender, noun.plural, noun.title)
        self.entities.append(entity)
        self.learn(entity, noun)
        vote = self.votes.get(key_of(noun))
        if vote and not noun.plural and entity.alive:
            best, count = vote.most_common(1)[0]
            by_name = noun.kind == "name" and not noun.title and genders("name", noun.name[0].lower()) == entity.gender
            if by_name and count > 2 and count * 4 >= 3 * sum(vote.values()) and best != "n":
                entity.gender = best  # a Sydney who is a woman
            if len(set(entity.gender) - {"n"}) != 1 and count * 3 >= 2 * sum(vote.values()) and best in entity.gender:
                stays = "n" if entity.animacy == "animal" and not entity.called else ""  # may be "it" elsewhere
                entity.gender = best + stays if best != "n" else entity.gender
        return entity

    def learn(self, entity: Entity, noun: Noun) -> None:
        """What the noun phrase says of the entity."""
        if noun.kind == "name":
            entity.called = entity.called or noun.determiner != "the"
            name = tuple(map(long_form, noun.name))
            if name not in entity.names:
                entity.names.add(name)
                for word in name:
                    if entity not in self.by_word[word]:
                        self.by_word[word].append(entity)
            entity.title = entity.title or noun.title
            for called in TITLED.get(noun.title, (noun.title,) if genders("person", noun.title) else ()):
                self._learn_word(entity, called)
        self._learn_word(entity, noun.lemma)
        entity.words.update(noun.words)
        entity.after = entity.after or noun.after
        narrowed = "".join(g for g in entity.gender if g in noun.gender)
        if narrowed and noun.kind != "pronoun":
            entity.gender = narrowed
        if entity.animacy in ("", "thing") and noun.animacy not in ("", "thing"):
            entity.animacy = noun.animacy

    def _learn_word(self, entity: Entity, word: str) -> None:
        if word not in entity.lemmas:
            entity.lemmas.add(word)
            if entity not in self.by_word[word]:
                self.by_word[word].append(entity)

    def find(self, noun: Noun, owner: Entity | None) -> Entity | None:
        """The entity that a name or description means, None where it is a new one."""
        known = [e for e in self.by_word.get(noun.lemma, ()) if e.plural == noun.plural]
        if noun.kind == "name":
            said = tuple(map(long_form, noun.name))
            said = (*said, noun.title, *(self.full[word] for word in said if word in self.full))
            known = list(dict.fromkeys(e for word in said for e in self.by_word.get(word, ())))
            fitting = [e for e in known if self._same_name(e, noun)]
            if fitting:
                return max(fitting, key=lambda e: (not self._wife(e, noun), self.recency(e)))
            if noun.lemma not in words("animal") and not genders("person", noun.lemma) and noun.determiner != "the":
                return None
            known = [e for e in self.by_word.get(noun.lemma, ()) if e.plural == noun.plural]
            known = [e for e in known if len(noun.name) == 1 or not e.names]
        if noun.kind != "name" and (noun.determiner == "a" or self.bare(noun)):
            return None
        fitting = [e for e in known if noun.lemma in e.lemmas and self._compatible(e, noun, owner)]
        if noun.after and noun.determiner == "the" and noun.plural:  # "the men of the village": not the men before
            fitting = [e for e in fitting if e.after == noun.after or not e.alive or e.proper]
        if noun.restricted and noun.kind == "description":
            fitting = [e for e in fitting if not e.proper]
        if not fitting and noun.plural and noun.animacy == "group" and noun.determiner == "the":
            count = COUNTS & set(noun.words)  # "the four sisters" are the four girls
            fitting = [e for e in self.active if count and e.alive and e.plural and count == COUNTS & e.words]
        if not fitting and noun.kind == "description" and noun.determiner == "the":
            return self._otherwise(noun, owner)
        if fitting:
            return max(fitting, key=lambda e: (len(set(noun.words) & e.words), self.recency(e)))
        return None

    def _otherwise(self, noun: Noun, owner: Entity | None) -> Entity | None:
        """Who was called so by another word: "the lassie", of a girl."""
        if noun.plural or noun.restricted:
            return None
        known = [e for word in sorted(alike(noun.lemma)) for e in self.by_word.get(word, ()) if e in self.active]
        known = [e for e in known if e.fits(noun.gender, False) and self._compatible(e, noun, owner)]
        return max(known, key=lambda e: (self.recency(e), e.order), default=None)

    def each(self, noun: Noun) -> tuple[Entity, ...]:
        """ "Both footmen", "the two boys": those who were each called one before."""
        known = [e for e in self.by_word.get(noun.lemma, ()) if not e.plural and e.alive and e in self.active]
        two = "two" in noun.words or noun.text.lower().startswith("both")
        return tuple(known) if len(known) == 2 and two and not noun.after else ()

    def bare(self, noun: Noun) -> bool:
        """A lower-case noun without an article: nobody in particular, or somebody new."""
        return (
            noun.kind == "description" and noun.determiner == "" and noun.text[:1].islower()
            and (noun.animacy in ("person", "animal") or (noun.animacy == "group" and noun.lemma not in words("group")))
        )  # fmt: skip

    def epithet(self, noun: Noun, busy: Iterable[Entity], scores: dict[Entity, float]) -> Entity | None:
        """Who "the old man" or "the creature" is, where nobody was called so before: the most salient that fits."""
        if noun.determiner != "the" or noun.plural or noun.kind == "name" or noun.restricted:
            return None
        out = []
        for entity, score in scores.items():
            kinds = EPITHETS_PERSON if entity.animacy == "person" else EPITHETS_ANIMAL
            creature = noun.animacy == "animal" or noun.lemma == "thing"
            species = entity.animacy == "animal" and creature and noun.lemma in kinds
            someone = entity.animacy == "person" and noun.animacy == "person" and noun.lemma in kinds
            human = bool(PARENTS & set(noun.words)) and entity.called and not entity.lemmas & words("animal")
            gentle = noun.animacy == "animal" and entity.animacy == "person" and human  # "the old gentleman rabbit"
            if not (species or someone or gentle) or entity in busy or not entity.fits(noun.gender, False):
                continue
            if entity.proper or entity.lemma not in EPITHETS_PERSON:
                shared = len(set(noun.words) & entity.words) + (noun.lemma in entity.epithets)
                if set(entity.gender) - {"n"} != set(noun.gender) - {"n"}:
                    score *= UNSURE
                if score > 0.3 or shared:
                    out.append((shared, score, entity.order, entity))
        best = max(out, key=lambda item: item[:3], default=None)
        if best is None:
            return None
        best[3].epithets.add(noun.lemma)
        if noun.animacy == "animal" and best[3].animacy == "person":
            self._learn_word(best[3], noun.lemma)
        return best[3]

    def recency(self, entity: Entity) -> float:
        return entity.trail[-1][0] if entity.trail else -1.0

    def _same_name(self, entity: Entity, noun: Noun) -> bool:
        name = tuple(map(long_form, noun.name))
        if not entity.names or entity.plural != noun.plural:
            return False
        if not (set(entity.gender) & set(noun.gender)):
            return False
        one, other = _claims(noun.title), _claims(entity.title)
        if (one and other and one != other) or any(_relatives(name, known) for known in entity.names):
            return False
        if noun.title == "mrs" and not entity.title and len(name) == 1 and name[0] in entity.family:
            first = any(len(known) == 1 for known in entity.names)  # "Emma" is not Mrs Hale too
            return name in entity.names or (not first and self._only(entity, name[0]))
        other_name = (self.full.get(name[0], ""),) if len(name) == 1 else ("",)
        if other_name in entity.names and not {noun.title, entity.title} & MARRIED:
            return True  # "Evan" and "MacIan", where somebody is Evan MacIan
        for known in entity.names:
            if known == name or (known == (noun.title,) and not entity.called):
                return True  # "the Count" is Count Gregory
            if len(name) == 1 and len(known) > 1:
                if name[0] == known[-1] or (name[0] == known[0] and (not one or bool(genders("name", name[0])))):
                    return True  # "Mrs Rachel" is Rachel Hale
            elif len(known) == 1 and len(name) > 1:
                shared = known[0] == name[0] or (known[0] == name[-1] and self._only(entity, name[-1]))
                if shared and not (noun.animacy == "animal" and known[0] == name[-1] and not entity.alive):
                    return True
            elif len(name) > 1 and len(known) > 1 and (set(known) <= set(name) or set(name) <= set(known)):
                return True
        return False

    def _wife(self, entity: Entity, noun: Noun) -> bool:
        """Whether a family name by itself is rather another's than hers: "Hale", of Mr and Mrs Hale."""
        word = noun.name[0].lower()
        hers = entity.title in ("mrs", "miss", "ms") and word in entity.family and not genders("name", word)
        first = any(known[0] == word for known in entity.names if len(known) > 1)
        return hers and not first and not noun.title and len(noun.name) == 1

    def _only(self, entity: Entity, family: str) -> bool:
        """Whether nobody else of the family can be of the entity's gender."""
        others = [e for e in self._families(family) if e is not entity]
        return not any(set(e.gender) & set(entity.gender) for e in others)

    def _families(self, word: str) -> list[Entity]:
        return [e for e in self.by_word.get(word, ()) if word in e.family]

    def _compatible(self, entity: Entity, noun: Noun, owner: Entity | None) -> bool:
        others = owner is not None and noun.determiner == "poss" and entity.owner not in (None, owner)
        sure = noun.owner is None or noun.owner.kind != "pronoun" or len(self.by_word[noun.lemma]) > 1
        if others and sure:
            return False  # "his mother" may be of somebody mistaken; "Tom's mother" is Tom's
        stranger = noun.determiner == "poss" and owner is not None and entity.owner is None and entity.alive
        if stranger and entity not in self.active[-12:]:
            return False
        if noun.after and entity.after and noun.after != entity.after and noun.plural:
            return False
        for side in SIDES:
            mine, theirs = side & set(noun.words), side & entity.words
            if mine and theirs and not mine & theirs and "other" in side | {"other"}:
                if side & {"big", "little"} or (entity.proper and side & {"old", "good", "dark"}):
                    continue
                return False
        if "other" in noun.words and "other" not in entity.words:
            return False
        return not (noun.determiner == "number" and noun.words[:1] == ("one",))


def _relatives(name: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two names in full are of two who share the last: "Adam Hale" and "Tom Hale", not "A. Hale"."""
    if min(len(name), len(other)) < 2 or name[-1] != other[-1] or name[0][0] == other[0][0]:
        return False
    return name[0] not in other and other[0] not in name


def _claims(title: str) -> str:
    """Whom a title fits: a man, a wife, an unmarried woman; "" anybody."""
    return CLAIMS.get(title, "m" if genders("title", title) == "m" else "")


def key_of(noun: Noun) -> str:
    """What votes on a gender are counted under: the whole name, else the noun."""
    return " ".join(noun.name).lower() if noun.kind == "name" else noun.lemma


def identifier(name: str, taken: set[str]) -> str:
    """An id of letters and dashes, numbered where it is taken."""
    base = re.sub(r"[^\w]+", "-", name.lower(), flags=re.UNICODE).strip("-_")
    base = re.sub(r"^(?:the|a|an)-", "", base)[:40].strip("-") or "someone"
    out, n = base, 2
    while out in taken:
        out, n = f"{base}-{n}", n + 1
    taken.add(out)
    return out
