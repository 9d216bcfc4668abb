"""Proves that a storyboard's JSON has the fixed form, comes back equal, and that a wrong one is named in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffilm_core import DiffilmError
from diffilm_core.story import CastMember, Shot, Storyboard, read_storyboard, write_storyboard

BOARD = Storyboard(
    title="The fox",
    style="ink",
    cast=(CastMember("fox", "Fox", ("the red one",), "animal", "a small fox", "she"),),
    shots=(
        Shot(0, "a fox", "A fox.", (0, 6), 0, "blur", ("fox",), "runs", "snow", "night", "fog", "pan",
             2.5, 2**64 - 1, "cut"),
        Shot(1, "a bear", "A bear.", (7, 14), 1),
    ),
)  # fmt: skip


def test_the_form_of_the_design() -> None:
    data = json.loads(BOARD.to_json())
    assert list(data) == ["version", "title", "style", "cast", "shots"]
    assert list(data["cast"][0]) == ["id", "name", "aliases", "kind", "description", "pronouns"]
    assert list(data["shots"][0]) == [
        "index", "scene", "span", "text", "prompt", "negative", "cast", "action", "place", "time",
        "weather", "camera", "duration", "seed", "transition",
    ]  # fmt: skip
    assert data["shots"][1]["span"] == [7, 14] and data["shots"][1]["cast"] == []
    assert Storyboard.from_json(BOARD.to_json()) == BOARD == Storyboard.from_json(BOARD.to_dict())


def test_file_there_and_back(tmp_path: Path) -> None:
    path = write_storyboard(BOARD, tmp_path / "board.json")
    assert read_storyboard(path) == BOARD
    assert [p.name for p in tmp_path.iterdir()] == ["board.json"]
    with pytest.raises(DiffilmError, match="cannot write"):
        write_storyboard(BOARD, tmp_path / "none" / "board.json")
    with pytest.raises(DiffilmError, match="cannot be read"):
        read_storyboard(tmp_path / "none.json")


def test_what_is_missing_is_filled() -> None:
    board = Storyboard.from_json('{"shots": [{"text": "A fox\\nruns."}, {"prompt": "a bear", "new": 1}], "later": 2}')
    assert [shot.prompt for shot in board.shots] == ["A fox runs.", "a bear"]
    assert [shot.index for shot in board.shots] == [0, 1]
    assert board.version == 1


def shot(**fields: Any) -> dict[str, Any]:
    return {"shots": [{"prompt": "a fox", **fields}]}


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ("{", "not JSON"),
        (b"\xff\xfe\xfa", "not JSON"),
        ("[" * 100000, "not JSON"),
        ("[]", "storyboard is a list, expected an object"),
        ({}, "shots is missing, expected a list"),
        ({"shots": []}, "no shots"),
        ({"shots": [3]}, r"shots\[0\] is 3, expected an object"),
        ({"version": 2, **shot()}, "version is 2, expected 1"),
        ({"version": True, **shot()}, "version"),
        ({"title": 4, **shot()}, "storyboard.title is 4, expected text"),
        (shot(prompt=" "), r"shots\[0\].prompt is empty"),
        (shot(prompt="\ud800"), "surrogate"),
        (shot(index=1), r"shots\[0\].index is 1, expected 0"),
        (shot(span=[4]), r"span is \[4\]"),
        (shot(span=[4, 2]), r"span is \[4, 2\]"),
        (shot(span=[0, 1.5]), "span"),
        (shot(seed=1.5), "seed is 1.5, expected a whole number"),
        (shot(seed=-1), "seed is -1"),
        (shot(seed=2**64), "seed is 1844"),
        (shot(duration=0), "duration is 0"),
        (shot(duration="2"), "duration is text, expected a number"),
        (shot(duration=float("nan")), "duration is nan"),
        (shot(duration=10**400), "duration is 1e"),
        (shot(cast=["owl"]), "'owl', which is not in the cast"),
        (shot(cast="owl"), "cast is text, expected a list"),
        ({"cast": [{"name": "Fox"}], **shot()}, r"cast\[0\].id is missing"),
        ({"cast": [{"id": "a"}, {"id": "a"}], **shot()}, "id 'a' twice"),
        ({"shots": [{"prompt": "a", "span": [0, 5]}, {"prompt": "b", "span": [4, 9]}]}, r"shots\[1\].span is \[4, 9\]"),
    ],
)
def test_wrong_storyboard_is_named(data: Any, match: str) -> None:
    with pytest.raises(DiffilmError, match=match) as caught:
        Storyboard.from_json(data)
    assert "\n" not in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["shots", "cast", "prompt", "span", "seed", "version", "id"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(data=JSON)
def test_any_json_gives_a_storyboard_or_one_error(data: Any) -> None:
    for source in (data, {"shots": [{"prompt": "a fox"}, data]}, shot(span=data), shot(duration=data), shot(cast=data)):
        if isinstance(source, (str, bytes)):
            continue
        try:
            board = Storyboard.from_json(source)
        except DiffilmError as error:
            assert "\n" not in str(error)
        else:
            assert Storyboard.from_json(board.to_json()) == board
