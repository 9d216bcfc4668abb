"""Proves that the published JSON Schema is made from the dataclasses and takes what the storyboard's reader takes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffilm_core import DiffilmError
from diffilm_core.story import CastMember, Shot, Storyboard, split_story
from diffilm_core.story.schema import storyboard_schema

FILE = Path(__file__).parents[2] / "docs" / "storyboard.schema.json"
SCHEMA = storyboard_schema()
CHECK = jsonschema.Draft202012Validator(SCHEMA)


def test_the_published_file_is_what_the_code_says() -> None:
    assert json.loads(FILE.read_text("utf-8")) == SCHEMA, "run `python scripts/make_schema.py`"
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_field_is_there_with_its_meaning() -> None:
    parts = SCHEMA["$defs"]
    for kind, schema in ((Shot, parts["shot"]), (CastMember, parts["member"]), (Storyboard, SCHEMA)):
        names = {field.name for field in dataclasses.fields(kind)}
        assert names == set(schema["properties"])
    for schema in SCHEMA["$defs"].values():
        assert all(field["description"] for field in schema["properties"].values())


def test_what_we_write_fits() -> None:
    member = CastMember("fox", "Fox", ("the red one",), "animal", "a small fox", "she")
    boards = [
        split_story("The Fox\n\nA fox runs in the snow. At night it sleeps.", style="ink", length="auto"),
        Storyboard((Shot(0, "a", "b", (0, 2), 3, "c", ("fox",), seed=2**64 - 1, duration=0.1),), cast=(member,)),
    ]
    for board in boards:
        CHECK.validate(json.loads(board.to_json()))


def shot(**fields: Any) -> dict[str, Any]:
    return {"shots": [{"prompt": "a fox", **fields}]}


@pytest.mark.parametrize(
    "data",
    [
        [], {}, {"shots": []}, {"shots": [3]}, {"version": 2, **shot()}, {"title": 4, **shot()}, shot(prompt=" "),
        {"shots": [{"text": " "}]}, {"shots": [{}]}, shot(span=[4]), shot(span=[-1, 2]), shot(span=[0, 1.5]),
        shot(seed=1.5), shot(seed=-1), shot(seed=2**64), shot(duration=0), shot(duration="2"), shot(duration=86401),
        shot(cast="owl"), shot(cast=[1]), {"cast": [{"name": "Fox"}], **shot()}, shot(index=-1), shot(time=None),
        {"cast": [{"id": ""}], **shot()},
    ],
)  # fmt: skip
def test_schema_and_reader_refuse_alike(data: Any) -> None:
    assert not CHECK.is_valid(data)
    with pytest.raises(DiffilmError):
        Storyboard.from_json(data)


VALUE = st.none() | st.booleans() | st.integers(-2, 90000) | st.floats(0, 9) | st.sampled_from(["", " ", "a", "fox"])
VALUE |= st.lists(st.integers(-1, 4) | st.just("fox"), max_size=3)
SHOT = st.dictionaries(st.sampled_from([*SCHEMA["$defs"]["shot"]["properties"], "later"]), VALUE, max_size=4)
MEMBER = st.dictionaries(st.sampled_from([*SCHEMA["$defs"]["member"]["properties"], "later"]), VALUE, max_size=3)


@settings(max_examples=400, deadline=None)
@given(shots=st.lists(SHOT, max_size=2), cast=st.lists(MEMBER, max_size=1), more=st.dictionaries(
    st.sampled_from(["version", "title", "style", "later"]), VALUE, max_size=2))  # fmt: skip
def test_what_the_reader_takes_fits(shots: list[Any], cast: list[Any], more: dict[str, Any]) -> None:
    data = {"shots": shots, "cast": cast, **more}
    try:
        board = Storyboard.from_json(data)
    except DiffilmError:
        return
    CHECK.validate(data)
    CHECK.validate(board.to_dict())
