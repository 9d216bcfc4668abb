"""Prompts that stand alone: subject, action, place, time and weather, camera and style, within an encoder's tokens."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from ..errors import DiffilmError
from .clean import TRAILING
from .lexicon import these
from .phrases import PREPOSITIONS, PRONOUNS, article, gerund, spot, unsaid, weathered, when, where

log = logging.getLogger(__name__)

CountTokens = Callable[[str], int]
"""A prompt to its tokens, start and end among them."""


@dataclass(frozen=True)
class Phrasing:
    """How a model wants to be told. limit: tokens of its encoder, start and end among them. tags: parts with commas
    between them and verbs in -ing. camera: whether it knows words for framing. pairs: whether two figures are told side
    by side, "an owl and a fox", without what one does to the other. negative: what it is told to avoid."""

    name: str
    limit: int
    tags: bool = False
    camera: bool = True
    pairs: bool = False
    negative: str = ""


PHRASINGS = {
    # The model that ships: short captions, as in training/captions.py, and an encoder of 32 tokens. "An owl tells the
    # fox" is one melted figure to it.
    "plain": Phrasing("plain", 32, camera=False, pairs=True),
    # ModelScope, Zeroscope and others that were trained on captions of videos; OpenCLIP has CLIP's 77 tokens.
    "sentence": Phrasing("sentence", 77, negative="text, watermark, blurry"),
    # Stable Diffusion 1.5, AnimateDiff.
    "tags": Phrasing(
        "tags", 77, tags=True,
        negative="worst quality, low quality, blurry, deformed, extra limbs, text, watermark, signature",
    ),
}  # fmt: skip


def phrasing_of(name: str) -> Phrasing:
    """By name. Raises DiffilmError for another."""
    if name not in PHRASINGS:
        raise DiffilmError(f"phrasing {name!r} is not known; choose one of {', '.join(PHRASINGS)}")
    return PHRASINGS[name]


def token_counter(phrasing: Phrasing) -> CountTokens:
    """Counts with the encoder's own tokenizer, read when a prompt is so long that it matters. CLIP's knows no token
    that reaches over a space, so each word is counted once."""

    def count(prompt: str) -> int:
        size = len(prompt.encode("utf-8", "replace")) + 2  # no token is less than a byte
        return size if size <= phrasing.limit else 2 + sum(_tokens(phrasing.name, word) for word in prompt.split(" "))

    return count


@lru_cache(1 << 16)
def _tokens(name: str, word: str) -> int:
    return len(_tokenizer(name).encode(word, add_special_tokens=False).ids)


@lru_cache
def _tokenizer(name: str) -> Any:
    from ..text.clip import clip_tokenizer, load_tokenizer

    if name != "plain":
        return clip_tokenizer().backend_tokenizer
    from ..bundle import TOKENIZER

    return load_tokenizer(TOKENIZER).backend_tokenizer


@dataclass(frozen=True)
class Figure:
    """Who or what is seen. name: the short form, "the fox". full: with its description, always the same words."""

    name: str
    full: str


@dataclass(frozen=True)
class Act:
    """What figures do: `words` is the predicate, `verb` its lemma. Without figures, `words` has its own subject."""

    words: str
    figures: tuple[Figure, ...] = ()
    verb: str = ""


@dataclass(frozen=True)
class Picture:
    """What a shot shows: its acts, the first the most important; who else is there; plain words for the rest. pair: the
    subject of the first act and whom that concerns, for models that are told of two side by side."""

    acts: tuple[Act, ...] = ()
    others: tuple[Figure, ...] = ()
    pair: tuple[Figure, ...] = ()
    place: str = ""
    time: str = ""
    weather: str = ""
    camera: str = ""
    style: str = ""
    close: str = ""  # a hint of the last resort: the shot's own words


def prompt_of(picture: Picture, phrasing: Phrasing, count: CountTokens | None = None) -> str:
    """The picture in words that fit the encoder.

    What does not fit is left out in this order, and logged: camera, style beyond a third of the room, bystanders,
    further acts, weather, time, place, the end of the action, style, descriptions. The subject stays.
    """
    count = count or token_counter(phrasing)
    if phrasing.pairs and picture.pair:
        place = next(filter(None, (spot(act.words) for act in picture.acts)), picture.place)
        picture = replace(picture, acts=(Act("", picture.pair),), others=(), place=place)
    prompt = _worded(picture, phrasing)
    if count(prompt) <= phrasing.limit:
        return prompt
    left_out: list[str] = []
    for what, smaller in _steps(phrasing):
        while (less := smaller(picture)) != picture:
            picture = less
            if what not in left_out:
                left_out.append(what)
            shorter = _worded(picture, phrasing)
            if count(shorter) <= phrasing.limit:
                log.info("%s, cut to %d tokens: without its %s", shorter, phrasing.limit, ", ".join(left_out))
                return shorter
    subject = _cut_to(_worded(picture, phrasing), phrasing.limit, count)
    log.warning("the subject itself is longer than the encoder's %d tokens, cut: %s", phrasing.limit, subject)
    return subject


def _steps(phrasing: Phrasing) -> list[tuple[str, Callable[[Picture], Picture]]]:
    room = phrasing.limit // 3

    def style_words(picture: Picture, most: int) -> Picture:
        words = picture.style.split()
        return replace(picture, style=" ".join(words[: max(most, len(words) - 1)]).rstrip(",;"))

    def named(picture: Picture) -> Picture:
        short = [tuple(Figure(f.name, f.name) for f in act.figures) for act in picture.acts]
        acts = (replace(act, figures=figures) for act, figures in zip(picture.acts, short, strict=True))
        return replace(picture, acts=tuple(acts))

    def action_word(picture: Picture) -> Picture:
        act = picture.acts[0] if picture.acts else Act("")
        words = act.words.split()
        if len(words) <= (1 if act.figures else 4):
            return picture
        return replace(picture, acts=(replace(act, words=" ".join(_without_tail(words))),))

    def fewer(picture: Picture) -> Picture:
        act = picture.acts[0] if picture.acts else Act("")
        return replace(picture, acts=(replace(act, figures=act.figures[:-1]),)) if len(act.figures) > 2 else picture

    return [
        ("camera", lambda p: replace(p, camera="")),
        ("style's end", lambda p: style_words(p, room * 2 // 3)),
        ("bystanders", lambda p: replace(p, others=p.others[:-1])),
        ("further acts", lambda p: replace(p, acts=p.acts[: max(1, len(p.acts) - 1)])),
        ("weather", lambda p: replace(p, weather="")),
        ("time", lambda p: replace(p, time="")),
        ("place", lambda p: replace(p, place="") if p.acts else p),
        ("action's end", action_word),
        ("style", lambda p: style_words(p, 0)),
        ("description", named),
        ("further subjects", fewer),
    ]


DANGLING = these("a an the and or but of to in on at by with from into for as that which who his her its")


def _without_tail(words: list[str]) -> list[str]:
    """A word less, or an eighth of many, and no article or preposition left at the end."""
    words = words[: -max(1, len(words) // 8)]
    while len(words) > 1 and words[-1].lower().strip(",;") in DANGLING:
        words = words[:-1]
    return [*words[:-1], words[-1].rstrip(",;:-")] if words else words


def _cut_to(text: str, limit: int, count: CountTokens) -> str:
    """The longest beginning that fits."""
    low, high = 1, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count(text[:middle].rstrip()) <= limit else (low, middle - 1)
    return text[:low].rstrip() or text[:1]


def _worded(picture: Picture, phrasing: Phrasing) -> str:
    body = _body(picture, phrasing)
    place, time, weather = unsaid(body, picture.place, picture.time, picture.weather)
    if phrasing.tags:
        parts = [body, _bare(place), time, weather]
    else:
        parts = [" ".join(part for part in (body, where(place), when(time), weathered(weather)) if part)]
    parts += [picture.camera if phrasing.camera else "", picture.style]
    prompt = ", ".join(part for part in parts if part)
    return prompt if phrasing.tags else prompt[:1].upper() + prompt[1:]


def _body(picture: Picture, phrasing: Phrasing) -> str:
    """The acts as one phrase; a subject that goes on acting is named once."""
    joint = ", " if phrasing.tags else " and "
    out = ""
    before: tuple[Figure, ...] = ()
    named: set[Figure] = set()
    for act in picture.acts:
        words = gerund(act.words, act.verb) if phrasing.tags and act.figures else act.words
        figures = "" if act.figures and act.figures == before else _together(act.figures, named)
        said = f"{figures} {words}".strip()
        if phrasing.tags:
            said = ", ".join(part.rstrip(",") for part in (figures, words) if part)
        out += (joint if out and said else "") + said
        before = act.figures
        named |= set(act.figures)
    others = [figure for figure in picture.others if figure not in named]
    if others:
        words = _together(tuple(others), named)
        out = f"{out}{', ' if phrasing.tags else ' with '}{words}" if out else words
    if out:
        return out
    for part in (_bare(picture.place), picture.weather, picture.time, picture.close):
        if part.strip():
            return part if part == picture.close else article(part)
    return "an empty scene"


def _together(figures: tuple[Figure, ...], named: set[Figure]) -> str:
    """ "a fox, an owl and a bear"; who was named before comes by the short form."""
    names = [figure.name if figure in named else figure.full for figure in figures]
    if len(names) < 3:
        return " and ".join(names)
    return ", ".join(names[:-1]) + " and " + names[-1]


def _bare(place: str) -> str:
    """The place without its preposition: "in the forest" -> "the forest"."""
    words = place.split()
    return " ".join(words[1:]) if len(words) > 1 and words[0].lower() in PREPOSITIONS else place


OPENING = " \t\n\"'“”‘’«»([{-–—*_"
"""What may stand before a sentence's first word."""
EXPLETIVE = re.compile(
    r"(?:it|there)(?:['’]s|\s+(?:is|was|are|were|came|stood|lived|lay|seemed|had\s+been|has\s+been|once\s+was"
    r"|once\s+lived))\s+(?=\S)",
    re.IGNORECASE,
)
SUBJECT = re.compile(
    r"(he|she|it|they|him|her|them|himself|herself|itself|themselves)(?:['’](?:s|d|ll|re|ve))?(?![^\W_'’])",
    re.IGNORECASE,
)
LEADING = re.compile(
    r"(?:(?:and|but|so|then|or|for|yet|now|when|while|as|because|until|after|before|if|though|although|that|where|"
    r"suddenly|soon|at last|once|just)\b[,\s]+)+",
    re.IGNORECASE,
)
SOMEBODY = {"he": "a man", "him": "a man", "she": "a woman", "her": "a woman", "it": "something", "they": "people",
            "them": "people", "himself": "a man", "herself": "a woman", "itself": "something",
            "themselves": "people"}  # fmt: skip


def own_words(sentence: str, who: Figure | None = None) -> str:
    """A sentence of the story as a prompt's body: no "and then" before its subject, no pronoun as its subject.

    who: the figure that such a pronoun is taken for; None: a man, a woman, something, people.
    """
    sentence = sentence.lstrip(OPENING) or sentence
    text, before = sentence, ""
    while text != before:  # "and so it is and so it will be"
        before = text
        text = text[found.end() :] if (found := LEADING.match(text)) else text
        text = text[found.end() :] if (found := EXPLETIVE.match(text)) else text
    text = text.strip(TRAILING + "\"'") or sentence
    found = SUBJECT.match(text)
    if found is None:
        return text
    rest = text[found.end() :]
    if found[1].lower() == "her" and re.match(r"\s+[a-z]", rest):  # "her eyes shone"
        return (f"{who.name}'s" if who else "a woman's") + rest
    subject = who.full if who else SOMEBODY[found[1].lower()]
    return subject + rest


def unresolved_subject(prompt: str) -> bool:
    """Whether the prompt's subject is a third-person pronoun."""
    words = re.findall(r"[^\W_]+", LEADING.sub("", prompt, count=1).lower())
    return bool(words) and words[0] in PRONOUNS - {"his", "her", "its", "their", "theirs", "hers"}
