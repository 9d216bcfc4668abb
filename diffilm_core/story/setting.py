"""Where and when a story is, and its weather, carried until they change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .clauses import is_negated
from .entities import Noun
from .grammar import own_tokens
from .lexicon import words
from .parse import Token
from .places import place_of
from .times import is_told, time_of


@dataclass
class Setting:
    """What holds now."""

    place: str = ""
    time: str = ""
    weather: str = ""
    place_changed: bool = False
    time_changed: bool = False
    weather_changed: bool = False
    time_lapse: bool = False
    flashback: bool = False
    held: int = 0  # the evidence of the place
    tenses: tuple[int, int] = (0, 0)  # verbs of the narration in the past, in the present

    def next_sentence(self) -> None:
        self.place_changed = self.time_changed = self.weather_changed = self.time_lapse = False

    def reset(self) -> None:
        """A scene break: nothing of the old scene holds."""
        self.place = self.time = self.weather = ""
        self.held = 0

    def read(self, tokens: Sequence[Token], nouns: Sequence[Noun]) -> None:
        """Take up what one sentence says. tokens: its paragraph's; nouns: the sentence's own."""
        self.next_sentence()
        past = self.tenses[0] > 2 * self.tenses[1] + 1
        if not nouns:
            return
        own = own_tokens(tokens, nouns[0])
        self._hear(own)
        if _wonders(own):
            return
        time, lapse = time_of(tokens, nouns, self.time, past)
        place = place_of(tokens, nouns, self.place, lapse, self.held, past)
        if place is not None:
            self.place_changed = place[1] != self.place
            self.held, self.place = place
        self.time_lapse = lapse
        if time is not None:
            self.time_changed, self.time = time != self.time, time
        weather = _weather(tokens, nouns)
        if weather:
            self.weather_changed, self.weather = weather != self.weather, weather

    def _hear(self, own: Sequence[Token]) -> None:
        """Count the tenses of the narration."""
        said = [t.tag for t in own if t.quote < 0]
        past, present = self.tenses
        self.tenses = past + said.count("VBD"), present + said.count("VBZ") + said.count("VBP")


def _wonders(own: Sequence[Token]) -> bool:
    """Whether a sentence is what somebody asks himself; not "he went home, and she asked where he had been?"."""
    if own[-1].text != "?" or own[-1].quote >= 0:
        return False
    return not any(token.lemma == "ask" for token in own if token.quote < 0)


LYING = ("snow", "ice", "frost")
"""What lies on the ground as well: somebody in the snow says nothing of the weather."""


def _weather(tokens: Sequence[Token], nouns: Sequence[Noun]) -> str:
    for noun in nouns:
        if (
            noun.lemma in words("weather")
            and is_told(tokens, noun)
            and noun.role in ("subject", "oblique", "object", "predicate")
        ):
            if noun.role == "oblique" and (
                noun.lemma in LYING or noun.preposition not in ("in", "through", "into", "under", "by")
            ):
                continue
            return noun.lemma
    for noun in nouns:
        if noun.lemma == "it" and noun.quote < 0 and noun.verb >= 0 and noun.role == "subject":
            verb = tokens[noun.verb]
            if verb.lemma in ("rain", "snow", "hail", "thunder", "drizzle") and not is_negated(tokens, noun.verb):
                return verb.lemma
    return ""
