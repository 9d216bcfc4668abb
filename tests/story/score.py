"""How well a story is read: a Reading and its storyboard against passages annotated by hand (see README.md here)."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from diffilm_core.story.reading import Reading, SentenceReading
from diffilm_core.story.storyboard import Storyboard

HERE = Path(__file__).parent
HALVES = ("open", "held_out")
MEASURES = ("sentences", "cast_per_shot", "cast_per_sentence", "pronouns", "place", "time", "speaker")
BARS = {"sentences": 0.98, "cast_per_shot": 0.85, "pronouns": 0.80, "place": 0.80, "time": 0.80}
THIRD_PERSON = re.compile(
    r"(?<![A-Za-z])(he|him|his|himself|she|her|hers|herself|it|its|itself|they|them|their|theirs|themselves)(?![A-Za-z])",
    re.IGNORECASE,
)
PLACE_WORDS = 12  # a longer answer names no place

Span = tuple[int, int]


@dataclass(frozen=True)
class Pronoun:
    """answers: the sets of ids that are right; none where it stands for nobody of the cast."""

    span: Span
    answers: tuple[frozenset[str], ...]


@dataclass(frozen=True)
class Annotation:
    """One sentence. seen: has to be in the picture; may: can be in it or not. place, time: accepted words, ""
    where unknown is right."""

    span: Span
    seen: frozenset[str]
    may: frozenset[str]
    place: tuple[str, ...]
    time: tuple[str, ...]
    speaker: str
    pronouns: tuple[Pronoun, ...]


@dataclass(frozen=True)
class Passage:
    name: str
    text: str
    names: dict[str, tuple[str, ...]]  # id: name and aliases
    members: dict[str, tuple[str, ...]]  # id: itself, or the members of a group
    sentences: tuple[Annotation, ...]

    @cached_property
    def occurrences(self) -> list[tuple[Span, str]]:
        """Where the text names one of the cast: the longest name at each place."""
        found = []
        for member, names in self.names.items():
            for name in names:
                words = r"\s+".join(re.escape(word) for word in name.split())
                for match in re.finditer(rf"(?<!\w){words}(?!\w)", self.text, re.IGNORECASE):
                    found.append((match.span(), member))
        out: list[tuple[Span, str]] = []
        for span, member in sorted(found, key=lambda item: (item[0][0] - item[0][1], item[0])):
            if not any(_overlap(span, other) for other, _ in out):
                out.append((span, member))
        return sorted(out)


def passages(half: str) -> list[Passage]:
    return [_passage(path) for path in sorted((HERE / half).glob("*.json"))]


def _passage(path: Path) -> Passage:
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    cast = data["cast"]
    sentences = tuple(
        Annotation(
            span=(item["span"][0], item["span"][1]),
            seen=frozenset(item["seen"]),
            may=frozenset(item["may"]),
            place=tuple(item["place"]),
            time=tuple(item["time"]),
            speaker=item["speaker"],
            pronouns=tuple(
                Pronoun((one["span"][0], one["span"][1]), tuple(map(frozenset, one["is"]))) for one in item["pronouns"]
            ),
        )
        for item in data["sentences"]
    )
    return Passage(
        name=path.stem,
        text=data["text"],
        names={item["id"]: (item["name"], *item["aliases"]) for item in cast},
        members={item["id"]: tuple(item.get("members", [item["id"]])) for item in cast},
        sentences=sentences,
    )


@dataclass
class Tally:
    """Right, missed and invented answers; of a question with one answer each wrong one is missed and invented."""

    right: int = 0
    missed: int = 0
    invented: int = 0

    def add(self, right: int, missed: int, invented: int) -> None:
        self.right, self.missed, self.invented = self.right + right, self.missed + missed, self.invented + invented

    @property
    def f1(self) -> float:
        """2 tp / (2 tp + fp + fn); with one answer to each question this is the accuracy. 1 where nothing was asked."""
        asked = 2 * self.right + self.missed + self.invented
        return 2 * self.right / asked if asked else 1.0


@dataclass
class Score:
    """Tallies by measure, and the errors: (measure, start of the sentence, what was got and expected)."""

    tallies: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    errors: list[tuple[str, int, str]] = field(default_factory=list)

    def answer(self, measure: str, right: bool, at: int, error: str) -> None:
        self.tallies[measure].add(int(right), int(not right), int(not right))
        if not right:
            self.errors.append((measure, at, error))

    def figures(self) -> dict[str, float]:
        return {measure: self.tallies[measure].f1 for measure in self.tallies}


def total(scores: Iterable[Score]) -> Score:
    """All tallies added up: every sentence, shot and pronoun counts the same."""
    out = Score()
    for score in scores:
        for measure, tally in score.tallies.items():
            out.tallies[measure].add(*dataclasses.astuple(tally))
        out.errors += score.errors
    return out


def score_passage(passage: Passage, reading: Reading, board: Storyboard) -> Score:
    score = Score()
    known = _alignment(passage, reading)
    _score_boundaries(score, passage, [sentence.span for sentence in reading.sentences])
    _score_pronouns(score, passage, reading, known)
    for gold in passage.sentences:
        spoken = _at(reading, gold.span)
        got = _members(known, (member for sentence in spoken for member in sentence.cast))
        _score_cast(score, "cast_per_sentence", passage, got, [gold])
        main = max(spoken, key=lambda sentence: _overlap(sentence.span, gold.span), default=SentenceReading(gold.span))
        for measure, value, accepted in (("place", main.place, gold.place), ("time", main.time, gold.time)):
            right = matches(value, accepted)
            score.answer(measure, right, gold.span[0], f"{value!r}, expected {'/'.join(map(repr, accepted))}")
            if "" not in accepted:
                score.answer(f"{measure}_known", right, gold.span[0], "")
        if gold.speaker:
            speakers = _members(known, (sentence.speaker for sentence in spoken if sentence.speaker))
            right = bool(speakers & set(passage.members[gold.speaker]))
            score.answer("speaker", right, gold.span[0], f"{_list(speakers)}, expected {gold.speaker}")
    for golds, ids in _units(passage, board):
        _score_cast(score, "cast_per_shot", passage, _members(known, ids), golds)
    score.errors = [error for error in score.errors if error[2]]
    return score


def score_boundaries(passage: Passage, spans: Iterable[Span]) -> Tally:
    score = Score()
    _score_boundaries(score, passage, list(spans))
    return score.tallies["sentences"]


def matches(value: str, accepted: Iterable[str]) -> bool:
    """Whether all words of one accepted wording are in the value; nothing matches nothing."""
    words = _words(value)
    if len(words) > PLACE_WORDS:
        return False
    return any(_words(wording) <= words if wording else not words for wording in accepted)


def _words(text: str) -> set[str]:
    """Lower case, without articles and 's, singular."""
    found = re.findall(r"[^\W_]+", re.sub(r"['’]s\b", "", text.lower()))
    plural = [word for word in found if len(word) > 3 and word.endswith("s") and not word.endswith("ss")]
    return (set(found) - set(plural) - {"the", "a", "an"}) | {word[:-1] for word in plural}


def _overlap(one: Span, other: Span) -> int:
    return max(0, min(one[1], other[1]) - max(one[0], other[0]))


def _at(reading: Reading, span: Span) -> list[SentenceReading]:
    """The sentences as read that lie mostly inside this one, or that hold most of it."""
    out = []
    for sentence in reading.sentences:
        shared = _overlap(sentence.span, span)
        if 2 * shared > min(sentence.span[1] - sentence.span[0], span[1] - span[0]):
            out.append(sentence)
    return out


def _list(ids: Iterable[str]) -> str:
    return "+".join(sorted(ids)) or "nobody"


def _alignment(passage: Passage, reading: Reading) -> dict[str, tuple[str, ...]]:
    """Ids of the reading to ids of the annotation, one to one, by where both name them; never by the third-person
    pronouns that are scored. Who stays alone keeps its own name behind a tilde, which is always wrong."""
    weight: Counter[tuple[str, str]] = Counter()
    for sentence in reading.sentences:
        for mention in sentence.mentions:
            words = passage.text[slice(*mention.span)]
            if not mention.member or mention.kind == "speaker" or THIRD_PERSON.fullmatch(words):
                continue
            for span, member in passage.occurrences:
                shared = _overlap(span, mention.span)
                if shared:
                    union = max(span[1], mention.span[1]) - min(span[0], mention.span[0])
                    weight[mention.member, member] += round(1000 * shared / union)
    for read in reading.cast:
        called = {name.casefold() for name in (read.name, *read.aliases)}
        for member, names in passage.names.items():
            if called & {name.casefold() for name in names}:
                weight[read.id, member] += 500
    out: dict[str, tuple[str, ...]] = {}
    taken: set[str] = set()
    for (read_id, member), _ in sorted(weight.items(), key=lambda item: (-item[1], item[0])):
        if read_id not in out and member not in taken:
            out[read_id] = passage.members[member]
            taken.add(member)
    return out


def _members(known: dict[str, tuple[str, ...]], ids: Iterable[str]) -> set[str]:
    return {member for i in ids for member in known.get(i, (f"~{i}",))}


def _score_boundaries(score: Score, passage: Passage, spans: list[Span]) -> None:
    """Ends of sentences but the last, counted in letters and digits, so that a dash or quotation mark may go with
    either side."""

    def ends(of: Iterable[Span]) -> dict[int, int]:
        return {sum(map(str.isalnum, passage.text[:end])): end for _, end in of}

    gold, got = ends(sentence.span for sentence in passage.sentences), ends(spans)
    for trivial in (0, max(gold)):
        gold.pop(trivial, None)
        got.pop(trivial, None)
    missed, invented = gold.keys() - got.keys(), got.keys() - gold.keys()
    score.tallies["sentences"].add(len(gold.keys() & got.keys()), len(missed), len(invented))
    found = [(gold[n], "no end found at") for n in missed] + [(got[n], "an end found at") for n in invented]
    score.errors += [("sentences", end, f"{what} {_around(passage.text, end)!r}") for end, what in sorted(found)]


def _around(text: str, at: int) -> str:
    return " ".join((text[max(0, at - 30) : at] + " | " + text[at : at + 30]).split())


def _score_pronouns(score: Score, passage: Passage, reading: Reading, known: dict[str, tuple[str, ...]]) -> None:
    """Right: the one it stands for; of several, more than half of those named by either side."""
    mentions = [mention for sentence in reading.sentences for mention in sentence.mentions]
    for pronoun in (p for sentence in passage.sentences for p in sentence.pronouns):
        ids = [m.member for m in mentions if m.member and m.kind == "pronoun" and _overlap(m.span, pronoun.span)]
        got = _members(known, ids)
        word = f"{passage.text[slice(*pronoun.span)]!r} is {_list(got)}"
        if not pronoun.answers:
            score.answer("pronouns_of_nobody", not got, pronoun.span[0], "")
            continue
        right = any(2 * len(got & answer) > len(got | answer) for answer in pronoun.answers)
        expected = " or ".join(_list(answer) for answer in pronoun.answers)
        score.answer("pronouns", right, pronoun.span[0], f"{word}, expected {expected}")


def _score_cast(score: Score, measure: str, passage: Passage, got: set[str], golds: list[Annotation]) -> None:
    seen = {member for gold in golds for member in gold.seen}
    may = {member for gold in golds for member in gold.may} - seen
    got = got - may
    score.tallies[measure].add(len(got & seen), len(seen - got), len(got - seen))
    if got != seen:
        score.errors.append((measure, golds[0].span[0], f"{_list(got)}, expected {_list(seen)}"))


def _units(passage: Passage, board: Storyboard) -> Iterator[tuple[list[Annotation], list[str]]]:
    """The smallest stretches made of whole sentences and whole shots: one shot of several sentences, or several
    shots of one sentence, whose casts are put together."""
    groups: list[tuple[Span, list[Annotation], list[str]]] = []
    for gold in passage.sentences:
        groups.append((gold.span, [gold], []))
    for shot in board.shots:
        hit = [group for group in groups if _overlap(group[0], shot.span)]
        if not hit:
            continue
        first, last = groups.index(hit[0]), groups.index(hit[-1])
        span = (hit[0][0][0], hit[-1][0][1])
        golds = [gold for group in hit for gold in group[1]]
        groups[first : last + 1] = [(span, golds, [i for group in hit for i in group[2]] + list(shot.cast))]
    for _, golds, ids in groups:
        yield golds, ids
