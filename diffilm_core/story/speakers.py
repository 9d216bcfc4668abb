"""Who speaks each quotation: whom the verb beside it names, who was about to speak, who acts beside it, whose turn it
is."""

from __future__ import annotations

from collections.abc import Sequence

from .cast import Entity, Registry
from .entities import Noun
from .grammar import Grammar
from .lexicon import words
from .parse import Token


class Talk:
    """The conversation so far."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.since = 0.0  # when somebody spoke last
        self.turns: list[tuple[Entity, Entity | None]] = []  # of the paragraphs with speech: speaker, addressee
        self.acted: Entity | None = None  # who acted last in a paragraph without speech
        self.pending: Entity | None = None  # who is about to speak in the next paragraph
        self.unclosed: Entity | None = None  # who goes on speaking in the next paragraph

    @property
    def heard(self) -> Entity | None:
        """Who is spoken to."""
        return self.turns[-1][1] if self.turns else None

    def end(self) -> None:
        self.turns.clear()
        self.pending = self.unclosed = self.acted = None

    def read(
        self, tokens: Sequence[Token], nouns: Sequence[Noun], spoken: bool, clock: float, grammar: Grammar
    ) -> dict[int, Entity]:
        """Who speaks each quotation of the paragraph."""
        quotes = sorted({t.quote for t in tokens if t.quote >= 0})
        told = [n for n in nouns if n.quote < 0 and n.entities and n.entities[0].alive]
        out: dict[int, Entity] = {}
        for quote in quotes:
            inside = [t.index for t in tokens if t.quote == quote]
            named = self._attributed(tokens, nouns, inside[0], inside[-1], grammar)
            if named is not None:
                out[quote] = named
        if quotes and not out:
            known = self.unclosed or (self.pending if spoken else None) or self._actor(tokens, told)
            known = known or self.acted or self._turn(nouns)
            if known is not None:
                out[quotes[0]] = known
        current = next(iter(out.values()), None)
        for quote in quotes:
            current = out.get(quote, current)
            if current is not None:
                out[quote] = current
        self.pending = self._announced(tokens, nouns)
        self.acted = None if quotes else self._actor(tokens, told)
        if quotes and out:
            self.since = clock
            self._take_turn(tokens, nouns, out[quotes[0]], told)
        for entity in dict.fromkeys(out.values()):
            entity.acts += 1
            if not any(entity in n.entities for n in told):
                place = min(nouns, key=lambda n: n.start) if nouns else None
                if place is not None:
                    entity.trail.append((clock, 0.5, place))
                self.registry.touch(entity)
        return out

    def _attributed(
        self, tokens: Sequence[Token], nouns: Sequence[Noun], first: int, last: int, grammar: Grammar
    ) -> Entity | None:
        """The subject of the verb of speech beside a quotation."""
        best: tuple[int, Entity] | None = None
        speech = words("verb.speech") | {"think", "wonder", "whisper"}
        for noun in nouns:
            if noun.quote >= 0 or not noun.entities or noun.role != "subject" or noun.verb < 0:
                continue
            verb = tokens[noun.verb]
            if (
                verb.quote >= 0
                or not (verb.lemma in speech or _goes_on(tokens, verb))
                or (noun.entities[0].plural and not noun.entities[0].alive)
            ):
                continue
            near = min(noun.head, verb.index), max(noun.head, verb.index)
            after = 0 <= near[0] - last <= 3 and tokens[near[0]].sentence == tokens[last].sentence
            before = (
                0 < first - near[1] <= 14 and tokens[first - 1].text in (",", ":", "-", "--", "—", "'", '"', ";", ",--")
            ) or 0 < first - near[1] <= 2
            if after or before:
                led = before and tokens[first - 1].text == ":"  # "he said: ..." though "she replied" follows
                distance = 0 if led else near[0] - last if after else first - near[1] + 1
                if best is None or distance < best[0]:
                    best = (distance, noun.entities[0])
        if best is not None:
            return best[1]
        for at in range(first - 1, max(-1, first - 8), -1):  # "Mary, who sighed and said, ..."
            if tokens[at].quote >= 0 or tokens[at].sentence != tokens[first].sentence:
                break
            if tokens[at].lemma in speech and tokens[at].pos == "VERB":
                subject = grammar.subject(at)
                if subject is not None and subject.entities and subject.quote < 0 and subject.entities[0].alive:
                    return subject.entities[0]
                break
        return self._beside(tokens, nouns, first, last)

    def _beside(self, tokens: Sequence[Token], nouns: Sequence[Noun], first: int, last: int) -> Entity | None:
        """ "..." said the fox: where the parser lost the subject, the noun next to the verb of speech."""
        for at in range(last + 1, min(last + 3, len(tokens))):
            if tokens[at].quote < 0 and tokens[at].lemma in words("verb.speech") | {"think"}:
                for noun in nouns:
                    if (noun.quote < 0 and noun.entities and 0 <= noun.first - at - 1 <= 1) or (
                        noun.last == at - 1 and noun.first > last and noun.entities
                    ):
                        return noun.entities[0]
        return None

    def _actor(self, tokens: Sequence[Token], told: Sequence[Noun]) -> Entity | None:
        """Who acts in the paragraph beside the speech."""
        subjects = [n for n in told if n.role == "subject" and not n.entities[0].plural]
        return subjects[-1].entities[0] if subjects else None

    def _turn(self, nouns: Sequence[Noun]) -> Entity | None:
        """Speech without any word about its speaker: the one spoken to answers."""
        if not self.turns:
            here = [e for e in self.registry.active if any(n.quote < 0 for n in e.nouns)]
            people = [e for e in reversed(here) if e.alive and not e.plural]
            return people[0] if people else None
        speaker, heard = self.turns[-1]
        if heard is not None:
            return heard
        if len(self.turns) > 1 and self.turns[-2][0] is not speaker:
            return self.turns[-2][0]
        people = [
            e
            for e in reversed(self.registry.active)
            if e.animacy in ("person", "animal")
            and not e.plural
            and e is not speaker
            and any(n.quote < 0 for n in e.nouns)
        ]
        return people[0] if people else speaker

    def _take_turn(self, tokens: Sequence[Token], nouns: Sequence[Noun], speaker: Entity, told: Sequence[Noun]) -> None:
        heard = next((n.entities[0] for n in told if n.role in ("object", "oblique") and n.entities[0] is not speaker
                      and n.verb >= 0 and tokens[n.verb].lemma in words("verb.speech")), None)  # fmt: skip
        aside = any(n.lemma in ("himself", "herself", "itself", "themselves") and n.preposition in ("to", "")
                    and n.verb >= 0 and tokens[n.verb].lemma in words("verb.speech", "verb.thought")
                    and speaker in n.entities for n in told)  # fmt: skip
        if heard is None and self.turns and not aside:
            before = self.turns[-1]
            heard = before[0] if before[0] is not speaker else before[1]
        self.turns.append((speaker, heard if heard is not speaker else None))
        del self.turns[:-8]

    def _announced(self, tokens: Sequence[Token], nouns: Sequence[Noun]) -> Entity | None:
        """Who is about to speak: the paragraph ends with a colon, a comma or a dash behind a verb of speech."""
        if not tokens or tokens[-1].quote >= 0 or not set(tokens[-1].text) <= set(":,-—–"):
            return None
        told = [n for n in nouns if n.quote < 0 and n.entities and n.entities[0].alive]
        subjects = [n for n in told if n.role == "subject"]
        return subjects[-1].entities[0] if subjects else told[0].entities[0] if told else None


def _goes_on(tokens: Sequence[Token], verb: Token) -> bool:
    """ "..." he went on."""
    return verb.lemma == "go" and any(tokens[c].low == "on" and c == verb.index + 1 for c in verb.children)
