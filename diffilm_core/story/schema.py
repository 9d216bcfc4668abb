"""The storyboard's JSON Schema, made from its dataclasses; `docs/storyboard.schema.json` is what it returns."""

from __future__ import annotations

import dataclasses
from typing import Any

from .storyboard import DAY, MAX_SEED, MEMBER_KEYS, SHOT_KEYS, VERSION, CastMember, Shot, Storyboard

DRAFT = "https://json-schema.org/draft/2020-12/schema"
ADDRESS = "https://github.com/diffilm/diffilm/blob/main/docs/storyboard.schema.json"

_FORMS: dict[str, dict[str, Any]] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "tuple[str, ...]": {"type": "array", "items": {"type": "string"}},
    "tuple[int, int]": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 2, "maxItems": 2},
}
_LIMITS: dict[str, dict[str, Any]] = {
    "version": {"const": VERSION},
    "id": {"minLength": 1},
    "index": {"minimum": 0},
    "seed": {"minimum": 0, "maximum": MAX_SEED},
    "duration": {"exclusiveMinimum": 0, "maximum": DAY},
}
_MEANS = {
    "version": "of this form",
    "title": "of the story",
    "style": "words at the end of every prompt, or a preset's name",
    "id": "by which shots name the member; each has its own",
    "name": "as prompts name it",
    "aliases": "other names in the story",
    "kind": "person, animal, thing, ...",
    "description": "what it looks like, repeated word for word in prompts",
    "pronouns": "she, he, it or they",
    "index": "the shot's place, from 0",
    "scene": "shots of one scene follow each other",
    "span": "characters [start, end) of the story; [0, 0] where there are none; in order, without overlap",
    "text": "the story at that span",
    "prompt": "what the model is told; without it, text is taken",
    "negative": "what the model is told to avoid",
    "cast": "ids of who is to be seen",
    "action": "what they do",
    "place": "where, in plain words",
    "time": "when, in plain words",
    "weather": "in plain words",
    "camera": "framing and movement",
    "duration": "seconds",
    "seed": "of the shot's noise",
    "transition": "how the shot begins: cut, dissolve, fade or wipe",
}


def storyboard_schema() -> dict[str, Any]:
    """The schema as plain values. Fields that it does not name may be there; a reader leaves them out."""
    shot = _object(Shot, SHOT_KEYS)
    shot["anyOf"] = [
        {"required": [key], "properties": {key: {"type": "string", "pattern": r"\S"}}} for key in ("prompt", "text")
    ]
    member = _object(CastMember, MEMBER_KEYS)
    member["required"] = ["id"]
    board = _object(Storyboard, ("version", "title", "style"))
    board["properties"]["cast"] = {"type": "array", "items": {"$ref": "#/$defs/member"}}
    board["properties"]["shots"] = {"type": "array", "items": {"$ref": "#/$defs/shot"}, "minItems": 1}
    head = {"$schema": DRAFT, "$id": ADDRESS, "title": "Diffilm storyboard"}
    return {**head, **board, "required": ["shots"], "$defs": {"member": member, "shot": shot}}


def _object(kind: type[Any], keys: tuple[str, ...]) -> dict[str, Any]:
    types = {field.name: str(field.type) for field in dataclasses.fields(kind)}
    fields = {key: {"description": _MEANS[key], **_FORMS[types[key]], **_LIMITS.get(key, {})} for key in keys}
    return {"type": "object", "properties": fields}
