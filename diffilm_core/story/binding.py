"""Who a noun phrase cannot mean, and whom it is bound to, by where it stands in its sentence: principles A to C of
Chomsky 1981, as far as a parse shows them."""

from __future__ import annotations

from collections.abc import Sequence

from .cast import Entity, Registry
from .entities import Noun
from .grammar import Grammar
from .lexicon import these, words
from .parse import Token

AROUND = these("about around round before behind beside above beneath under over near")
BESIDE = these("with to by beside opposite at after for")
EMPTY_IT = these("seem appear happen rain snow hail thunder turn chance matter follow")


def _single(noun: Noun) -> bool:
    """Whether it means one who lives."""
    return len(noun.entities) == 1 and noun.entities[0].alive and not noun.entities[0].plural


class Binding:
    """Of one paragraph."""

    def __init__(self, tokens: Sequence[Token], nouns: Sequence[Noun], grammar: Grammar, registry: Registry) -> None:
        self.tokens, self.nouns, self.grammar, self.registry = tokens, nouns, grammar, registry

    def busy(self, noun: Noun) -> set[Entity]:
        """Who is another argument of the noun's verb and so cannot be meant."""
        if noun.role == "possessor":
            head = self.tokens[noun.head].head
            return {e for n in self.nouns if n.head == head for e in n.entities}
        out: set[Entity] = set()
        for other in self.nouns:
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
            if other.role == noun.role == "oblique" and not (self._of_verb(other) and self._of_verb(noun)):
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
            if noun.preposition in AROUND and subject is not None and subject.determiner != "a":
                out.difference_update(subject.entities)  # "she looked about her"
        return out

    def _of_verb(self, noun: Noun) -> bool:
        """Whether the phrase of a preposition hangs on the verb: not "afraid of Tom", "a picture of Tom"."""
        return self.tokens[self.tokens[noun.head].head].head == noun.verb

    def itself(self, noun: Noun) -> Noun | None:
        """ "The fish themselves": the noun that stands before the pronoun."""
        return next(
            (n for n in self.nouns if n.last == noun.first - 1 and n.plural == noun.plural and n.entities), None
        )

    def binder(self, noun: Noun) -> tuple[str, tuple[Entity, ...]]:
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
        kind = "own" if noun.role == "possessor" else "above"
        return kind, tuple(above.entities)

    def reports(self, noun: Noun) -> bool:
        """Whether the pronoun is the subject of the words that report a speech."""
        return noun.role == "subject" and noun.verb >= 0 and self.tokens[noun.verb].lemma in words("verb.speech")

    def spoken_of(self, noun: Noun) -> set[Entity]:
        """Those whom the speech beside the verb names: hardly anybody calls himself by his name."""
        beside = (noun.first - 1, noun.first - 2, noun.verb - 1, noun.verb + 1, noun.verb + 2)
        near = {self.tokens[i].quote for i in beside if 0 <= i < len(self.tokens)}
        out: set[Entity] = set()
        for other in self.nouns:
            if other.quote >= 0 and other.quote in near and other.kind != "pronoun" and other.role != "possessor":
                found = self.registry.find(other, None)
                if found is not None:
                    out.update((found, *found.members))
        return out

    def below(self, noun: Noun) -> set[Entity]:
        """Who is named after a subject pronoun within what its verb says: never the same (principle C)."""
        if noun.role != "subject" or noun.verb < 0:
            return set()
        out: set[Entity] = set()
        for later in self.nouns:
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
                if (verbal and token.dep in ("conj", "advcl", "parataxis")) or token.head == at:
                    break
                at = self.tokens[at].head
        return out

    def after_some(self, noun: Noun) -> bool:
        """Whether "some" stands before it in its sentence."""
        return any(t.low == "some" and t.sentence == noun.sentence for t in self.tokens[: noun.first])

    def together(self, noun: Noun, busy: set[Entity]) -> tuple[int, tuple[Entity, Entity]] | None:
        """Of "they", two who are arguments of the same verb before it ("Tom met Ann. They sang."), and how many
        sentences before."""
        others: dict[int, Noun] = {}
        for other in self.nouns:
            if other.start >= noun.start:
                break
            near = other.quote == noun.quote and noun.sentence - other.sentence < 2 and other.verb >= 0
            beside = other.role == "object" or (other.role == "oblique" and other.preposition in BESIDE)
            if near and beside and other.visible and _single(other) and other.entities[0] not in busy:
                others.setdefault(other.verb, other)
        for verb in sorted(others, reverse=True):
            subject, one = self.grammar.subject(verb), others[verb].entities[0]
            if subject is not None and _single(subject) and subject.entities[0] not in {one, *busy}:
                return noun.sentence - others[verb].sentence, (subject.entities[0], one)
        return None

    def counted(
        self, noun: Noun, options: list[tuple[float, int, tuple[Entity, ...]]]
    ) -> list[tuple[float, int, tuple[Entity, ...]]]:
        """ "They both" are two, "they all", "all of them" more than two, where there are such."""
        tokens = self.tokens[noun.last + 1 : noun.last + 2]
        if noun.first > 1 and self.tokens[noun.first - 1].low == "of":
            tokens = [*tokens, self.tokens[noun.first - 2]]
        said = {token.low for token in tokens}
        two = [option for option in options if len(option[2]) == 2 and not any(e.plural for e in option[2])]
        more = [option for option in options if len(option[2]) > 2 or any(e.plural for e in option[2])]
        return (two if "both" in said else more if "all" in said else options) or options

    def empty(self, noun: Noun) -> bool:
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
