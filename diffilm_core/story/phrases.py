"""Places, hours and weathers as phrases that end a prompt: "forest" is "in the forest", "night" is "at night"."""

from __future__ import annotations

import re

from .lexicon import these
from .lexicon import words as known

PREPOSITIONS = these(
    "in on at by under over near inside outside beneath beside behind above below among between along across through "
    "around aboard within upon atop against before beyond during"
)
DETERMINERS = these("a an the this that these those his her its their my our your some every each no one two three")
PRONOUNS = these("he she it they him her them himself herself itself themselves his hers its their theirs")

_ON = these(
    "beach shore island hill hillside mountain mountaintop mountainside road street path roof deck ship boat raft "
    "bridge lawn moor plain prairie farm stage platform balcony porch stairs staircase train bus plane moon planet "
    "ice grass branch sofa bed bench terrace coast cliff riverbank bank pavement sidewalk highway floor wharf pier "
    "quay throne horseback ledge summit ridge playground field"
)
_AT = these(
    "home school sea church market fair station airport harbour harbor port table window door gate court college "
    "university party wedding funeral ball bottom top edge foot end crossroads corner entrance seaside inn"
)
_BY = these("river lake stream brook pond fire fireplace campfire fireside well spring waterfall canal")
_BARE = these("home school sea church college university space heaven outdoors indoors underwater")

_AT_TIME = these("night dawn dusk noon midday midnight sunset sunrise daybreak nightfall twilight teatime")
_IN_TIME = these("spring summer autumn fall winter")
_PART = these("morning afternoon evening daytime")
_HOURS = _AT_TIME | _PART | _IN_TIME
_MONTHS = these("january february march april may june july august september october november december")
_DAYS = these("monday tuesday wednesday thursday friday saturday sunday christmas easter")

_WEATHER = {
    "rain": "in the rain", "snow": "in the falling snow", "fog": "in the fog", "mist": "in the mist",
    "storm": "in a storm", "thunderstorm": "in a thunderstorm", "snowstorm": "in a snowstorm", "wind": "in the wind",
    "hail": "in the hail", "sun": "in the sunshine", "sunshine": "in the sunshine", "clear": "under a clear sky",
    "cloud": "under a cloudy sky", "clouds": "under a cloudy sky", "cloudy": "under a cloudy sky",
    "sunny": "in the sunshine", "rainy": "in the rain", "snowy": "in the falling snow", "foggy": "in the fog",
    "misty": "in the mist", "stormy": "in a storm", "windy": "in the wind", "frost": "in the frost",
    "lightning": "in a thunderstorm", "thunder": "in a thunderstorm", "blizzard": "in a blizzard",
    "heat": "in the heat", "hot": "in the heat", "cold": "in the cold", "drizzle": "in the drizzle",
}  # fmt: skip


def where(place: str) -> str:
    """ "forest" -> "in the forest", "on the hill" as it is, "Paris" -> "in Paris"; "" stays ""."""
    parts = place.split()
    if not parts or parts[0].lower() in PREPOSITIONS or parts[0].lower() in ("underwater", "outdoors", "indoors"):
        return place
    head = head_noun(place)
    named = parts[0].lower() in DETERMINERS or place[0].isupper()
    if head in _BARE and len(parts) == 1:
        return f"{'at' if head in _AT else 'in'} {place}"
    preposition = "on" if head in _ON else "at" if head in _AT else "by" if head in _BY else "in"
    return f"{preposition} {place}" if named else f"{preposition} the {place}"


def when(time: str) -> str:
    """ "night" -> "at night", "winter morning" -> "on a winter morning", "the next day" as it is."""
    words = time.lower().split()
    if not words or words[0] in PREPOSITIONS or words[0] in ("the", "one", "that", "this", "next", "a", "an"):
        return _framed(time, words)
    last = words[-1]
    if len(words) == 1:
        if last in _AT_TIME:
            return f"at {time}"
        if last in _IN_TIME or last in _MONTHS:
            return f"in {time}"
        if last in _PART:
            return f"in the {time}"
        if last in _DAYS:
            return f"on {time}"
        return "by day" if last == "day" else f"at {time}" if last[0].isdigit() else time
    if words[0] in ("early", "late", "last", "next"):
        if last in _PART:
            return f"{words[0]} in the {last}" if len(words) == 2 else f"in the {time}"
        return f"{words[0]} at {last}" if last in _AT_TIME and len(words) == 2 else f"in {time}"
    if last in _PART or last in _AT_TIME or last in ("day",):
        return f"on {article(time)}"
    return time


def _framed(time: str, words: list[str]) -> str:
    """What has its own frame already, but for "the night", which wants one."""
    if len(words) == 2 and words[0] == "the" and words[1] in _PART | _AT_TIME:
        return when(words[1])
    return time


def weathered(weather: str) -> str:
    """ "rain" -> "in the rain"; a phrase of several words as it is, unless it is a bare noun."""
    words = weather.lower().split()
    if not words or words[0] in PREPOSITIONS:
        return weather
    if len(words) == 1:
        return _WEATHER.get(words[0], f"in {weather} weather" if words[0].endswith("y") else f"in the {weather}")
    if words[0] in DETERMINERS:
        return f"in {weather}"
    return f"in {article(weather)}" if words[-1] in ("storm", "wind", "blizzard", "fog", "mist") else weather


def article(noun: str) -> str:
    """ "owl" -> "an owl"; what has a determiner, a capital letter or is a plural stays."""
    words = noun.split()
    if not words or words[0].lower() in DETERMINERS or words[0].lower() in PRONOUNS or noun[0].isupper():
        return noun
    if not noun[0].isalpha():
        return noun
    last = head_noun(noun)
    if last.endswith("s") and not last.endswith(("ss", "us", "is")):
        return noun
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"


def head_noun(phrase: str) -> str:
    """The noun that a phrase is about: the last word before "of", "with", "by", ..."""
    words = re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", phrase.lower())
    while words and (words[0] in PREPOSITIONS or words[0] in DETERMINERS):
        words = words[1:]
    for place, word in enumerate(words):
        if place and (word in PREPOSITIONS or word in ("of", "with", "where", "that", "who", "which", "and")):
            return words[place - 1]
    return words[-1] if words else ""


def tells(text: str, phrase: str) -> bool:
    """Whether the text already has the phrase's head noun as a word (or its plural)."""
    head = head_noun(phrase)
    return bool(head) and re.search(rf"(?<![^\W_]){re.escape(head)}(?:e?s)?(?![^\W_])", text.lower()) is not None


_LOCATED = re.compile(
    r"\b(?:in|on|at|by|under|over|near|inside|outside|beneath|beside|behind|above|among|through|across|along|into|to|onto|"
    r"upon|around|up|down|aboard|from|past)\s+(?=((?:[^\W_]+[\s-]+){0,4}[^\W_]+))",
    re.IGNORECASE,
)


def unsaid(text: str, place: str, time: str, weather: str) -> tuple[str, str, str]:
    """Of place, time and weather those that the text does not tell: "" where it names them, or another place or hour.
    Weather is not to be seen in a room."""
    spots = known("indoor", "outdoor")
    named = {word for found in _LOCATED.finditer(text.lower()) for word in _singulars(found[1].split())}
    hours = not _HOURS.isdisjoint(re.findall(r"[^\W_]+", text.lower()))
    room = head_noun(place) in known("indoor") or bool(named & known("indoor"))
    return (
        "" if tells(text, place) or named & spots else place,
        "" if tells(text, time) or hours else time,
        "" if tells(text, weather) or room else weather,
    )


_STAYS = these("in on at by under near beside")
_TOWARDS = these("to into onto through across")


def spot(text: str) -> str:
    """Where an act is set by its own words: "in the deep forest tells the fox" is "in the deep forest", "follows the
    rabbit to the river" is "the river", which `where` puts in words; "" where it names no place that is known."""
    words = re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text)
    low = [word.lower() for word in words]
    towards = ""
    for at, preposition in enumerate(low):
        if preposition not in _STAYS | _TOWARDS or (at and low[at - 1] == "way"):  # "shows the way to the farm"
            continue
        for end in range(at + 1, min(at + 5, len(low))):
            if low[end] in PREPOSITIONS | _TOWARDS | {"and"}:
                break
            if known("indoor", "outdoor").isdisjoint(_singulars([low[end]])):
                continue
            phrase = " ".join(words[at + 1 : end + 1])
            if preposition in _STAYS:
                return f"{preposition} {phrase}"
            towards = towards or phrase
            break
    return towards


def _singulars(found: list[str]) -> list[str]:
    return [form for word in found for form in (word, word.removesuffix("s"))]


def gerund(words: str, lemma: str) -> str:
    """The predicate with its verb in -ing, where its first word is a form of the verb: "ran home" -> "running home"."""
    first, _, rest = words.partition(" ")
    low, lemma = first.lower(), lemma.lower()
    if not lemma.isalpha() or low.endswith("ing") or not low.isalpha():
        return words
    regular = low.startswith(lemma[: max(1, len(lemma) - 1)]) and abs(len(low) - len(lemma)) <= 3
    irregular = low[0] == lemma[0] or (lemma, low) in (("go", "went"), ("go", "goes"))
    if lemma in ("be", "have", "can", "will", "must", "may", "do") or not (regular or irregular):
        return words
    return f"{_ing(lemma)} {rest}".strip()


def _ing(lemma: str) -> str:
    if lemma in ("lie", "die", "tie"):
        return lemma[:-2] + "ying"
    if lemma.endswith("e") and not lemma.endswith(("ee", "oe", "ye")):
        return lemma[:-1] + "ing"
    short = re.fullmatch(r"[^aeiou]*[aeiou][bdgklmnprt]", lemma)  # run, sit, swim, hop; not sleep, look
    doubled = short or lemma in ("begin", "forget", "admit", "quit")
    return lemma + (lemma[-1] if doubled and not lemma.endswith(("w", "x", "y", "k")) else "") + "ing"
