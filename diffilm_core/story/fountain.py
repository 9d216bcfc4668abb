"""Fountain screenplays (fountain.io, syntax 1.1): scene headings give place and time, cues the cast."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..errors import DiffilmError
from .clean import has_words, one_line
from .filming import plan
from .reading import Clause, Mention, Reading, SentenceReading, read
from .storyboard import CastMember, Storyboard

Kind = Literal["heading", "action", "speech", "transition", "aside", "title"]

HEADING = re.compile(r"(?:(?:int|ext|est|int\.?/ext|ext\.?/int|i/e)[. ]|\.(?=[^\W_]))", re.IGNORECASE)
CUE = re.compile(r"@\S|(?=[^a-z]*[A-Z])[^a-z(]*(?:\([^)]*\)\s*)*\^?$")
TRANSITION = re.compile(r">(?!.*<$)|[^a-z]*\bTO:$|FADE (?:IN|OUT|TO BLACK)[.:]?$")
ASIDE = re.compile(r"/\*.*?(?:\*/|\Z)|\[\[.*?\]\]", re.DOTALL)
TITLE_KEY = re.compile(
    r"(?:title|credit|authors?|source|notes|draft date|date|contact|copyright|revision)\s*:", re.IGNORECASE
)
UNSEEN = re.compile(r"\((?:[^)]*\b)?(?:v\.?\s?o\.?|o\.?\s?s\.?|o\.?\s?c\.?)(?:\b[^)]*)?\)", re.IGNORECASE)
SAME_TIME = re.compile(r"(?:continuous|same(?: time)?|moments? later|later)", re.IGNORECASE)
NUMBER = re.compile(r"\s*#[^#]+#\s*$")


@dataclass(frozen=True)
class Element:
    """Characters [start, end) of the script. speaker, seen: of a speech."""

    start: int
    end: int
    kind: Kind
    text: str
    speaker: str = ""
    seen: bool = True


def elements(script: str) -> list[Element]:
    """What the script is made of, in order. Notes and boneyard are asides, wherever they are."""
    plain = ASIDE.sub(lambda found: re.sub(r"\S", " ", found.group()), script)
    lines = list(_lines(plain))
    out: list[Element] = []
    at = _title_page(lines, out)
    while at < len(lines):
        start, end, text = lines[at]
        before_blank = at == 0 or not lines[at - 1][2]
        after_blank = at + 1 == len(lines) or not lines[at + 1][2]
        if not text:
            at += 1
        elif text.startswith(("#", "=")) or not has_words(text):
            out.append(Element(start, end, "aside", text))
            at += 1
        elif HEADING.match(text) and not text.startswith("..") and before_blank:
            out.append(Element(start, end, "heading", text.lstrip(".")))
            at += 1
        elif before_blank and after_blank and TRANSITION.match(text):
            out.append(Element(start, end, "transition", text.lstrip("> ")))
            at += 1
        elif before_blank and not after_blank and CUE.match(text) and not text.startswith("!"):
            last = at
            while last + 1 < len(lines) and lines[last + 1][2]:
                last += 1
            words = " ".join(line[2] for line in lines[at + 1 : last + 1] if not line[2].startswith("("))
            out.append(Element(start, lines[last][1], "speech", words, _name(text), not UNSEEN.search(text)))
            at = last + 1
        else:
            out.append(Element(start, end, "action", text))
            at += 1
    return out


def _lines(script: str) -> Iterator[tuple[int, int, str]]:
    at = 0
    for raw in script.splitlines(keepends=True):
        text = raw.strip()
        start = at + len(raw) - len(raw.lstrip())
        yield (start, start + len(text), text)
        at += len(raw)


def _title_page(lines: list[tuple[int, int, str]], out: list[Element]) -> int:
    """The index of the first line behind the title page."""
    first = next((i for i, line in enumerate(lines) if line[2]), 0)
    if not lines or not TITLE_KEY.match(lines[first][2]):
        return first
    at, key = first, ""
    while at < len(lines) and lines[at][2]:
        start, end, text = lines[at]
        found = re.match(r"([A-Za-z ]+):\s*(.*)", text)
        key = found[1].lower() if found else key
        value = found[2] if found else text
        out.append(Element(start, end, "title" if key == "title" and value else "aside", value.strip("*_ ")))
        at += 1
    return at


def _name(cue: str) -> str:
    """ "MARY ANN (V.O.) ^" -> "Mary Ann"; "@McCLANE" keeps its letters."""
    bare = re.sub(r"\([^)]*\)", " ", cue.rstrip("^")).strip()
    if bare.startswith("@"):
        return one_line(bare[1:])
    return " ".join(word.capitalize() for word in one_line(bare).split())


@dataclass
class _Setting:
    place: str = ""
    time: str = ""
    scene: int = -1
    lapse: bool = False
    changed: bool = False


def storyboard_from_fountain(script: str, **options: Any) -> Storyboard:
    """A screenplay's shots: its action read as prose, each speech a shot of its speaker, headings for place and time,
    transitions as written. Spans hold every character that is not white space exactly once. options: those of `plan`.
    Raises DiffilmError where nothing in it can be filmed.
    """
    parts = elements(script)
    if not any(part.kind in ("action", "speech") for part in parts):
        first = next((script.count("\n", 0, p.start) + 1 for p in parts if p.kind == "heading"), 1)
        raise DiffilmError(
            f"screenplay has no action and no dialogue (its first heading is on line {first}); write what is to be "
            "seen under the headings, or read it as prose with --as story"
        )
    reading, cuts = _reading(script, parts)
    board = plan(reading, **options)
    title = one_line(" ".join(part.text for part in parts if part.kind == "title"))
    shots = []
    for shot in board.shots:
        asked = [cuts[start] for start in cuts if shot.span[0] <= start < shot.span[1]]
        shots.append(replace(shot, transition=asked[-1]) if asked and shot.index else shot)
    return replace(board, title=title, shots=tuple(shots))


def _reading(script: str, parts: list[Element]) -> tuple[Reading, dict[int, str]]:
    """The script as a reading, and the transitions by where they are written."""
    speakers = {part.speaker for part in parts if part.kind == "speech"}
    action = _masked(script, parts, speakers)
    prose = read(action) if has_words(action) else Reading(script, ())
    cast = list(prose.cast)
    ids = {name: _member(cast, name) for name in sorted(speakers)}
    setting = _Setting()
    cuts: dict[int, str] = {}
    made: list[SentenceReading] = []
    told = iter(prose.sentences)
    sentence = next(told, None)
    for part in parts:
        while sentence is not None and sentence.span[0] < part.start:
            made.append(_placed(sentence, setting))
            sentence = next(told, None)
        span = (part.start, part.end)
        if part.kind == "heading":
            _enter(setting, part.text)
            made.append(SentenceReading(span, "heading"))
        elif part.kind == "speech":
            made.append(_placed(_speech(span, ids[part.speaker], part.seen), setting))
        elif part.kind != "action":
            made.append(SentenceReading(span, "break"))
            if part.kind == "transition":
                cuts[part.start] = _transition(part.text)
    while sentence is not None:
        made.append(_placed(sentence, setting))
        sentence = next(told, None)
    scene = 0
    for at in reversed(range(len(made))):  # a heading's scene is that of what follows it
        scene = made[at].scene if made[at].kind == "text" else scene
        made[at] = replace(made[at], scene=scene)
    return Reading(script, tuple(_whole(script, made)), tuple(cast), prose.descriptions), cuts


def _masked(script: str, parts: list[Element], speakers: set[str]) -> str:
    """The script with everything but its action blank, at the same offsets; names of cues in title case."""
    out = [" " if not letter.isspace() else letter for letter in script]
    for part in parts:
        if part.kind == "action":
            text = script[part.start : part.end]
            bare = ASIDE.sub(lambda found: " " * len(found.group()), text)
            out[part.start : part.end] = " " + bare[1:] if bare[0] in "!~" else bare
    text = "".join(out)
    for name in speakers:
        if len(name.upper()) == len(name):
            text = name.join(re.split(rf"(?<![^\W_]){re.escape(name.upper())}(?![^\W_])", text))
    return text


def _member(cast: list[CastMember], name: str) -> str:
    """The id of the member with that name; a new member where there is none."""
    for member in cast:
        if name.casefold() in [called.casefold().removeprefix("the ") for called in (member.name, *member.aliases)]:
            return member.id
    ids = {member.id for member in cast}
    stem = "-".join(re.findall(r"[^\W_]+", name.lower())) or "speaker"
    free = next(i for i in (stem, *(f"{stem}-{n}" for n in range(2, len(ids) + 3))) if i not in ids)
    cast.append(CastMember(free, name, (), "person"))
    return free


def _enter(setting: _Setting, heading: str) -> None:
    """ "INT. KITCHEN - NIGHT" sets place "kitchen", time "night"."""
    text = NUMBER.sub("", HEADING.sub("", heading, count=1) if HEADING.match(heading) else heading)
    place, _, time = (part.strip(" .-–—") for part in one_line(text).rpartition(" - "))
    if not place:
        place, time = time, ""
    place = place.lower() if place.isupper() else place
    time = time.lower()
    setting.lapse = setting.scene >= 0 and bool(time) and time != setting.time and not time.startswith(
        ("continuous", "same", "moment")
    )  # fmt: skip
    setting.changed = place != setting.place
    setting.place, setting.scene = place, setting.scene + 1
    if not SAME_TIME.fullmatch(time):
        setting.time = time


def _placed(sentence: SentenceReading, setting: _Setting) -> SentenceReading:
    if setting.scene < 0:
        return sentence
    lapse, changed = setting.lapse, setting.changed
    setting.lapse = setting.changed = False
    return replace(
        sentence, place=setting.place, time=setting.time or sentence.time, scene=setting.scene, place_changed=changed,
        time_lapse=lapse or sentence.time_lapse,
    )  # fmt: skip


def _speech(span: tuple[int, int], who: str, seen: bool) -> SentenceReading:
    mention = Mention(span, who, "speaker", seen)
    clause = Clause(span, (who,), "talk", "talks", filmed=seen)
    return SentenceReading(span, mentions=(mention,), clauses=(clause,), cast=(who,) if seen else (), speaker=who)


def _transition(words: str) -> str:
    low = words.lower()
    return next((name for name in ("dissolve", "fade", "wipe") if name in low), "cut")


def _whole(script: str, made: list[SentenceReading]) -> Iterator[SentenceReading]:
    """The sentences with breaks for what lies between them: notes, boneyard, marks."""
    at, scene = 0, 0
    for item in [*made, SentenceReading((len(script), len(script)), "break")]:
        gap = script[at : item.span[0]]
        if gap.strip():
            start = at + len(gap) - len(gap.lstrip())
            yield SentenceReading((start, start + len(gap.strip())), "break", scene=scene)
        if item.span[0] < item.span[1]:
            yield item
        at, scene = max(at, item.span[1]), item.scene
