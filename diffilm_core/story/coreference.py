"""Whom each pronoun and each description means, and who speaks.

Salience by role, halved as the story goes on (Lappin and Leass 1994), with number and gender, and no two
arguments of one verb the same; gender is learned from titles, names, kin and earlier pronouns.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence

from .cast import Entity, Registry
from .clauses import is_likened, is_visible
from .entities import FIRST, FIRST_PLURAL, SECOND, Noun
from .grammar import Grammar
from .lexicon import these, words
from .parse import Token
from .ranking import LATELY, Context, choose
from .salience import FADING, remember, salience, weight_of
from .speakers import Talk

REFLEXIVE = these("himself herself itself themselves")
BOUND = 1.3  # times as salient: the subject of the clause above
AROUND = these("about around round before behind beside above beneath under over near")
RELATED = these("friend companion comrade partner fellow")
WAITS = 3  # sentences, for a name that comes later
COLLECTIVE = these("crew party company family band group troop gang team couple pair")
EMPTY_IT = these("seem appear happen rain snow hail thunder turn chance matter follow")


class Resolver:
    """Reads paragraph after paragraph; every noun is given its entities."""

    def __init__(self, votes: dict[str, Counter[str]]) -> None:
        self.registry = Registry(votes)
        self.clock = 0.0
        self.narrator: Entity | None = None
        self.us: Entity | None = None
        self.talk = Talk(self.registry)
        self.waiting: list[tuple[float, Noun]] = []  # pronouns that nobody named before fits
        self.said: dict[str, Entity] = {}  # whom the last pronoun of a gender meant
        self.opened: tuple[Entity, ...] = ()  # who is the first subject of the sentence
        self.before: tuple[Entity, ...] = ()  # and of the one before
        self.sets: list[tuple[float, tuple[Entity, ...]]] = []  # named together: "Tom and Ann"

    def read(self, tokens: Sequence[Token], nouns: Sequence[Noun], open_end: bool, spoken: bool) -> dict[int, Entity]:
        """Resolve a paragraph. open_end: its speech is not closed; spoken: it begins with speech. Speakers by
        quotation."""
        self.tokens = tokens
        self.grammar = Grammar(tokens, nouns)
        clock = self.clock
        last = -1
        for noun in nouns:
            if noun.quote < 0:
                if noun.sentence != last:
                    self.clock += 1
                    last = noun.sentence
                    self.before, self.opened = self.opened or self.before, ()
                self._resolve(noun, nouns)
        if last < 0:
            self.clock += 0.35
        speakers = self.talk.read(tokens, nouns, spoken, self.clock, self.grammar)
        self.talk.unclosed = speakers.get(max(speakers)) if open_end and speakers else None
        told = self.clock
        for noun in nouns:
            if noun.quote >= 0:
                self._resolve(noun, nouns, speakers.get(noun.quote))
        self.clock = max(told, clock)
        return speakers

    def new_scene(self) -> None:
        """A heading or a break: no pronoun reaches over it."""
        self.clock += 8
        self.sets.clear()
        self.talk.end()

    # -- one noun -------------------------------------------------------------------------------------------------

    def _resolve(self, noun: Noun, nouns: Sequence[Noun], speaker: Entity | None = None) -> None:
        found: tuple[Entity, ...]
        if noun.kind == "pronoun":
            found = self._pronoun(noun, nouns, speaker)
        else:
            found = self._named(noun, nouns)
        noun.entities = list(found)
        noun.visible = is_visible(self.tokens, noun)
        if noun.role == "subject" and noun.quote < 0 and not self.opened and found and found[0].alive:
            self.opened = found
        for entity in found:
            self._mention(entity, noun)
        if noun.joined is not None and found and noun.joined.entities:
            together = (*noun.joined.entities, *found)
            earlier = self.sets[-1][1] if self.sets else ()
            if set(noun.joined.entities) <= set(earlier) and noun.joined.sentence == noun.sentence:
                together = tuple(dict.fromkeys((*earlier, *found)))
            if all(e.alive for e in together):
                self.sets.append((self.clock, tuple(dict.fromkeys(together))))
                del self.sets[:-12]

    def _mention(self, entity: Entity, noun: Noun) -> None:
        if noun.quote < 0 or noun.lemma not in FIRST | SECOND:
            remember(entity, self.clock, weight_of(self.tokens, noun, entity), noun)
        entity.nouns.append(noun)
        told = noun.quote < 0 and noun.role == "subject" and noun.verb >= 0
        if told and self.tokens[noun.verb].lemma in words("verb.act"):
            entity.acts += 1
        self.registry.touch(entity)

    def _named(self, noun: Noun, nouns: Sequence[Noun]) -> tuple[Entity, ...]:
        registry = self.registry
        owner = noun.owner.entities[0] if noun.owner is not None and noun.owner.entities else None
        if noun.same is not None and noun.same.entities and self._same(noun, noun.same):
            entity = noun.same.entities[0]
            known = registry.find(noun, None) if noun.kind == "name" else None
            if known is not None and known is not entity and noun.quote < 0:
                if entity.nouns == [noun.same]:  # "his cousin, Tom": Tom, who is known
                    noun.same.entities = [known]
                    known.nouns.append(noun.same)
                    registry.forget(entity)
                return (known,)
            if noun.quote >= 0:
                return ()  # "You are a policeman": who knows
            registry.learn(entity, noun)
            return (entity,)
        if noun.animacy == "time" or (
            noun.preposition == "as" and noun.kind == "description" and noun.determiner != "the"
        ):
            return ()  # "praised as an officer"
        found = registry.find(noun, owner)
        if found is None and noun.animacy in ("person", "animal"):
            found = self._epithet(noun, nouns)
            if found is not None:
                return (found,)
        if found is None and registry.bare(noun) and noun.role != "subject":
            return ()
        if found is None and noun.determiner == "a" and is_likened(self.tokens, noun.head):
            return ()  # "like a great butterfly"
        alone = noun.owner is not None and len(noun.owner.entities) == 1
        if found is None and noun.lemma in RELATED and owner is not None and alone and not noun.plural:
            found = self._other(owner, noun)
        if found is None:
            found = registry.add(noun)
            found.owner = owner
            if self.waiting and noun.kind == "name" and noun.quote < 0 and noun.role != "possessor":
                self._fulfil(found, noun)
        else:
            registry.learn(found, noun)
        it = noun.same if noun.role == "predicate" else None
        if it is not None and it.lemma == "it" and noun.determiner == "a" and noun.kind != "name" and not any(e.alive for e in it.entities) and found.alive:
            it.entities, it.visible = [found], noun.visible  # "it was a beautiful lady"
            found.nouns.append(it)
        nameless = registry.titled(noun, found)
        if nameless is not None and noun.quote < 0 and all(n.sentence != noun.sentence for n in nameless.nouns):
            self._merge(found, nameless)
        return (found,)

    def _merge(self, kept: Entity, gone: Entity) -> None:
        """Wherever one of two stood who are the same stands the other."""

        def of(entity: Entity) -> Entity:
            return kept if entity is gone else entity

        self.registry.merge(kept, gone)
        self.sets = [(clock, tuple(dict.fromkeys(map(of, members)))) for clock, members in self.sets]
        self.talk.turns = [(of(one), heard and of(heard)) for one, heard in self.talk.turns]
        self.talk.pending, self.talk.unclosed = (e and of(e) for e in (self.talk.pending, self.talk.unclosed))
        self.talk.acted = self.talk.acted and of(self.talk.acted)
        for noun in kept.nouns:
            noun.entities = list(dict.fromkeys(map(of, noun.entities)))

    def _epithet(self, noun: Noun, nouns: Sequence[Noun]) -> Entity | None:
        busy = self._busy(noun, nouns)
        heard = self.talk.heard if self._reports(noun) else None
        if heard is not None and self.talk.turns and heard not in busy:
            busy = {*busy, self.talk.turns[-1][0]}  # "said the young man": the one who was spoken to
        scores = {e: salience(e, noun, self.clock) for e in self.registry.active if e.alive}
        if heard in scores:
            scores[heard] *= 2
        return self.registry.epithet(noun, busy, scores)

    def _other(self, owner: Entity, noun: Noun) -> Entity | None:
        """ "His friend": the other one who is there."""
        others = [e for e in self.registry.active if e.alive and e is not owner and e.proper]
        there = [(salience(e, noun, self.clock), -e.order, e) for e in others if e.fits(noun.gender, False)]
        best = max(there, default=None, key=lambda item: item[:2])
        return best[2] if best is not None and best[0] > 0.05 else None

    def _same(self, noun: Noun, other: Noun) -> bool:
        entity = other.entities[0]
        if noun.determiner == "no" or noun.plural != entity.plural:
            return False
        if noun.role == "predicate":
            return noun.kind == "description" and noun.animacy in ("person", "animal", "group") and entity.alive
        return (
            entity.alive
            and noun.animacy in ("person", "animal", "group")
            and bool(set(entity.gender) & set(noun.gender))
        )

    def _busy(self, noun: Noun, nouns: Sequence[Noun]) -> set[Entity]:
        """Who is another argument of the noun's verb and so cannot be meant."""
        if noun.role == "possessor":
            head = self.tokens[noun.head].head
            return {e for n in nouns if n.head == head for e in n.entities}
        out: set[Entity] = set()
        for other in nouns:
            if (
                other is noun
                or other.verb != noun.verb
                or not other.entities
                or other.role == "possessor"
                or noun.verb < 0
            ):
                continue
            if other.joined is not None and noun.joined is None and other.joined is noun:
                continue
            out.update(other.entities)
            for entity in other.entities:
                out.update(entity.members)
        if noun.joined is not None:
            out.update(noun.joined.entities)
        if noun.role in ("object", "oblique") and noun.verb >= 0:
            subject = self.grammar.subject(noun.verb)
            if subject is not None:
                out.update(subject.entities)
                for entity in subject.entities:
                    out.update(entity.members)
            if noun.preposition in AROUND and subject is not None:
                out.difference_update(subject.entities)  # "she looked about her"
        return out

    # -- pronouns -------------------------------------------------------------------------------------------------

    def _pronoun(self, noun: Noun, nouns: Sequence[Noun], speaker: Entity | None) -> tuple[Entity, ...]:
        low = noun.lemma
        if low in FIRST or low in FIRST_PLURAL or low in SECOND:
            return self._speech(noun, speaker)
        if low == "it" and self._empty(noun):
            return ()
        if low in REFLEXIVE:
            subject = self._itself(noun, nouns) or self.grammar.subject(noun.verb)
            if subject is not None and subject.entities:
                together = [e for n in nouns if n.joined is subject and n.verb == subject.verb for e in n.entities]
                if noun.plural and together:
                    return tuple(dict.fromkeys((*subject.entities, *together)))
                fit = [e for e in subject.entities if set(e.gender) & set(noun.gender)]
                if fit:
                    return tuple(subject.entities)
        busy = self._busy(noun, nouns) if low not in REFLEXIVE else set()
        if noun.quote >= 0:
            busy |= {e for e in (speaker, self.talk.heard) if e is not None}
        elif noun.role == "subject" and noun.verb >= 0 and self.tokens[noun.verb].lemma in words("verb.speech"):
            busy |= self._spoken_of(noun, nouns)
        busy |= self._below(noun, nouns)
        if noun.plural:
            return self._they(noun, busy, set(self._binder(noun)[1]))
        fitting = [e for e in self.registry.active if e not in busy and self._agrees(e, noun)]
        entity = choose(fitting, noun, self._context(noun))
        if entity is None:
            if noun.gender in ("m", "f") and noun.quote < 0:
                self.waiting.append((self.clock, noun))
            return ()
        self.said[noun.gender] = entity
        if noun.gender == "n" and noun.quote < 0 and not _is_he_or_she(entity):
            entity.neuter += 1
        if noun.gender in ("m", "f") and entity.alive:
            entity.gender = noun.gender + ("n" if entity.animacy == "animal" and not entity.called else "")
        return (entity,)

    def _itself(self, noun: Noun, nouns: Sequence[Noun]) -> Noun | None:
        """ "The fish themselves": the noun that stands before the pronoun."""
        return next((n for n in nouns if n.last == noun.first - 1 and n.plural == noun.plural and n.entities), None)

    def _agrees(self, entity: Entity, noun: Noun) -> bool:
        """Whether a pronoun in the singular can stand for the entity at all."""
        if not entity.fits(noun.gender, False) or entity.animacy == "time" or entity is self.narrator:
            return False
        if noun.gender == "n":
            return entity.animacy != "person" or "n" in entity.gender
        if entity.neuter > 1 and not entity.called and noun.quote < 0:
            return False
        return entity.alive or entity.acts > 0

    def _context(self, noun: Noun) -> Context:
        binder, bound = self._binder(noun)
        turn: tuple[Entity | None, Entity | None] = (None, None)
        if noun.quote < 0 and self.talk.turns and self.clock - self.talk.since < 1 and self._reports(noun):
            turn = self.talk.turns[-1]
        return Context(self.clock, binder, bound, self.opened, self.before, self.said, turn)

    def _binder(self, noun: Noun) -> tuple[str, tuple[Entity, ...]]:
        """Who stands above the pronoun in its sentence: the subject of its own clause for a possessor, that of the
        clause above for a subject."""
        above = None
        if noun.role == "possessor":
            above = self.grammar.subject(noun.verb)
            if above is not None and above.head == self.tokens[noun.head].head:
                above = self.grammar.above(noun.verb)
        elif noun.role == "subject" and noun.verb >= 0:
            above = self.grammar.above(noun.verb)
        elif noun.verb >= 0:
            above = self.grammar.subject(noun.verb)
            if above is not None and noun.preposition not in AROUND:
                above = self.grammar.above(above.verb)
        if above is None or above.quote != noun.quote:
            return "", ()
        between = self.tokens[min(above.head, noun.head) : max(above.head, noun.head)]
        if noun.role == "subject" and any(token.text in (";", ":") for token in between):
            return "", ()
        kind = {"possessor": "own", "subject": "above"}.get(noun.role, "over")
        return kind, tuple(above.entities)

    def _reports(self, noun: Noun) -> bool:
        """Whether the pronoun is the subject of the words that report a speech."""
        return noun.role == "subject" and noun.verb >= 0 and self.tokens[noun.verb].lemma in words("verb.speech")

    def _spoken_of(self, noun: Noun, nouns: Sequence[Noun]) -> set[Entity]:
        """Those whom the speech beside the verb names: hardly anybody calls himself by his name."""
        beside = (noun.first - 1, noun.first - 2, noun.verb - 1, noun.verb + 1, noun.verb + 2)
        near = {self.tokens[i].quote for i in beside if 0 <= i < len(self.tokens)}
        out: set[Entity] = set()
        for other in nouns:
            if other.quote >= 0 and other.quote in near and other.kind != "pronoun" and other.role != "possessor":
                found = self.registry.find(other, None)
                if found is not None:
                    out.update((found, *found.members))
        return out

    def _fulfil(self, entity: Entity, noun: Noun) -> None:
        """Pronouns that came before the name that they mean: "As he rode, the king sang"."""
        kept = []
        for clock, pronoun in self.waiting:
            if self.clock - clock > WAITS:
                continue
            if self._agrees(entity, pronoun) and entity.animacy == "person":
                pronoun.entities = [entity]
                pronoun.visible = is_visible(self.tokens, pronoun) if pronoun.sentence == noun.sentence else True
                entity.nouns.append(pronoun)
                entity.gender = pronoun.gender
            else:
                kept.append((clock, pronoun))
        self.waiting = kept

    def _below(self, noun: Noun, nouns: Sequence[Noun]) -> set[Entity]:
        """Who is named after a subject pronoun within what its verb says: never the same (principle C)."""
        if noun.role != "subject" or noun.verb < 0:
            return set()
        out: set[Entity] = set()
        for later in nouns:
            if (
                later.sentence != noun.sentence
                or later.start < noun.end
                or later.kind == "pronoun"
                or later.quote != noun.quote
            ):
                continue
            at = later.head
            for _ in range(12):
                if at == noun.verb:
                    found = self.registry.find(later, None)
                    out.update((found,) if found else ())
                    break
                token = self.tokens[at]
                verbal = token.pos in ("VERB", "AUX")
                if (verbal and token.dep in ("conj", "relcl", "advcl", "parataxis")) or token.head == at:
                    break
                at = self.tokens[at].head
        return out

    def _they(self, noun: Noun, busy: set[Entity], bound: set[Entity]) -> tuple[Entity, ...]:
        options: list[tuple[float, int, tuple[Entity, ...]]] = []
        for entity in self.registry.active:
            if entity.plural and entity not in busy:
                score = salience(entity, noun, self.clock) * (1.0 if entity.alive else 0.6) * (BOUND if entity in bound else 1.0)
                options.append((score, 0, (entity,)))
        for clock, members in self.sets:
            if not set(members) & busy:
                options.append((1.2 * FADING ** (self.clock - clock), 1, members))
        people = [
            (salience(e, noun, self.clock), e)
            for e in self.registry.active
            if e.alive and not e.plural and e not in busy
        ]
        people = sorted((p for p in people if p[0] > 0.25), key=lambda p: (-p[0], p[1].order))[:3]
        if len(people) >= 2:
            options.append((0.85 * people[1][0], 2, tuple(e for _, e in people[:2])))
        if not options:
            return ()
        best = max(options, key=lambda item: (item[0], -item[1]))
        if best[0] < 0.05:
            return ()
        if len(best[2]) > 1 and noun.quote < 0:
            self.sets.append((self.clock, best[2]))
            del self.sets[:-12]
        return best[2]

    def _empty(self, noun: Noun) -> bool:
        """ "It was late", "it seems that": stands for nothing."""
        if noun.verb < 0 or noun.role not in ("subject", "other"):
            return self.tokens[noun.head].dep == "expl"
        verb = self.tokens[noun.verb]
        if self.tokens[noun.head].dep == "expl" or verb.lemma in EMPTY_IT:
            return True
        kids = [self.tokens[c] for c in verb.children]
        if verb.lemma == "be":
            for kid in kids:
                if kid.dep in ("acomp", "attr") and (
                    kid.lemma in words("time", "season", "weather", "weather.adjective")
                    or kid.lemma in ("late", "early", "true", "time", "enough", "possible", "strange", "dark")
                ):
                    return True
                if kid.dep in ("ccomp", "csubj", "xcomp", "advcl") and any(
                    self.tokens[c].low in ("that", "to", "who", "which") for c in kid.children
                ):
                    return True
        return False

    def _speech(self, noun: Noun, speaker: Entity | None) -> tuple[Entity, ...]:
        low = noun.lemma
        if noun.quote < 0:
            if low in SECOND:
                return ()
            if low in FIRST_PLURAL:
                return self._we(noun)
            if self.narrator is None:
                teller = dataclasses.replace(noun, kind="description", lemma="narrator", text="I", entities=[])
                self.narrator = self.registry.add(teller)
            return (self.narrator,)
        if low in FIRST and speaker is not None:
            return (speaker,)
        if low in SECOND and self.talk.heard is not None:
            return (self.talk.heard,)
        return ()

    def _we(self, noun: Noun) -> tuple[Entity, ...]:
        """The teller and those with him: the crew or party that was named, else a group of its own."""
        near = [e for e in self.registry.active if e.plural and e.alive and (e.lemma in COLLECTIVE or e is self.us)]
        if near:
            return (near[-1],)
        told = dataclasses.replace(noun, kind="description", lemma="we", animacy="group", gender="mfn", entities=[])
        self.us = self.registry.add(told)
        return (self.us,)


def _is_he_or_she(entity: Entity) -> bool:
    """Whether it was called so lately."""
    return any(noun.lemma in ("he", "she", "him", "her") for noun in entity.nouns[-LATELY:])
