"""Words for scenes: from "a fox in the snow" to the sentences of a children's story. Every stated fact is true of the picture.

Hours and weathers other than plain day are named most of the time; names, moods and small talk are free.
"""

from __future__ import annotations

from random import Random

from .places import PLACES, TIMES, WEATHERS, Place
from .scenes import SceneBatch
from .vocabulary import OBJECTS, ObjectKind, with_article

Verb = tuple[str, str, str]

NAMES = (
    "Ruby Max Tom Lily Mia Ben Anna Leo Bella Oliver Rosie Jack Lucy Sam Molly Finn Emma Peter Toby Clara Hugo Nora Felix Ella "
    "Charlie Oscar Jonas Milo Alice Henry Sophie George Tilly Billy Ida Otto Maya Theo Zoe Arthur Hannah Noah Julia Simon Greta "
    "Pip Nell Hazel Buster Jenny Teddy Kate Paul Martha Bruno Elsa Fred Wendy Polly Harry"
).split()

MOODS = {
    "animal": "little happy young friendly brave hungry curious cheerful clever gentle lonely tired funny shy quick lovely".split(),
    "person": "happy kind brave tired clever cheerful curious friendly lonely gentle quiet good funny proud".split(),
    "plant": "pretty beautiful fresh lovely lonely fine wonderful tender".split(),
    "food": "tasty delicious fresh sweet lovely nice yummy good".split(),
    "vehicle": "fast new old shiny little noisy fine".split(),
    "building": "old lovely fine strange beautiful famous quiet".split(),
    "thing": "pretty old new magic lost beautiful strange nice shiny lovely wonderful".split(),
}

_GO: list[Verb] = [("walks", "walked", "walking"), ("runs", "ran", "running"), ("wanders", "wandered", "wandering"),
                   ("plays", "played", "playing"), ("goes", "went", "going")]
_STAY: list[Verb] = [("sits", "sat", "sitting"), ("stands", "stood", "standing"), ("waits", "waited", "waiting"),
                     ("rests", "rested", "resting"), ("looks around", "looked around", "looking around"), ("lives", "lived", "living")]
_FLY: list[Verb] = [("flies", "flew", "flying"), ("hovers", "hovered", "hovering"), ("floats", "floated", "floating")]
_SWIM: list[Verb] = [("swims", "swam", "swimming"), ("floats", "floated", "floating"), ("drifts", "drifted", "drifting")]
_LIE: list[Verb] = [("lies", "lay", "lying"), ("stands", "stood", "standing"), ("rests", "rested", "resting"),
                    ("waits", "waited", "waiting")]
_DRIVE: list[Verb] = [("drives", "drove", "driving"), ("rolls", "rolled", "rolling"), ("stops", "stopped", "stopping"),
                      ("waits", "waited", "waiting")]
_VERBS: dict[str, list[Verb]] = {
    "animal": _GO + _STAY + [("hops", "hopped", "hopping"), ("dances", "danced", "dancing")],
    "person": _GO + _STAY + [("smiles", "smiled", "smiling"), ("dances", "danced", "dancing"), ("laughs", "laughed", "laughing")],
    "plant": [("grows", "grew", "growing"), ("stands", "stood", "standing"), ("sways", "swayed", "swaying")],
    "food": _LIE,
    "vehicle": _DRIVE,
    "building": [("stands", "stood", "standing"), ("rises", "rose", "rising")],
    "thing": _LIE,
}

# What the living do in stories and no picture shows: (past, present).
_DEEDS = [tuple(pair.split("/")) for pair in (
    "woke up/wakes up,fell asleep/falls asleep,slept/sleeps,sang/sings,sang a song/sings a song,told a story/tells a story,"
    "worked/works,worked hard/works hard,had an idea/has an idea,showed the way/shows the way,knew the way/knows the way,"
    "asked for help/asks for help,helped everyone/helps everyone,smiled/smiles,cried/cries,laughed/laughs,shouted/shouts,"
    "listened/listens,thought about it/thinks about it,dreamed/dreams,dreamed of home/dreams of home,felt cold/feels cold,"
    "was afraid/is afraid,was never alone again/is never alone again,said hello/says hello,said goodbye/says goodbye,"
    "ate dinner/eats dinner,ate/eats,drank/drinks,hid/hides,jumped for joy/jumps for joy,jumped/jumps,turned around/turns around,"
    "came home/comes home,came back/comes back,went away/goes away,ran away/runs away,ran past/runs past,ran across/runs across,"
    "walked along/walks along,climbed/climbs,travelled far/travels far,looked up/looks up,looked for food/looks for food,"
    "searched everywhere/searches everywhere,found the way/finds the way,got lost/gets lost,gave a gift/gives a gift,"
    "shared everything/shares everything,made a friend/makes a friend,made a plan/makes a plan,built something/builds something,"
    "took a nap/takes a nap,took a walk/takes a walk,lay down/lies down,sat down/sits down,stood up/stands up,"
    "stayed all day/stays all day,wanted to play/wants to play,wished for a friend/wishes for a friend,called out/calls out,"
    "had a party/has a party,was very happy/is very happy,was too hot/is too hot,was hungry/is hungry,shone/shines,"
    "hummed a tune/hums a tune,carried something/carries something,pulled and pulled/pulls and pulls,spoke/speaks,won/wins"
).split(",")]

_SEASONS = {"snow": " in winter", "meadow": " in spring", "garden": " in spring", "beach": " in summer", "farm": " in summer"}

_TIME_AFTER = {
    "day": ("by day", "in the daytime", "during the day", "in the morning"),
    "night": ("at night", "late at night", "in the night", "in the dark"),
    "sunset": ("at sunset", "in the evening", "at dusk", "in the evening light"),
}
_TIME_OPEN = {
    "day": ("in the sunshine", "on a bright day", "under a blue sky", "on a sunny day"),
    "night": ("under the stars", "under the moon", "in the moonlight", "at night under the stars"),
    "sunset": ("as the sun went down", "while the sun was setting", "under an orange sky", "as the sun sets"),
}
_TIME_BEFORE = {
    "day": ("one day", "one morning", "one fine day", "in the morning", "the next morning", "that day"),
    "night": ("one night", "at night", "that night", "late that night", "in the middle of the night", "when it was dark"),
    "sunset": ("one evening", "at sunset", "that evening", "in the evening", "at the end of the day", "when the sun went down"),
}
_WEATHER_AFTER = {
    "rain": ("in the rain", "while it rained", "as the rain fell", "in the pouring rain", "on a rainy {part}"),
    "snow": ("while it snowed", "as the snow fell", "in the falling snow", "in a snowstorm", "on a snowy {part}"),
    "fog": ("in the fog", "in thick fog", "in the mist", "on a foggy {part}"),
}
_WEATHER_BEFORE = {
    "rain": ("it was raining", "it rained and rained", "rain was falling", "the rain came down"),
    "snow": ("it was snowing", "snow was falling", "the snow fell softly", "snowflakes danced in the air"),
    "fog": ("there was fog everywhere", "it was foggy", "a thick fog came", "mist lay over the land"),
}
_PLACE_MOODS = {
    "day": ("sunny", "bright", "lovely"),
    "night": ("dark", "moonlit", "night"),
    "sunset": ("golden", "evening", "warm"),
    "rain": ("rainy", "wet"),
    "snow": ("snowy", "white"),
    "fog": ("foggy", "misty"),
}
_PLURALS = {name.split()[-1] for o in OBJECTS for name, many in zip(o.names, o.plural, strict=True) if many}
_PARTS = {"day": ("day", "morning"), "night": ("night",), "sunset": ("evening",)}
_OPENERS = ("once upon a time", "one time", "long ago", "then", "at last", "soon", "after a while", "suddenly", "so", "far away",
            "every day", "and then", "there")
_FRAMES = ("a picture of {}", "an illustration of {}", "{}, picture book", "a scene with {}", "this is {}", "look, {}", "{}!")


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
    return _caption(_Facts(tuple(getattr(scenes, n)[index].item() for n in  # type: ignore[arg-type]
                                 ("object", "other", "place", "time", "weather", "size"))), rng)


def _caption(f: _Facts, rng: Random) -> str:
    if f.subject is None:
        return _bare(f, rng)
    u = rng.random()
    if u < 0.40:
        return _phrase(f, rng)
    return _sentence(f, rng) if u < 0.90 else _arrival(f, rng)


# -- parts ----------------------------------------------------------------------------------------------------------------
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
        return rng.choice((f"{name} the {full}", f"{with_article(full)} named {name}", f"the {full} {name}", f"{with_article(full)} called {name}"))
    if u < 0.40:
        return f"the {full}"
    if u < 0.44:
        return full
    return with_article(full, some)


def _where(f: _Facts, rng: Random) -> str:
    phrases = f.place.where
    phrase = phrases[0] if rng.random() < 0.5 else rng.choice(phrases)
    if f.place.name in _SEASONS and f.time != "night" and rng.random() < 0.05:
        return phrase + _SEASONS[f.place.name]
    if f.place.name in ("snow", "space", "sky", "sea", "underwater") or " the " not in phrase or rng.random() > 0.16:
        return phrase
    facts = [m for m in (f.time if f.time != "day" or f.open else "", f.weather if f.weather != "clear" else "") if m]
    if not facts:
        return phrase
    return phrase.replace(" the ", f" the {rng.choice(_PLACE_MOODS[rng.choice(facts)])} ", 1)


def _hour(f: _Facts, rng: Random) -> str:
    """Words after the place for the hour and weather, mostly present when they are not plain day."""
    out = []
    if f.weather != "clear" and rng.random() < 0.85:
        phrase = rng.choice(_WEATHER_AFTER[f.weather])
        if "{part}" in phrase:
            if not f.time:
                return ""
            return " " + phrase.format(part=rng.choice(_PARTS[f.time]))
        out.append(phrase)
    if f.time and rng.random() < (0.24 if f.time == "day" else 0.85):
        out.append(rng.choice(_TIME_OPEN[f.time] if f.open and rng.random() < 0.5 else _TIME_AFTER[f.time]))
    rng.shuffle(out)
    return "".join(" " + part for part in out)


def _before(f: _Facts, rng: Random) -> str:
    """Words before the sentence; empty when there is nothing to say."""
    if f.weather != "clear" and rng.random() < 0.4:
        joint = rng.choice((" and ", ", and ", " when ", ". "))
        return rng.choice(_WEATHER_BEFORE[f.weather]) + joint
    if f.time and rng.random() < 0.8:
        return rng.choice(_TIME_BEFORE[f.time]) + rng.choice((", ", " "))
    return ""


def _verb(kind: ObjectKind, place: Place, rng: Random) -> Verb:
    if kind.flies and rng.random() < 0.75:
        return rng.choice(_FLY)
    if place.water and (place.water == "surface" or kind.swims):
        return rng.choice(_SWIM if kind.kind in ("animal", "person") else _SWIM[1:])
    if place.name == "space" and rng.random() < 0.4:
        return ("floats", "floated", "floating")
    return rng.choice(_VERBS[kind.kind])


# -- forms ----------------------------------------------------------------------------------------------------------------
def _bare(f: _Facts, rng: Random) -> str:
    noun = rng.choice(f.place.nouns)
    if f.place.has_time:
        noun += _hour(f, rng)
    return _polish(rng.choice(("{}", "{}", "{}", "a picture of {}", "there is {}", "nobody is here, only {}")).format(noun), rng)


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
        text = rng.choice(_FRAMES).format(text)
    return _polish(text, rng)


def _sentence(f: _Facts, rng: Random) -> str:
    """ "One night the little fox walked in the forest." """
    assert f.subject is not None
    past = rng.random() < 0.62
    who = _noun(f.subject, rng, f.size, names=True)
    plural = who.rsplit(" ", 1)[-1] in _PLURALS
    before = _before(f, rng) if rng.random() < 0.5 else ""
    told = bool(before)
    if not before and rng.random() < 0.22:
        before = rng.choice(_OPENERS) + rng.choice((", ", " "))
    after = f" {_where(f, rng)}" + ("" if told and rng.random() < 0.8 else _hour(f, rng))
    if f.other is not None:
        return _polish(before + _meeting(f, rng, who, past) + after, rng, dot=True)
    present, done, going = _verb(f.subject, f.place, rng)
    u = rng.random()
    if u < 0.15:
        text = f"there {'were' if plural else 'was'} {who}{after}" if past else f"there {'are' if plural else 'is'} {who}{after}"
    elif u < 0.30:
        text = f"{who} {('were ' if plural else 'was ') if past else ('are ' if plural else 'is ')}{going}{after}"
    elif plural:
        text = f"{who} {'were' if past else 'are'}{after}"
    elif u < 0.58 and f.subject.kind in ("animal", "person"):
        text = f"{who} {rng.choice(_DEEDS)[0 if past else 1]}{after}"
    else:
        text = f"{who} {done if past else present}{after}"
    return _polish(before + text, rng, dot=True)


def _meeting(f: _Facts, rng: Random, who: str, past: bool) -> str:
    assert f.subject is not None and f.other is not None
    other = _noun(f.other, rng, 0.5, names=True)
    alive = f.subject.kind in ("animal", "person")
    both = f.other.kind in ("animal", "person")
    if alive and both and rng.random() < 0.5:
        verbs = ("met", "played with", "saw", "talked to", "walked with", "found") if past else (
            "meets", "plays with", "sees", "talks to", "walks with", "finds")
        return f"{who} {rng.choice(verbs)} {other}"
    if alive and rng.random() < 0.55:
        verbs = ("found", "saw", "looked at", "had", "wanted", "came to") if past else ("finds", "sees", "looks at", "has", "wants", "likes")
        return f"{who} {rng.choice(verbs)} {other}"
    verb = rng.choice(("were", "stood", "waited", "were together") if past else ("are", "stand", "wait", "are together"))
    return f"{who} and {other} {verb}"


def _arrival(f: _Facts, rng: Random) -> str:
    """ "At last the fox came to the woods." """
    assert f.subject is not None
    if f.subject.kind not in ("animal", "person", "vehicle") or f.other is not None:
        return _sentence(f, rng)
    who, noun = _noun(f.subject, rng, f.size, names=True), rng.choice(f.place.nouns)
    past = rng.random() < 0.75
    verbs = ("came to", "went to", "arrived at", "reached", "found", "traveled to") if past else ("comes to", "goes to", "arrives at", "reaches")
    hour = _before(f, rng)
    if not hour and rng.random() < 0.4:
        hour = rng.choice(_OPENERS) + " "
    return _polish(f"{hour}{who} {rng.choice(verbs)} {noun}{'' if hour else _hour(f, rng)}", rng, dot=True)


def _polish(text: str, rng: Random, dot: bool = False) -> str:
    """Capital and full stop in some captions: the tokenizer lowers letters, a story has both."""
    if dot and rng.random() < 0.7:
        return text[0].upper() + text[1:] + "."
    return text
