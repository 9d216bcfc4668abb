"""Who "they" are: a group, those whom "and" joined, or two who are near."""

from __future__ import annotations

from collections.abc import Sequence

from .binding import Binding
from .cast import Entity, Registry
from .entities import Noun
from .lexicon import these
from .parse import Token
from .salience import FADING, salience

BOUND = 1.3  # times as salient: the subject of the clause above
PAIR = 0.6  # times as salient as the second of them: two whom nothing joined
NEAR = 0.12  # least salience of the second of such two
KEPT = 12  # sets of those named together
HANDLED = these(
    "buy sell cut sew stitch mend fold pour gather pick wear spend count read write sign light open shut tie"
)
Option = tuple[float, int, tuple[Entity, ...]]  # how likely, how sure that they are together, who


class Together:
    """Those of a story who were named together, the last ones last: "Tom and Ann"."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.sets: list[tuple[float, tuple[Entity, ...]]] = []  # clock, who

    def note(self, noun: Noun, joined: Noun, found: Sequence[Entity], clock: float) -> None:
        """Remember that "and" joined `noun`, who are `found`, to `joined`."""
        together = (*joined.entities, *found)
        earlier = self.sets[-1][1] if self.sets else ()
        if set(joined.entities) <= set(earlier) and joined.sentence == noun.sentence:
            together = (*earlier, *found)
        if all(e.alive for e in together):
            self._keep(clock, tuple(dict.fromkeys(together)))

    def _keep(self, clock: float, members: tuple[Entity, ...]) -> None:
        self.sets.append((clock, members))
        del self.sets[:-KEPT]

    def they(self, noun: Noun, busy: set[Entity], binding: Binding, clock: float) -> tuple[Entity, ...]:
        """Whom a pronoun in the plural means; nobody where none is near. busy: who cannot be meant."""
        bound = set(binding.binder(noun)[1])
        options: list[Option] = []
        handled = noun.role == "object" and noun.verb >= 0 and binding.tokens[noun.verb].lemma in HANDLED
        for entity in self.registry.active:
            if entity.plural and entity not in busy:
                near = salience(entity, noun, clock) * (1.0 if entity.alive else 0.6)
                options.append((near * (BOUND if entity in bound else 1.0), 0, (entity,)))
        for then, members in self.sets:
            if not set(members) & busy:
                options.append((FADING ** (clock - then), 1, members))
        single = [e for e in self.registry.active if e.alive and not e.plural and e not in busy]
        people = [(salience(e, noun, clock), e) for e in single]
        people = sorted((p for p in people if p[0] > NEAR), key=lambda p: (-p[0], p[1].order))[:3]
        if len(people) >= 2:
            options.append((PAIR * people[1][0], 2, tuple(e for _, e in people[:2])))
        beside = binding.together(noun, busy)
        if beside is not None:
            options.append((FADING ** beside[0], 1, beside[1]))
        options = _counted(noun, options, binding.tokens)
        if not options:
            return ()
        things = [option for option in options if not any(entity.alive for entity in option[2])]
        best = max(things if handled and things else options, key=lambda item: (item[0], -item[1]))
        if best[0] < 0.05:
            return ()
        if len(best[2]) > 1 and noun.quote < 0:
            self._keep(clock, best[2])
        return best[2]


def _counted(noun: Noun, options: list[Option], tokens: Sequence[Token]) -> list[Option]:
    """ "They both" are two, "they all", "all of them" more than two, where there are such."""
    beside = list(tokens[noun.last + 1 : noun.last + 2])
    if noun.first > 1 and tokens[noun.first - 1].low == "of":
        beside.append(tokens[noun.first - 2])
    said = {token.low for token in beside}
    two = [option for option in options if len(option[2]) == 2 and not any(e.plural for e in option[2])]
    more = [option for option in options if len(option[2]) > 2 or any(e.plural for e in option[2])]
    return (two if "both" in said else more if "all" in said else options) or options
