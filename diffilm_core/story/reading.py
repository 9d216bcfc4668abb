"""What has been read from a story: its sentences, who does what in them, where and when, and the cast."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from .actions import acts
from .blocks import Kind
from .cast import Entity, identifier
from .clauses import is_past
from .coreference import Resolver
from .descriptions import Descriptions
from .dialogue import mark_quotations, quotations, single_quoted
from .entities import Noun, nouns
from .lexicon import words
from .names import Names
from .parse import Token, parse
from .read import check_text
from .sentences import Sentence, sentences
from .setting import Setting
from .storyboard import CastMember

BLANK = re.compile(r"\n\s*\n")
KNOWN = words("name", "person", "animal")
ARTICLE = re.compile(r"^(?:an?|the)\s+(?=\S)", re.IGNORECASE)
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
        for start, said in (self.descriptions or {}).get(member, ()):
            if start <= offset:
                out = said
        return out


def read(text: str) -> Reading:
    """Read a story; the same text gives the same reading, in time and memory linear in its length.

    Raises DiffilmError: blank or not text; spaCy or its English model is not installed.
    """
    check_text(text, "story")
    pieces = sentences(text)
    names = Names()
    single = single_quoted(text)
    paragraphs = [_Paragraph(tokens) for tokens in parse(text, pieces) if tokens]
    for before, paragraph in zip([None, *paragraphs], paragraphs, strict=False):
        paragraph.quote(text, single, before)
        names.learn(paragraph.tokens, text)
    for paragraph in paragraphs:
        paragraph.nouns = nouns(paragraph.tokens, text, names)
    resolver = Resolver([p.nouns for p in paragraphs], is_past(p.tokens for p in paragraphs))
    reached = -1
    for paragraph in paragraphs:
        number = paragraph.tokens[0].sentence
        if any(piece.kind != "text" for piece in pieces[reached + 1 : number]):
            resolver.new_scene()
        reached = paragraph.tokens[-1].sentence
        paragraph.speakers = resolver.read(
            paragraph.tokens, paragraph.nouns, paragraph.open_end, paragraph.starts_spoken
        )
    return _assemble(text, pieces, paragraphs, resolver.registry.entities)


class _Paragraph:
    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.nouns: list[Noun] = []
        self.speakers: dict[int, Entity] = {}
        self.open_end = self.starts_spoken = False

    def quote(self, text: str, single: bool, before: _Paragraph | None) -> None:
        """Mark the speech. before: the paragraph before, whose speech goes on where no blank line is between."""
        start, end = self.tokens[0].start, self.tokens[-1].end
        inside = before is not None and before.open_end and not BLANK.search(text, before.tokens[-1].end, start)
        spans = quotations(text, start, end, single, inside)
        mark_quotations(self.tokens, spans)
        self.starts_spoken = bool(spans) and spans[0][0] == start
        self.open_end = bool(spans) and spans[-1][1] == end and text[end - 1] not in "\"'”’»"


def _assemble(
    text: str, pieces: Sequence[Sentence], paragraphs: Sequence[_Paragraph], entities: Sequence[Entity]
) -> Reading:
    found = {entity: member for entity, member in _cast(entities)}
    members = tuple(found.values())
    for entity in reversed(entities):  # who turned out to be somebody else
        if entity.into in found:
            found[entity] = found[entity.into]
    by_sentence: dict[int, tuple[_Paragraph, list[Token]]] = {}
    for paragraph in paragraphs:
        for token in paragraph.tokens:
            by_sentence.setdefault(token.sentence, (paragraph, []))[1].append(token)
    setting, looks = Setting(), Descriptions()
    scene = 0

    def called(entity: Entity) -> str:
        known = found[entity].name if entity in found else None
        name = known or next((n.text for n in entity.nouns if n.kind != "pronoun"), "it")
        return ARTICLE.sub("the ", name)  # who was named "A lion" where a sentence began

    out: list[SentenceReading] = []
    for number, piece in enumerate(pieces):
        span = (piece.start, piece.end)
        if number not in by_sentence:
            if piece.kind != "text":
                setting.reset()
                scene += bool(out) and out[-1].kind == "text"
            out.append(SentenceReading(span, piece.kind, scene=scene))
            continue
        paragraph, tokens = by_sentence[number]
        inside = [noun for noun in paragraph.nouns if noun.sentence == number]
        setting.read(paragraph.tokens, inside)
        looks.read(paragraph.tokens, inside)
        clauses = tuple(
            Clause(
                (act.start, act.end), _ids(act.subject, found), act.verb, act.words, _ids(act.object, found), act.filmed
            )
            for act in acts(paragraph.tokens, inside, number, called)
        )
        speaker = next((paragraph.speakers[t.quote] for t in tokens if t.quote in paragraph.speakers), None)
        speaking = found[speaker].id if speaker in found else ""
        mentions = _mentions(tokens, inside, found, speaking)
        seen = dict.fromkeys(i for m in mentions if m.visible for i in [m.member] if i)
        out.append(
            SentenceReading(
                span, piece.kind, tuple(mentions), clauses, tuple(seen), setting.place, setting.time, setting.weather,
                setting.place_changed, setting.time_changed, setting.weather_changed, setting.time_lapse, speaking,
                scene, setting.flashback,
            )
        )  # fmt: skip
    described = {found[entity].id: tuple(said) for entity, said in looks.found.items() if entity in found}
    cast = tuple(dataclasses.replace(m, description=described[m.id][0][1]) if m.id in described else m for m in members)
    return Reading(text, tuple(out), cast, described)


def _ids(entities: Sequence[Entity], found: dict[Entity, CastMember]) -> tuple[str, ...]:
    members = dict.fromkeys(m for e in entities for m in (e.members or (e,)))
    return tuple(found[entity].id for entity in members if entity in found)


def _mentions(
    tokens: Sequence[Token], inside: Sequence[Noun], found: dict[Entity, CastMember], speaking: str
) -> list[Mention]:
    out = []
    for noun in inside:
        members = dict.fromkeys(m for e in noun.entities for m in (e.members or (e,)))
        ids = [found[entity].id for entity in members if entity in found]
        for i in ids or ([""] if noun.kind == "pronoun" else []):
            out.append(Mention((noun.start, noun.end), i, noun.kind, noun.visible and bool(i)))
    if speaking:
        spoken = [token for token in tokens if token.quote >= 0]
        out.append(Mention((spoken[0].start, spoken[-1].end), speaking, "speaker"))
    return out


def _cast(entities: Sequence[Entity]) -> Iterator[tuple[Entity, CastMember]]:
    taken: set[str] = set()
    for entity in entities:
        if entity.into is not None or not in_cast(entity):
            continue
        called = list(dict.fromkeys(noun.text for noun in entity.nouns if noun.kind != "pronoun"))
        named = [noun.text for noun in entity.nouns if noun.kind == "name"]
        name = max(named, key=lambda n: (named.count(n), -named.index(n))) if named else (called[0] if called else "I")
        pronoun = {"m": "he", "f": "she"}.get(
            entity.gender.replace("n", ""), "it" if entity.animacy != "person" else "they"
        )
        yield (
            entity,
            CastMember(
                id=identifier(name, taken),
                name=name,
                aliases=tuple(alias for alias in called if alias != name)[:12],
                kind=entity.animacy or "thing",
                pronouns="they" if entity.plural else pronoun,
            ),
        )


def in_cast(entity: Entity) -> bool:
    """Whether an entity takes part in the story, and is not only named in it."""
    shown = [noun for noun in entity.nouns if noun.visible]
    if entity.animacy in ("place", "time"):
        return entity.acts > 2
    if entity.animacy == "thing":
        return entity.acts > 1 and entity.acts * 3 >= len(entity.nouns)
    if not shown and not entity.acts:
        return entity.alive and len(entity.nouns) > 2
    if entity.proper and entity.lemma not in KNOWN and not entity.title and not entity.acts and not entity.plural:
        stood = {noun.role for noun in entity.nouns}
        if "oblique" in stood and stood <= {"oblique", "object", "fragment", "apposition", "other"}:
            return entity.gender not in ("mfn", "mf")  # rather a place
    if entity.proper or entity.acts:
        return True
    if entity.lemma in ("everybody", "everyone", "others", "somebody", "someone", "one", "rest", "all", "both"):
        return False
    roles = Counter(noun.role for noun in shown)
    if entity.animacy == "animal":
        brought = any(noun.role == "object" and noun.determiner == "a" for noun in shown)
        return bool(roles["subject"]) or len(shown) > 3 or brought
    if entity.animacy == "group" and not roles["subject"] and len(shown) < 2:
        return False
    return bool(roles["subject"]) or len(shown) > 1 or any(n.role == "object" and n.determiner == "a" for n in shown)
