"""Proves who is seen in a sentence and whom a pronoun means where grammar tells: a case of each rule."""

from __future__ import annotations

from functools import lru_cache

import pytest

from diffilm_core.story.reading import Reading, read

SEEN = [  # text, words of the sentence, who is seen in it
    ("Ann laughed. If only she had known! Then she slept.", "If only", {"Ann"}),
    ("Ann sat down. Tom would laugh if Ann knew.", "Tom would", {"Tom"}),
    ("Ann met a boy. The boy slept. She forbade the boy to sing.", "forbade", {"Ann", "a boy"}),
    ("Ann met Tom. She hoped that Tom would stay. He slept.", "hoped", {"Ann"}),
    ("Ann knew Tom. Ann caught sight of Tom. He slept.", "sight", {"Ann", "Tom"}),
    ("Ann knew Tom. She liked the idea of Tom. He slept.", "idea", {"Ann"}),
    ("Ann met Tom. The wind took off Tom's hat. He slept.", "wind", {"Tom"}),
    ("Ann met Tom. The wind shook Tom's house. He slept.", "wind", set()),
    ("Ann met Tom. He slept. She saw not Tom, but Ben. Ben sang.", "saw", {"Ann", "Ben"}),
    ("Ann met Tom. He slept. Tom was expected back at noon.", "expected", set()),
    ("Ann met Tom. He slept. Tom was expected to sing.", "expected to", {"Tom"}),
    ("The doctor sat down. Ann met him. Ann wept before the doctor came.", "wept", {"Ann"}),
    ("The doctor sat down. Ann met him. Ann wept when the doctor came.", "wept", {"Ann", "The doctor"}),
    ("Foxes came by. They laughed. Foxes are often hunted by men. Tom sat down. He slept.", "often", set()),
    ("Three men stood there. They sang. One of the men came in. He laughed.", "came in", {"One of the men"}),
]
MEANT = [  # text, words at the last pronoun, whom it means
    ("I sat with Tom and Ann. I saw Tom. They slept.", "They slept", {"Tom", "Ann"}),
    ("Peter sat there. He sang, so that men should believe he was the crocodile. The crocodile came. It slept.",
     "It slept", {"The crocodile"}),
    ("Ben met Tom. Tom took his rope with him.", "him.", {"Tom"}),
    ("Ben met Tom. Tom went with him.", "him.", {"Ben"}),
    ('Peter sat down. "Where is Larry?" said Ann. "Is he here?" Larry slept.', "he here", {"Larry"}),
    ("Ann saw the boat. One of the sailors sang. He laughed.", "He laughed", {"One of the sailors"}),
    ("The hens sat there. The young ones saw the hawks. They hid.", "They hid", {"The young ones"}),
    ("Tom met Ann. Then the Orphan Children sang. They laughed.", "They laughed", {"the Orphan Children"}),
    ("Ann saw the god. The god spoke. He laughed.", "He laughed", {"the god"}),
]  # fmt: skip
CAST = [
    ("I met Ann. Then the poor lady wept. She slept.", {"I", "Ann"}),
    ("A servant met Ann and kissed Ann. Then the lady wept. The servant sang. He slept.", {"A servant", "Ann"}),
    ("The old man laughed. Spirits rose in him. The old man's spirits sank. He slept.", {"The old man"}),
    ("Tom looked at Ann with pride. He was full of pride. He laughed.", {"Tom", "Ann"}),
    ("There was such a man. Then came such an old man. He laughed.", {"such a man", "such an old man"}),
]


@lru_cache(maxsize=64)
def reading(text: str) -> Reading:
    return read(text)


@pytest.mark.parametrize(("text", "words", "who"), SEEN, ids=[text[-40:] for text, _, _ in SEEN])
def test_who_is_seen(text: str, words: str, who: set[str]) -> None:
    called = {member.id: member.name for member in reading(text).cast}
    at = text.index(words)
    sentence = next(s for s in reading(text).sentences if s.span[0] <= at < s.span[1])
    assert {called[i] for i in sentence.cast} == who


@pytest.mark.parametrize(("text", "words", "who"), MEANT, ids=[text[:40] for text, _, _ in MEANT])
def test_whom_the_pronoun_means(text: str, words: str, who: set[str]) -> None:
    called = {member.id: member.name for member in reading(text).cast}
    at = text.rindex(words)
    mentions = [m for s in reading(text).sentences for m in s.mentions if m.span[0] == at and m.kind == "pronoun"]
    assert {called.get(m.member, "") for m in mentions} == who


@pytest.mark.parametrize(("text", "cast"), CAST, ids=[text[:40] for text, _ in CAST])
def test_who_is_in_the_cast(text: str, cast: set[str]) -> None:
    assert {member.name for member in reading(text).cast} == cast
