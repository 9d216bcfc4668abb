"""What has been read from a story: its sentences, who does what in them, where and when, and the cast."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .blocks import Kind
from .storyboard import CastMember

MentionKind = Literal["name", "pronoun", "description", "speaker"]


@dataclass(frozen=True)
class Mention:
    """Somebody or something named at characters `span` of the story.

    member: id of the cast, "" where nobody fits. kind: how it is named; "speaker" stands for words spoken without
    anyone being named beside them (the span is then the spoken words). visible: False where it is negated, only
    thought or dreamed of, talked about, or compared with.
    """

    span: tuple[int, int]
    member: str
    kind: MentionKind
    visible: bool = True


@dataclass(frozen=True)
class Clause:
    """One verb and what belongs to it.

    subject, object: cast ids. verb: its lemma. action: the predicate in plain words, names in the place of
    pronouns, without the subject ("chases the grey mouse into the kitchen"). filmed: False where it is negated,
    thought, dreamed, supposed, or told as talk.
    """

    span: tuple[int, int]
    subject: tuple[str, ...] = ()
    verb: str = ""
    action: str = ""
    object: tuple[str, ...] = ()
    filmed: bool = True


@dataclass(frozen=True)
class SentenceReading:
    """A sentence, a heading or a scene break ("text", "heading", "break"), with what holds while it is read.

    cast: ids of who is to be seen, in the order of their appearance. place, time, weather: plain words, carried
    until they change. *_changed: said anew in this sentence. time_lapse: time has passed since the sentence
    before. speaker: id of who speaks here ("" nobody, or nobody knows). scene counts from 0.
    """

    span: tuple[int, int]
    kind: Kind = "text"
    mentions: tuple[Mention, ...] = ()
    clauses: tuple[Clause, ...] = ()
    cast: tuple[str, ...] = ()
    place: str = ""
    time: str = ""
    weather: str = ""
    place_changed: bool = False
    time_changed: bool = False
    weather_changed: bool = False
    time_lapse: bool = False
    speaker: str = ""
    scene: int = 0
    flashback: bool = False


@dataclass(frozen=True)
class Reading:
    """A story as read. Offsets are characters of `text`; the spans of the sentences, in order, hold every
    character that is not white space exactly once.

    cast: in the order of first appearance. descriptions: for each id the pairs (offset from which it holds,
    description): the last one at or before a shot's start is what the member looks like there.
    """

    text: str
    sentences: tuple[SentenceReading, ...]
    cast: tuple[CastMember, ...] = ()
    descriptions: dict[str, tuple[tuple[int, str], ...]] | None = None

    def description(self, member: str, offset: int) -> str:
        """What the member looks like at a character of the story; "" where nothing was said."""
        out = ""
        for start, words in (self.descriptions or {}).get(member, ()):
            if start <= offset:
                out = words
        return out


def read(text: str) -> Reading:
    """The sentences alone: nobody is known yet."""
    from .sentences import sentences

    return Reading(text, tuple(SentenceReading((piece.start, piece.end), piece.kind) for piece in sentences(text)))
