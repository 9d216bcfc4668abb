"""Proves that the reading knows who is meant, who speaks, what is only thought of, and where and when it is."""

from __future__ import annotations

from functools import lru_cache

import pytest

from diffilm_core.errors import DiffilmError
from diffilm_core.story.reading import Reading, SentenceReading, read

MOUSE = (
    "Once there was a small grey mouse with one torn ear. The mouse lived in the kitchen of an old castle. One evening "
    "a big black cat came in, and the mouse hid under the table. There was no moon, and she dreamed of the sea.\n\n"
    'At dawn the mouse ran into the garden. It was now soaking wet. "Where are you going?" asked the cat.\n\n'
    '"To the river," said the mouse. He chased her, but she did not see him.\n\n'
    "The next winter the old king met the mouse in the forest. The king had a long white beard. Back in the kitchen, "
    "the cat and the king sat by the fire. They were happy."
)


@lru_cache(maxsize=8)
def reading(text: str) -> Reading:
    return read(text)


def at(text: str, words: str) -> SentenceReading:
    """The sentence that holds these words."""
    offset = text.index(words)
    return next(s for s in reading(text).sentences if s.span[0] <= offset < s.span[1])


def names(text: str, words: str) -> list[str]:
    """Who is seen in the sentence, by name, sorted."""
    called = {member.id: member.name for member in reading(text).cast}
    return sorted(called[i] for i in at(text, words).cast)


def meant(text: str, sentence: str, pronoun: str) -> set[str]:
    """Whom the first such pronoun of the sentence means."""
    called = {member.id: member.name for member in reading(text).cast}
    found = [m for m in at(text, sentence).mentions if text[slice(*m.span)].lower() == pronoun and m.kind == "pronoun"]
    return {called.get(m.member, "") for m in found if m.span == found[0].span}


def test_spans_hold_every_character_once() -> None:
    spans = [s.span for s in reading(MOUSE).sentences]
    held = [i for low, high in spans for i in range(low, high)]
    assert held == sorted(set(held))
    assert {i for i, c in enumerate(MOUSE) if not c.isspace()} <= set(held)


def test_the_cast() -> None:
    assert [(m.name, m.kind) for m in reading(MOUSE).cast] == [
        ("a small grey mouse", "animal"), ("a big black cat", "animal"), ("the old king", "person"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sentence", "pronoun", "who"),
    [
        ("she dreamed", "she", "a small grey mouse"),
        ("soaking wet", "it", "a small grey mouse"),
        ("He chased her", "he", "a big black cat"),
        ("He chased her", "her", "a small grey mouse"),
        ("He chased her", "him", "a big black cat"),
    ],
)
def test_pronouns(sentence: str, pronoun: str, who: str) -> None:
    assert meant(MOUSE, sentence, pronoun) == {who}


@pytest.mark.parametrize(
    ("text", "sentence", "pronoun", "who"),
    [
        ("Mrs Hale lit the fire. She swept the floor, and she opened the window. When Milly, her maid, had been sent "
         "away, she carried the plates into the parlour.", "she carried", "she", "Mrs Hale"),
        ("Ann lit the fire and laid the table. She swept the floor, and then she opened the window. Her maid came in "
         "with the bread. She sat down and sighed.", "She sat", "she", "Ann"),
        ("Old Tom swept the yard. He sang, and he drank his beer. A man came by with a dog. He swept on. Tom was "
         "happy. Tom laughed.", "He swept", "he", "Tom"),
    ],
)  # fmt: skip
def test_who_is_told_of_stays_who_is_meant(text: str, sentence: str, pronoun: str, who: str) -> None:
    """Not the newcomer who was named last: the weights of `FITTED` (without them each of these is answered wrong)."""
    called = {member.id: member.name for member in reading(text).cast}
    found = [m for m in at(text, sentence).mentions if text[slice(*m.span)].lower() == pronoun and m.kind == "pronoun"]
    assert called[found[-1].member] == who


def test_they_are_those_named_together() -> None:
    assert meant(MOUSE, "They were happy", "they") == {"a big black cat", "the old king"}


def test_the_speech_behind_a_colon_is_whose_the_verb_before_it_is() -> None:
    sentence = read("Tom met Ann. Tom said: “Run away;” she replied, “I will.”").sentences[1]
    assert sentence.speaker == "tom"


def test_speakers() -> None:
    assert at(MOUSE, "Where are you").speaker == "big-black-cat"
    assert at(MOUSE, "To the river").speaker == "small-grey-mouse"
    assert names(MOUSE, "To the river") == ["a small grey mouse"]


def test_speech_goes_back_and_forth() -> None:
    text = (
        'Tom met Ann on the bridge. "Where are you going?" said Tom.\n\n"To the market," said Ann.\n\n'
        '"May I come too?"\n\n"If you carry my basket."\n'
    )
    assert [s.speaker for s in reading(text).sentences] == ["", "tom", "ann", "tom", "ann"]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("The fox sat by the road. He did not see the bear.", []),
        ("The fox sat by the road. He dreamed of the bear.", []),
        ("The fox sat by the road. He ran like a bear.", []),
        ("The fox sat by the road. There was no bear.", []),
        ("The fox sat by the road. He wished that the bear would come.", []),
        ("The fox sat by the road. Then the bear came.", ["the bear"]),
    ],
)
def test_what_is_not_there_is_not_seen(text: str, seen: list[str]) -> None:
    called = {member.id: member.name for member in reading(text).cast}
    assert [called[i] for i in reading(text).sentences[1].cast if "bear" in called[i]] == seen


@pytest.mark.parametrize(
    ("sentence", "place", "time"),
    [
        ("Once there", "", ""), ("The mouse lived", "kitchen", ""), ("One evening", "kitchen", "evening"),
        ("At dawn", "garden", "dawn"), ("He chased", "garden", "dawn"), ("The next winter", "forest", "next winter"),
        ("Back in", "kitchen", "next winter"),
    ],
)  # fmt: skip
def test_place_and_time_are_carried(sentence: str, place: str, time: str) -> None:
    found = at(MOUSE, sentence)
    assert (found.place, found.time) == (place, time)


def test_time_that_passes_is_marked() -> None:
    assert at(MOUSE, "The next winter").time_lapse
    assert not at(MOUSE, "One evening").time_lapse


def test_descriptions_stay_and_change() -> None:
    found = reading(MOUSE)
    assert found.description("small-grey-mouse", MOUSE.index("One evening")) == "small grey mouse with one torn ear"
    assert "now soaking wet" in found.description("small-grey-mouse", len(MOUSE))
    assert "long white beard" in found.description("old-king", len(MOUSE))


def test_names_in_parts_and_titles() -> None:
    text = (
        "Mr. Henry Hale walked into the garden with Emma Hale. Emma laughed. Mr. Hale gave her a rose. Mrs. Hale came "
        "out of the house. She called them."
    )
    assert [m.name for m in reading(text).cast][:2] == ["Mr. Henry Hale", "Emma Hale"]
    assert names(text, "gave her a rose") == ["Emma Hale", "Mr. Henry Hale"]
    assert meant(text, "She called", "she") == {"Mrs. Hale"}


def test_acts_have_names_in_the_place_of_pronouns() -> None:
    acts = [c for c in at(MOUSE, "He chased her").clauses]
    assert [(c.subject, c.verb, c.filmed) for c in acts] == [
        (("big-black-cat",), "chase", True), (("small-grey-mouse",), "see", False),
    ]  # fmt: skip
    assert acts[0].action == "chased the small grey mouse"


def test_the_same_text_is_read_the_same() -> None:
    assert read(MOUSE) == read(MOUSE)


@pytest.mark.parametrize("text", ["", "  \n", "a\x00b"])
def test_what_is_not_text_is_an_error(text: str) -> None:
    with pytest.raises(DiffilmError):
        read(text)
