"""Proves that edits change what they name and nothing else, stay with their sentence, and that a wrong one is named."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffilm_core import DiffilmError
from diffilm_core.story import CastMember, Shot, Storyboard
from diffilm_core.story.edit import apply_edits, merge, parse_numbers, pick_shots, set_member

TEXTS = ["The fox ran.", "Ann slept.", "The fox ran.", "Snow fell."]
CAST = (CastMember("fox", "fox", ("Red",), "animal", "a small fox"), CastMember("ann", "Ann", kind="person"))


def board(texts: list[str] = TEXTS) -> Storyboard:
    shots, at = [], 0
    for index, text in enumerate(texts):
        ids = tuple(m.id for m in CAST if m.name in text)
        prompt = text.replace("The fox", "a small fox")
        shots.append(Shot(index, prompt, text, (at, at + len(text)), index // 2, cast=ids, seed=index))
        at += len(text) + 1
    return Storyboard(shots=tuple(shots), cast=CAST, title="T")


def changed(before: Storyboard, after: Storyboard) -> list[int]:
    return [a.index for a, b in zip(before.shots, after.shots, strict=True) if a != b]


def test_an_edit_by_index_changes_that_shot_alone() -> None:
    made = apply_edits(board(), '[{"index": 1, "prompt": "Ann wakes", "seed": 9}]')
    assert changed(board(), made) == [1]
    assert made.shots[1] == replace(board().shots[1], prompt="Ann wakes", seed=9)


def test_an_edit_by_text_stays_with_its_sentence() -> None:
    edits = [{"index": 2, "text": "The fox ran.", "prompt": "the second run"}]
    assert changed(board(), apply_edits(board(), edits)) == [2]
    longer = board(["It was cold.", *TEXTS])
    assert changed(longer, apply_edits(longer, edits)) in ([1], [3])
    assert changed(longer, apply_edits(longer, [{"text": "Snow  fell.", "prompt": "p"}])) == [4]


def test_an_edit_of_a_sentence_that_is_gone_is_left_out_and_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert apply_edits(board(), [{"text": "It rained.", "prompt": "p"}]) == board()
    assert "It rained." in caplog.text


def test_a_whole_storyboard_is_an_edit() -> None:
    data = board().to_dict()
    assert apply_edits(board(), json.dumps(data)) == board()
    data["shots"][3]["camera"] = "wide shot"
    assert changed(board(), apply_edits(board(), data)) == [3]


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ("{", "not JSON"),
        ("3", "a list of shots"),
        ('{"shots": 1}', "edits.shots"),
        ("[1]", "edits.shots"),
        ('[{"prompt": "p"}]', "names no shot"),
        ('[{"index": 4, "prompt": "p"}]', "expected 0 to 3"),
        ('[{"index": true}]', "whole number"),
        ('[{"index": 0, "promt": "p"}]', "'promt' is no field"),
        ('[{"index": 2, "seed": "x"}]', "edit of shot 2"),
        ('[{"index": 2, "prompt": " "}]', "edit of shot 2"),
        ('[{"index": 0, "cast": ["bear"]}]', "bear"),
        ('{"cast": [{"id": "bear"}]}', "the cast, which is fox, Ann"),
    ],
)
def test_a_wrong_edit_is_named(edits: str, words: str) -> None:
    with pytest.raises(DiffilmError, match=words) as caught:
        apply_edits(board(), edits)
    assert "\n" not in str(caught.value)


def test_a_description_reaches_the_prompts_of_its_member() -> None:
    made = set_member(board(), "Red", description="a huge grey fox")
    assert [shot.prompt for shot in made.shots] == [
        "a huge grey fox ran.", "Ann slept.", "a huge grey fox ran.", "Snow fell.",
    ]  # fmt: skip
    made = set_member(made, "ANN", description="a girl in a red coat")
    assert made.shots[1].prompt == "Ann, a girl in a red coat, slept."
    assert apply_edits(board(), {"cast": [{"id": "ann", "description": "Ann in red"}]}).shots[1].prompt == (
        "Ann in red slept."
    )
    assert made.cast[1].description == "a girl in a red coat"


def test_picked_shots_are_numbered_anew() -> None:
    made = pick_shots(board(), "2-3")
    assert [(shot.index, shot.text, shot.span) for shot in made.shots] == [
        (0, "Ann slept.", board().shots[1].span), (1, "The fox ran.", board().shots[2].span),
    ]  # fmt: skip
    assert [shot.text for shot in pick_shots(board(), "4, 1").shots] == ["Snow fell.", "The fox ran."]
    for wrong in ("0", "5", "2-1", "", "a", "1-", "-1"):
        with pytest.raises(DiffilmError, match="expected numbers"):
            pick_shots(board(), wrong)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6))
def test_any_choice_keeps_all_but_number_and_span(numbers: list[int]) -> None:
    made = pick_shots(board(), ", ".join(map(str, numbers)))
    assert parse_numbers(",".join(map(str, numbers))) == numbers
    for number, shot in zip(numbers, made.shots, strict=True):
        assert replace(shot, index=0, span=(0, 0)) == replace(board().shots[number - 1], index=0, span=(0, 0))


def test_merged_storyboards_share_who_is_the_same() -> None:
    other = replace(board(), title="U", cast=(CastMember("fox", "Reynard"), CAST[1]))
    made = merge([board(), other, other])
    assert [member.id for member in made.cast] == ["fox", "ann", "fox-2"] and made.title == "T"
    assert [shot.cast for shot in made.shots[:2]] == [("fox",), ("ann",)]
    assert made.shots[4].cast == made.shots[8].cast == ("fox-2",)
    assert [shot.scene for shot in made.shots] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert [shot.index for shot in made.shots] == list(range(12))
    assert merge([board()]) == board()
    with pytest.raises(DiffilmError, match="at least one"):
        merge([])
