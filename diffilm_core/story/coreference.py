"""Whom each pronoun and each description means, and who speaks.

Salience by role, halved as the story goes on (Lappin and Leass 1994), with number and gender, and no two
arguments of one verb the same; gender is learned from titles, names, kin and earlier pronouns.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from .binding import Binding
from .cast import Entity, Registry
from .clauses import is_likened, is_negated, is_unreal, is_visible
from .entities import FIRST, FIRST_PLURAL, SECOND, Noun
from .grammar import Grammar
from .kin import kin, note, note_had, royal, unnamed
from .lexicon import these, words
from .parse import Token
from .ranking import Context, choose, is_he_or_she
from .salience import remember, salience, weight_of
from .speakers import Talk
from .together import Together
from .votes import Named, full_names, gender_votes

REFLEXIVE = these("himself herself itself themselves")
RELATED = these("friend companion comrade partner fellow visitor guest host hostess interlocutor acquaintance")
ADDRESSES = these("miss ma'am madam sir mister missus master")
HONOURS = these("majesty highness lordship ladyship honour honor excellency grace worship")
WAITS = 3  # sentences, for a name that comes later
COLLECTIVE = these("crew party company family band group troop gang team couple pair")


class Resolver:
    """Reads paragraph after paragraph; every noun is given its entities. paragraphs: the nouns of all. past:
    the story is told in the past tense."""

    def __init__(self, paragraphs: Sequence[Sequence[Noun]], past: bool) -> None:
        self.past = past
        self.registry = Registry(gender_votes(paragraphs), full_names(paragraphs))
        self.named = Named(paragraphs)
        self.clock = 0.0
        self.narrator: Entity | None = None
        self.us: Entity | None = None
        self.talk = Talk(self.registry)
        self.waiting: list[tuple[float, Noun]] = []  # pronouns that nobody named before fits
        self.together = Together(self.registry)

    def read(self, tokens: Sequence[Token], nouns: Sequence[Noun], open_end: bool, spoken: bool) -> dict[int, Entity]:
        """Resolve a paragraph. open_end: its speech is not closed; spoken: it begins with speech. Speakers by
        quotation."""
        self.tokens = tokens
        self.grammar = Grammar(tokens, nouns)
        self.binding = Binding(tokens, nouns, self.grammar, self.registry)
        clock = self.clock
        last = -1
        for noun in nouns:
            if noun.quote < 0:
                if noun.sentence != last:
                    self.clock += 1
                    last = noun.sentence
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
        self.together.sets.clear()
        self.talk.end()

    # -- one noun -------------------------------------------------------------------------------------------------

    def _resolve(self, noun: Noun, nouns: Sequence[Noun], speaker: Entity | None = None) -> None:
        found: tuple[Entity, ...]
        if noun.kind == "pronoun":
            found = self._pronoun(noun, nouns, speaker)
        else:
            found = self._named(noun)
        noun.entities = list(found)
        noun.visible = is_visible(self.tokens, noun, self.past)
        for entity in found:
            self._mention(entity, noun)
        if noun.joined is not None and found and noun.joined.entities:
            self.together.note(noun, noun.joined, found, self.clock)

    def _mention(self, entity: Entity, noun: Noun) -> None:
        if noun.quote < 0 or noun.lemma not in FIRST | SECOND:
            remember(entity, self.clock, weight_of(self.tokens, noun, entity), noun)
        entity.nouns.append(noun)
        told = noun.quote < 0 and noun.role == "subject" and noun.verb >= 0
        if told and self.tokens[noun.verb].lemma in words("verb.act"):
            entity.acts += 1
        self.registry.touch(entity)

    def _named(self, noun: Noun) -> tuple[Entity, ...]:
        registry = self.registry
        owner = noun.owner.entities[0] if noun.owner is not None and noun.owner.entities else None
        if noun.same is not None and noun.same.entities and self._same(noun, noun.same):
            entity = noun.same.entities[0]
            known = registry.find(noun, None) if noun.kind == "name" else None
            if known is not None and known is not entity:
                mine = noun.quote >= 0 and noun.same.lemma in FIRST and not entity.proper
                if mine and known.fits(entity.gender, False):
                    self._merge(known, entity)  # "I am Tom Hale"
                elif noun.quote < 0 and entity.nouns == [noun.same]:  # "his cousin, Tom": Tom, who is known
                    noun.same.entities = [known]
                    known.nouns.append(noun.same)
                    known.kin += entity.kin
                    registry.forget(entity)
                return (known,)
            if noun.quote >= 0 and noun.kind != "name":
                return ()  # "You are a policeman": who knows
            supposed = noun.role == "predicate" and is_unreal(self.tokens, noun.verb)
            if supposed or (noun.role == "predicate" and is_negated(self.tokens, noun.verb)):
                return (registry.find(noun, owner) or entity,)  # "they believed that he was the king"
            registry.learn(entity, noun)
            note(noun, entity)
            return (entity,)
        if noun.animacy == "time" or (
            noun.preposition == "as" and noun.kind == "description" and noun.determiner != "the"
        ):
            return ()  # "praised as an officer"
        if noun.kind == "name" and noun.lemma in ADDRESSES and noun.name == (noun.text,):
            return (self.talk.heard,) if noun.quote >= 0 and self.talk.heard is not None else ()  # "Yes, Miss"
        if noun.quote >= 0 and noun.lemma in HONOURS and noun.determiner == "poss":
            return (self.talk.heard,) if self.talk.heard is not None else ()  # "Your Majesty"
        if noun.text.lower() == "others" and self.binding.after_some(noun):
            there = [e for e in registry.active if e.plural and e.alive and self.clock - registry.recency(e) < 2]
            return tuple(there[-1:])  # "some of the men sat, others stood"
        if noun.determiner == "no":
            return ()  # "no beast offered to hurt them": none that is meant later
        found = kin(noun, owner, registry.active, self.binding) or registry.find(noun, owner)
        found = found or royal(noun, registry.active)
        supposed = noun.determiner == "a" and noun.quote < 0 and not is_visible(self.tokens, noun, self.past)
        if found is None and supposed:
            return ()  # "she thought she saw a man", "a man must have done it": nobody yet
        if found is None and noun.animacy in ("person", "animal"):
            found = self._epithet(noun)
            if found is not None:
                return (found,)
        if found is None and registry.bare(noun) and noun.role != "subject":
            return ()
        if found is None and noun.determiner == "a" and is_likened(self.tokens, noun.head):
            return ()  # "like a great butterfly"
        alone = noun.owner is not None and len(noun.owner.entities) == 1
        if found is None and noun.lemma in RELATED and owner is not None and alone and not noun.plural:
            found = self._other(owner, noun)
        if found is None and noun.plural and noun.determiner in ("the", "number"):
            each = registry.each(noun)
            if each:
                return each
        if found is None and noun.kind == "name" and noun.quote >= 0:
            found = self._addressed(noun)
        if found is None:
            found = registry.add(noun)
            found.owner = owner
            if self.waiting and noun.kind == "name" and noun.quote < 0 and noun.role != "possessor":
                self._fulfil(found, noun)
        else:
            registry.learn(found, noun)
        note(noun, found)
        if (
            noun.role == "object"
            and noun.determiner in (("number", "") if noun.plural else ("a",))
            and noun.quote < 0
            and self.tokens[noun.verb].lemma == "have"
        ):
            note_had(noun, found, self.grammar.subject(noun.verb))
        self._identify(noun, found)
        nameless = registry.titled(noun, found) or unnamed(noun, found, registry.active)
        if nameless is not None and noun.quote < 0 and all(n.sentence != noun.sentence for n in nameless.nouns):
            self._merge(found, nameless)
        return (found,)

    def _addressed(self, noun: Noun) -> Entity | None:
        """ "Henry, don't be a fool": the one without a name who is spoken to."""
        beside = [self.tokens[i] for i in (noun.first - 1, noun.last + 1) if 0 <= i < len(self.tokens)]
        apart = all(t.quote != noun.quote or (not t.text[0].isalnum() and t.text != "'") for t in beside)
        if noun.role not in ("adverb", "other", "fragment") or noun.plural or not apart or not self.talk.turns:
            return None
        speaker, heard = self.talk.turns[-1]
        if heard is None:
            there = [(salience(e, noun, self.clock), -e.order, e) for e in self.registry.active if e is not speaker]
            near = [item for item in there if item[2].animacy == "person" and item[2].fits(noun.gender, False)]
            heard = max(near, default=(0.0, 0, None), key=lambda item: item[:2])[2]
        nameless = heard is not None and not heard.proper and heard.animacy == "person"
        return heard if heard is not None and nameless and heard.fits(noun.gender, False) else None

    def _identify(self, noun: Noun, found: Entity) -> None:
        """ "They saw that it was a beautiful lady": who it is."""
        it = noun.same if noun.role == "predicate" and noun.kind == "description" and noun.determiner == "a" else None
        if it is not None and it.lemma == "it" and found.alive and not any(e.alive for e in it.entities):
            it.entities, it.visible = [found], noun.visible
            found.nouns.append(it)

    def _merge(self, kept: Entity, gone: Entity) -> None:
        """Wherever one of two stood who are the same stands the other."""

        def of(entity: Entity) -> Entity:
            return kept if entity is gone else entity

        self.registry.merge(kept, gone)
        self.together.sets = [(c, tuple(dict.fromkeys(map(of, members)))) for c, members in self.together.sets]
        self.talk.turns = [(of(one), heard and of(heard)) for one, heard in self.talk.turns]
        self.talk.pending, self.talk.unclosed = (e and of(e) for e in (self.talk.pending, self.talk.unclosed))
        self.talk.acted = self.talk.acted and of(self.talk.acted)
        for noun in kept.nouns:
            noun.entities = list(dict.fromkeys(map(of, noun.entities)))

    def _epithet(self, noun: Noun) -> Entity | None:
        busy = self.binding.busy(noun)
        answers = self.binding.reports(noun) and bool(self.talk.turns)
        heard = self.talk.heard if answers else None
        if answers and heard not in busy and (heard is not None or self.clock - self.talk.since < 2):
            busy = {*busy, self.talk.turns[-1][0]}  # "said the young man": the one who was spoken to
        teller = self.narrator if noun.quote < 0 else None
        scores = {e: salience(e, noun, self.clock) for e in self.registry.active if e.alive and e is not teller}
        if heard in scores:
            scores[heard] *= 2
        elif answers:
            scores = {e: 2 * score for e, score in scores.items()}
        return self.registry.epithet(noun, busy, scores)

    def _other(self, owner: Entity, noun: Noun) -> Entity | None:
        """ "His friend": the other one who is there."""
        others = [e for e in self.registry.active if e.alive and e is not owner and any(n.quote < 0 for n in e.nouns)]
        there = [(salience(e, noun, self.clock), -e.order, e) for e in others if e.fits(noun.gender, False)]
        best = max(there, default=None, key=lambda item: item[:2])
        return best[2] if best is not None and best[0] > 0.05 else None

    def _same(self, noun: Noun, other: Noun) -> bool:
        entity = other.entities[0]
        if noun.determiner == "no" or noun.plural != entity.plural:
            return False
        both = noun.kind == other.kind == "name" and noun.last > other.last
        if both and not any(n.determiner or n.title or "of" in n.name for n in (noun, other)):
            return bool(set(noun.name) & set(other.name))  # "Tom, Ben, Ned": three
        if noun.role == "predicate" and noun.kind == "name":
            named = other.lemma in FIRST and not entity.proper and noun.animacy == "person" and not noun.determiner
            return named and entity.animacy == "person" and entity.fits(noun.gender, False)
        if noun.role == "predicate":
            return noun.kind == "description" and noun.animacy in ("person", "animal", "group") and entity.alive
        return (
            entity.alive
            and noun.animacy in ("person", "animal", "group")
            and bool(set(entity.gender) & set(noun.gender))
        )

    # -- pronouns -------------------------------------------------------------------------------------------------

    def _pronoun(self, noun: Noun, nouns: Sequence[Noun], speaker: Entity | None) -> tuple[Entity, ...]:
        low = noun.lemma
        if low in FIRST or low in FIRST_PLURAL or low in SECOND:
            return self._speech(noun, speaker)
        if low == "it" and self.binding.empty(noun):
            return ()
        if low in REFLEXIVE:
            subject = self.binding.itself(noun) or self.grammar.subject(noun.verb)
            if subject is not None and subject.entities:
                together = [e for n in nouns if n.joined is subject and n.verb == subject.verb for e in n.entities]
                if noun.plural and together:
                    return tuple(dict.fromkeys((*subject.entities, *together)))
                fit = [e for e in subject.entities if set(e.gender) & set(noun.gender)]
                if fit:
                    return tuple(subject.entities)
        busy = self.binding.busy(noun) if low not in REFLEXIVE else set()
        if noun.quote >= 0:
            busy |= {e for e in (speaker, self.talk.heard) if e is not None}
        elif noun.role == "subject" and noun.verb >= 0 and self.tokens[noun.verb].lemma in words("verb.speech"):
            busy |= self.binding.spoken_of(noun)
        busy |= self.binding.below(noun)
        if noun.plural:
            tellers = {e for e in (self.narrator, self.us) if e is not None}
            return self.together.they(noun, busy | tellers, self.binding, self.clock)
        fitting = [e for e in self.registry.active if e not in busy and self._agrees(e, noun)]
        entity = choose(fitting, noun, self._context(noun))
        if entity is None:
            if noun.gender in ("m", "f") and noun.quote < 0:
                self.waiting.append((self.clock, noun))
            return ()
        if noun.gender == "n" and noun.quote < 0 and not is_he_or_she(entity):
            entity.neuter += 1
        if noun.gender in ("m", "f") and entity.alive and noun.quote < 0:
            entity.gender = noun.gender + ("n" if entity.animacy == "animal" and not entity.called else "")
        return (entity,)

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
        binder, bound = self.binding.binder(noun)
        turn: tuple[Entity | None, Entity | None] = (None, None)
        if noun.quote < 0 and self.talk.turns and self.clock - self.talk.since < 1 and self.binding.reports(noun):
            turn = self.talk.turns[-1]
        return Context(self.clock, self.named, binder, bound, turn)

    def _fulfil(self, entity: Entity, noun: Noun) -> None:
        """Pronouns that came before the name that they mean: "As he rode, the king sang"."""
        kept = []
        for clock, pronoun in self.waiting:
            if self.clock - clock > WAITS:
                continue
            if self._agrees(entity, pronoun) and entity.animacy == "person":
                pronoun.entities = [entity]
                pronoun.visible = (
                    is_visible(self.tokens, pronoun, self.past) if pronoun.sentence == noun.sentence else True
                )
                entity.nouns.append(pronoun)
                entity.gender = pronoun.gender
            else:
                kept.append((clock, pronoun))
        self.waiting = kept

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
