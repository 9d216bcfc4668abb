"""Words for scenes: from "a fox in the snow" to the sentences of a children's story. Every stated fact is true of
the picture.

Hours and weathers other than plain day are named most of the time; names, moods and small talk are free.
"""

from __future__ import annotations

from random import Random

from .phrases import (
    DEEDS,
    FLY,
    FRAMES,
    MOODS,
    NAMES,
    OPENERS,
    PARTS,
    PLACE_MOODS,
    PLURALS,
    SEASONS,
    SWIM,
    TIME_AFTER,
    TIME_BEFORE,
    TIME_OPEN,
    VERBS,
    WEATHER_AFTER,
    WEATHER_BEFORE,
    Verb,
)
from .places import PLACES, TIMES, WEATHERS, Place
from .scenes import SceneBatch
from .vocabulary import OBJECTS, ObjectKind, with_article


class _Facts:
    """One scene's facts, picked out of the batch as plain values."""

    __slots__ = ("other", "place", "size", "subject", "time", "weather")

    def __init__(self, row: tuple[int, int, int, int, int, float]) -> None:
        subject, other, place, time, weather, self.size = row
        self.subject = OBJECTS[subject] if subject >= 0 else None
        self.other = OBJECTS[other] if other >= 0 else None
        self.place: Place = PLACES[place]
        self.time = TIMES[time] if self.place.has_time else ""
        self.weather = WEATHERS[weather]

    @property
    def open(self) -> bool:
        return not self.place.indoors and self.place.water != "under" and self.weather == "clear"


def captions(scenes: SceneBatch, *, seed: int = 0) -> list[str]:
    """One caption a scene, the same for the same scenes and seed. About 100,000 a second on a core."""
    columns = [getattr(scenes, name).tolist() for name in ("object", "other", "place", "time", "weather", "size")]
    rng = Random(seed)
    return [_caption(_Facts(row), rng) for row in zip(*columns, strict=True)]


def caption(scenes: SceneBatch, index: int, rng: Random) -> str:
    """A caption of one scene of the batch; another call gives other words."""
    return _caption(
        _Facts(
            tuple(getattr(scenes, n)[index].item() for n in ("object", "other", "place", "time", "weather", "size"))
        ),
        rng,
    )


def _caption(f: _Facts, rng: Random) -> str:
    if f.subject is None:
        return _bare(f, rng)
    u = rng.random()
    if u < 0.40:
        return _phrase(f, rng)
    return _sentence(f, rng) if u < 0.90 else _arrival(f, rng)


def _name(kind: ObjectKind, rng: Random) -> tuple[str, bool]:
    index = 0 if len(kind.names) == 1 or rng.random() < 0.60 else rng.randrange(1, len(kind.names))
    return kind.names[index], kind.some[index]


def _noun(kind: ObjectKind, rng: Random, size: float = 0.5, names: bool = False) -> str:
    """A noun phrase: "a fox", "the happy puppy", "Ruby the fox"."""
    noun, some = _name(kind, rng)
    mood = ""
    if rng.random() < 0.28:
        mood = rng.choice(MOODS[kind.kind])
        if size > 0.60 and rng.random() < 0.4:
            mood = rng.choice(("big", "large", "great"))
        elif size < 0.42 and rng.random() < 0.5:
            mood = rng.choice(("little", "small", "tiny"))
    if mood and (mood in noun.split() or noun.split()[0] in ("old", "little", "big", "baby")):
        mood = ""
    full = f"{mood} {noun}" if mood else noun
    u = rng.random()
    if names and kind.kind in ("animal", "person") and u < 0.14:
        name = rng.choice(NAMES)
        return rng.choice(
            (
                f"{name} the {full}",
                f"{with_article(full)} named {name}",
                f"the {full} {name}",
                f"{with_article(full)} called {name}",
            )
        )
    if u < 0.40:
        return f"the {full}"
    if u < 0.44:
        return full
    return with_article(full, some)


def _where(f: _Facts, rng: Random) -> str:
    phrases = f.place.where
    phrase = phrases[0] if rng.random() < 0.5 else rng.choice(phrases)
    if f.place.name in SEASONS and f.time != "night" and rng.random() < 0.05:
        return phrase + SEASONS[f.place.name]
    if f.place.name in ("snow", "space", "sky", "sea", "underwater") or " the " not in phrase or rng.random() > 0.16:
        return phrase
    facts = [m for m in (f.time if f.time != "day" or f.open else "", f.weather if f.weather != "clear" else "") if m]
    if not facts:
        return phrase
    return phrase.replace(" the ", f" the {rng.choice(PLACE_MOODS[rng.choice(facts)])} ", 1)


def _hour(f: _Facts, rng: Random) -> str:
    """Words after the place for the hour and weather, mostly present when they are not plain day."""
    out = []
    if f.weather != "clear" and rng.random() < 0.85:
        phrase = rng.choice(WEATHER_AFTER[f.weather])
        if "{part}" in phrase:
            if not f.time:
                return ""
            return " " + phrase.format(part=rng.choice(PARTS[f.time]))
        out.append(phrase)
    if f.time and rng.random() < (0.24 if f.time == "day" else 0.85):
        out.append(rng.choice(TIME_OPEN[f.time] if f.open and rng.random() < 0.5 else TIME_AFTER[f.time]))
    rng.shuffle(out)
    return "".join(" " + part for part in out)


def _before(f: _Facts, rng: Random) -> str:
    """Words before the sentence; empty when there is nothing to say."""
    if f.weather != "clear" and rng.random() < 0.4:
        joint = rng.choice((" and ", ", and ", " when ", ". "))
        return rng.choice(WEATHER_BEFORE[f.weather]) + joint
    if f.time and rng.random() < 0.8:
        return rng.choice(TIME_BEFORE[f.time]) + rng.choice((", ", " "))
    return ""


def _verb(kind: ObjectKind, place: Place, rng: Random) -> Verb:
    if kind.flies and rng.random() < 0.75:
        return rng.choice(FLY)
    if place.water and (place.water == "surface" or kind.swims):
        return rng.choice(SWIM if kind.kind in ("animal", "person") else SWIM[1:])
    if place.name == "space" and rng.random() < 0.4:
        return ("floats", "floated", "floating")
    return rng.choice(VERBS[kind.kind])


def _bare(f: _Facts, rng: Random) -> str:
    noun = rng.choice(f.place.nouns)
    if f.place.has_time:
        noun += _hour(f, rng)
    return _polish(
        rng.choice(("{}", "{}", "{}", "a picture of {}", "there is {}", "nobody is here, only {}")).format(noun), rng
    )


def _pair(f: _Facts, rng: Random, subject: str) -> str:
    if f.other is None:
        return subject
    other = _noun(f.other, rng)
    return f"{subject} {rng.choice(('and', 'and', 'and', 'with', 'next to', 'beside', 'near'))} {other}"


def _phrase(f: _Facts, rng: Random) -> str:
    """ "a fox in the snow at night" """
    assert f.subject is not None
    who = _pair(f, rng, _noun(f.subject, rng, f.size))
    if f.other is None and rng.random() < 0.2:
        who += " " + _verb(f.subject, f.place, rng)[2]
    text = f"{who} {_where(f, rng)}{_hour(f, rng)}"
    if rng.random() < 0.08:
        text = rng.choice(FRAMES).format(text)
    return _polish(text, rng)


def _sentence(f: _Facts, rng: Random) -> str:
    """ "One night the little fox walked in the forest." """
    assert f.subject is not None
    past = rng.random() < 0.62
    who = _noun(f.subject, rng, f.size, names=True)
    plural = who.rsplit(" ", 1)[-1] in PLURALS
    before = _before(f, rng) if rng.random() < 0.5 else ""
    told = bool(before)
    if not before and rng.random() < 0.22:
        before = rng.choice(OPENERS) + rng.choice((", ", " "))
    after = f" {_where(f, rng)}" + ("" if told and rng.random() < 0.8 else _hour(f, rng))
    if f.other is not None:
        return _polish(before + _meeting(f, rng, who, past) + after, rng, dot=True)
    present, done, going = _verb(f.subject, f.place, rng)
    u = rng.random()
    if u < 0.15:
        text = (
            f"there {'were' if plural else 'was'} {who}{after}"
            if past
            else f"there {'are' if plural else 'is'} {who}{after}"
        )
    elif u < 0.30:
        text = f"{who} {('were ' if plural else 'was ') if past else ('are ' if plural else 'is ')}{going}{after}"
    elif plural:
        text = f"{who} {'were' if past else 'are'}{after}"
    elif u < 0.58 and f.subject.kind in ("animal", "person"):
        text = f"{who} {rng.choice(DEEDS)[0 if past else 1]}{after}"
    else:
        text = f"{who} {done if past else present}{after}"
    return _polish(before + text, rng, dot=True)


def _meeting(f: _Facts, rng: Random, who: str, past: bool) -> str:
    assert f.subject is not None and f.other is not None
    other = _noun(f.other, rng, 0.5, names=True)
    alive = f.subject.kind in ("animal", "person")
    both = f.other.kind in ("animal", "person")
    if alive and both and rng.random() < 0.5:
        verbs = (
            ("met", "played with", "saw", "talked to", "walked with", "found")
            if past
            else ("meets", "plays with", "sees", "talks to", "walks with", "finds")
        )
        return f"{who} {rng.choice(verbs)} {other}"
    if alive and rng.random() < 0.55:
        verbs = (
            ("found", "saw", "looked at", "had", "wanted", "came to")
            if past
            else ("finds", "sees", "looks at", "has", "wants", "likes")
        )
        return f"{who} {rng.choice(verbs)} {other}"
    verb = rng.choice(
        ("were", "stood", "waited", "were together") if past else ("are", "stand", "wait", "are together")
    )
    return f"{who} and {other} {verb}"


def _arrival(f: _Facts, rng: Random) -> str:
    """ "At last the fox came to the woods." """
    assert f.subject is not None
    if f.subject.kind not in ("animal", "person", "vehicle") or f.other is not None:
        return _sentence(f, rng)
    who, noun = _noun(f.subject, rng, f.size, names=True), rng.choice(f.place.nouns)
    past = rng.random() < 0.75
    verbs = (
        ("came to", "went to", "arrived at", "reached", "found", "traveled to")
        if past
        else ("comes to", "goes to", "arrives at", "reaches")
    )
    hour = _before(f, rng)
    if not hour and rng.random() < 0.4:
        hour = rng.choice(OPENERS) + " "
    return _polish(f"{hour}{who} {rng.choice(verbs)} {noun}{'' if hour else _hour(f, rng)}", rng, dot=True)


def _polish(text: str, rng: Random, dot: bool = False) -> str:
    """Capital and full stop in some captions: the tokenizer lowers letters, a story has both."""
    if dot and rng.random() < 0.7:
        return text[0].upper() + text[1:] + "."
    return text
