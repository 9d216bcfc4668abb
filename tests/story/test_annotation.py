"""Proves that the annotated passages are whole: spans, ids, pronouns; and that the scorer tells right from wrong."""

from __future__ import annotations

import pytest

from diffilm_core.story.reading import Mention, Reading, SentenceReading
from diffilm_core.story.storyboard import CastMember, Shot, Storyboard

from .score import HALVES, THIRD_PERSON, Passage, Score, matches, passages, score_boundaries, score_passage, total

ALL = [pytest.param(passage, id=passage.name) for half in HALVES for passage in passages(half)]


def perfect(passage: Passage) -> tuple[Reading, Storyboard]:
    """What a reader without a fault would answer."""
    sentences = []
    names = [Mention(span, member, "name") for span, member in passage.occurrences]
    for gold in passage.sentences:
        start, end = gold.span
        pronouns = [
            Mention(one.span, member, "pronoun") for one in gold.pronouns if one.answers for member in one.answers[0]
        ]
        mentions = tuple([name for name in names if start <= name.span[0] < end] + pronouns)
        place, time = gold.place[0], gold.time[0]
        seen = tuple(sorted(gold.seen))
        sentences.append(SentenceReading(gold.span, "text", mentions, (), seen, place, time, speaker=gold.speaker))
    cast = tuple(CastMember(member, names[0], names[1:]) for member, names in passage.names.items())
    shots = [Shot(index, "a shot", span=one.span, cast=one.cast) for index, one in enumerate(sentences)]
    return Reading(passage.text, tuple(sentences), cast), Storyboard(tuple(shots), cast=cast)


def test_set_is_as_large_and_as_mixed_as_it_has_to_be() -> None:
    books = {passage.name.split("_", 1)[1] for half in HALVES for passage in passages(half)}
    assert len(ALL) >= 12 and len(books) >= 6
    assert sum(len(passage.sentences) for passage in passages("open")) >= 150
    assert not {p.name for p in passages("open")} & {p.name for p in passages("held_out")}


@pytest.mark.parametrize("passage", ALL)
def test_spans_hold_every_character_once_and_every_pronoun_is_annotated(passage: Passage) -> None:
    at = 0
    for gold in passage.sentences:
        start, end = gold.span
        assert not passage.text[at:start].strip() and passage.text[start:end] == passage.text[start:end].strip()
        assert start < end
        at = end
        found = [match.span() for match in THIRD_PERSON.finditer(passage.text, start, end)]
        assert found == [one.span for one in gold.pronouns]
        ids = gold.seen | gold.may | {i for one in gold.pronouns for answer in one.answers for i in answer}
        assert ids <= passage.names.keys() and gold.speaker in {"", *passage.names}
        assert not gold.seen & gold.may and gold.place and gold.time
    assert not passage.text[at:].strip()


@pytest.mark.parametrize("passage", ALL)
def test_perfect_answers_score_one(passage: Passage) -> None:
    figures = score_passage(passage, *perfect(passage)).figures()
    assert figures == dict.fromkeys(figures, 1.0)
    assert {"sentences", "cast_per_shot", "cast_per_sentence", "pronouns", "place", "time"} <= figures.keys()


def test_wrong_answers_score_less() -> None:
    passage = passages("open")[0]
    reading, board = perfect(passage)
    swap = {"jackal": "alligator", "alligator": "jackal"}
    swapped = tuple(
        SentenceReading(
            one.span,
            mentions=tuple(m if m.kind == "name" else Mention(m.span, swap[m.member], m.kind) for m in one.mentions),
            cast=tuple(swap[i] for i in one.cast),
            place="moon",
            time="midnight",
        )
        for one in reading.sentences
    )
    shots = tuple(Shot(i, "a shot", span=shot.span, cast=("stranger",)) for i, shot in enumerate(board.shots))
    stranger = (*reading.cast, CastMember("stranger"))
    wrong = Reading(passage.text, swapped, stranger)
    figures = score_passage(passage, wrong, Storyboard(shots, cast=stranger)).figures()
    assert figures["pronouns"] == figures["cast_per_shot"] == figures["place"] == figures["time"] == 0
    assert figures["cast_per_sentence"] < 0.3
    every_second = score_boundaries(passage, [one.span for one in reading.sentences[::2]])
    assert 0.6 < every_second.f1 < 0.7 and every_second.invented == 0


def test_one_shot_for_all_is_compared_with_the_cast_of_all() -> None:
    passage = passages("open")[0]
    reading, _ = perfect(passage)
    shot = Shot(0, "all of it", span=(0, len(passage.text)), cast=("jackal",))
    score = score_passage(passage, reading, Storyboard((shot,), cast=reading.cast))
    tally = score.tallies["cast_per_shot"]
    assert (tally.right, tally.missed, tally.invented) == (1, 1, 0)


@pytest.mark.parametrize(
    ("value", "accepted", "right"),
    [
        ("the edge of the Green Forest", ("tree", "forest"), True),
        ("in the woods", ("wood",), True),
        ("", ("", "day"), True),
        ("", ("forest",), False),
        ("the forest", ("",), False),
        ("a hiding place", ("hiding place",), True),
        ("a place", ("hiding place",), False),
        ("a b c d e f g h i j k l m forest", ("forest",), False),
    ],
)
def test_places_match_by_their_words(value: str, accepted: tuple[str, ...], right: bool) -> None:
    assert matches(value, accepted) is right


def test_total_adds_the_tallies() -> None:
    one, other = Score(), Score()
    one.answer("place", True, 0, "")
    other.answer("place", False, 0, "wrong")
    assert total([one, other]).figures() == {"place": 0.5} and total([one, other]).errors == [("place", 0, "wrong")]
