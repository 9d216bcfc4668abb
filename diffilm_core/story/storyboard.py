"""The storyboard: what every stage after the story reads, and its JSON form."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..atomic import written_whole
from ..errors import DiffilmError

VERSION = 1
MAX_SEED = 2**64 - 1
DAY = 86400
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CastMember:
    """Somebody or something that takes part. kind: person, animal, thing, ... ("" where not known)."""

    id: str
    name: str = ""
    aliases: tuple[str, ...] = ()
    kind: str = ""
    description: str = ""
    pronouns: str = ""


@dataclass(frozen=True)
class Shot:
    """One clip of the movie. Fields that nothing has filled yet are empty.

    span: character offsets into the story, end exclusive; text is the story between them. scene counts from 0.
    duration: seconds. seed: 0 to 2**64 - 1.
    """

    index: int
    prompt: str
    text: str = ""
    span: tuple[int, int] = (0, 0)
    scene: int = 0
    negative: str = ""
    cast: tuple[str, ...] = ()
    action: str = ""
    place: str = ""
    time: str = ""
    weather: str = ""
    camera: str = ""
    duration: float = 2.0
    seed: int = 0
    transition: str = ""


@dataclass(frozen=True)
class Storyboard:
    """A story cut into shots, in order."""

    shots: tuple[Shot, ...]
    title: str = ""
    style: str = ""
    cast: tuple[CastMember, ...] = ()
    version: int = VERSION

    def __post_init__(self) -> None:
        check(self)

    def __len__(self) -> int:
        return len(self.shots)

    @property
    def duration(self) -> float:
        """Seconds, all shots together."""
        return sum(shot.duration for shot in self.shots)

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, in the order of the fields that people read first."""
        return {
            "version": self.version,
            "title": self.title,
            "style": self.style,
            "cast": [{**dataclasses.asdict(member), "aliases": list(member.aliases)} for member in self.cast],
            "shots": [{key: _plain(getattr(shot, key)) for key in SHOT_KEYS} for shot in self.shots],
        }

    def to_json(self, *, indent: int | None = 2) -> str:
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=indent)

    @classmethod
    def from_json(cls, source: str | bytes | Mapping[str, Any]) -> Storyboard:
        """From JSON text or the parsed object. A shot needs a prompt (or a text, which then is the prompt); what
        else is missing is left at its default. Raises DiffilmError that names the field."""
        data: Any = source
        if isinstance(source, (str, bytes)):
            try:
                data = json.loads(source)
            except (ValueError, RecursionError) as error:
                reason = " ".join(str(error).split())
                raise DiffilmError(f"storyboard is not JSON ({reason}); `diffilm plan --json` writes one") from None
        fields = _object(data, "storyboard", ("version", "title", "style", "cast", "shots"))
        version = fields.get("version", VERSION)
        if version != VERSION or isinstance(version, bool):
            raise DiffilmError(
                f"storyboard version is {_kind(version)}, expected {VERSION}; update Diffilm or plan anew"
            )
        shots = tuple(_shot(item, i) for i, item in enumerate(_list(fields.get("shots"), "shots")))
        cast = tuple(_member(item, f"cast[{i}]") for i, item in enumerate(_list(fields.get("cast", []), "cast")))
        texts = {key: _text(fields, key, "storyboard") for key in ("title", "style")}
        return cls(shots=shots, cast=cast, version=VERSION, **texts)


# The order of design.md; not the dataclass's, where what must be given comes first.
SHOT_KEYS = (
    "index", "scene", "span", "text", "prompt", "negative", "cast", "action", "place", "time",
    "weather", "camera", "duration", "seed", "transition",
)  # fmt: skip
SHOT_TEXTS = ("text", "prompt", "negative", "action", "place", "time", "weather", "camera", "transition")
MEMBER_KEYS = tuple(field.name for field in dataclasses.fields(CastMember))


def check(board: Storyboard) -> None:
    """Raises DiffilmError when the parts do not fit together."""
    if not board.shots:
        raise DiffilmError("storyboard has no shots; at least one is needed")
    ids = [member.id for member in board.cast]
    if len(set(ids)) < len(ids):
        raise DiffilmError(f"storyboard cast has the id {next(i for i in ids if ids.count(i) > 1)!r} twice; ids differ")
    before = 0
    for place, shot in enumerate(board.shots):
        name = f"shots[{place}]"
        if shot.index != place:
            raise DiffilmError(f"{name}.index is {shot.index}, expected {place}: shots are numbered in order from 0")
        if not shot.prompt.strip():
            raise DiffilmError(f"{name}.prompt is empty; say what the shot shows")
        start, end = shot.span
        if (start, end) != (0, 0):
            if not before <= start < end:
                raise DiffilmError(
                    f"{name}.span is [{start}, {end}], expected {before} <= start < end: spans are in order"
                )
            before = end
        if not 0 < shot.duration <= DAY:
            raise DiffilmError(f"{name}.duration is {shot.duration:g}, expected seconds above 0 and at most {DAY}")
        if not 0 <= shot.seed <= MAX_SEED:
            raise DiffilmError(f"{name}.seed is {shot.seed}, expected 0 to 2**64 - 1")
        unknown = [i for i in shot.cast if i not in ids]
        if unknown:
            raise DiffilmError(
                f"{name}.cast names {unknown[0]!r}, which is not in the cast ({', '.join(ids) or 'empty'})"
            )


def read_storyboard(path: str | Path) -> Storyboard:
    """From a JSON file. DiffilmError: missing, unreadable, not a storyboard."""
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DiffilmError(f"storyboard {path} cannot be read ({error.strerror}); give a JSON file") from None
    return Storyboard.from_json(data)


def write_storyboard(board: Storyboard, path: str | Path) -> Path:
    """Write the JSON form; the file appears whole. DiffilmError when the place cannot be written."""
    path = Path(path)
    with written_whole(path) as temporary:
        temporary.write_text(board.to_json() + "\n", encoding="utf-8")
    return path


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _object(value: Any, name: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DiffilmError(f"{name} is {_kind(value)}, expected an object with {', '.join(known)}")
    unknown = [str(key) for key in value if key not in known]
    if unknown:
        log.warning("%s: fields that this version does not know are left out: %s", name, ", ".join(unknown))
    return value


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "missing"}
    return names.get(type(value), f"{value!r}"[:40])


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise DiffilmError(f"{name} is {_kind(value)}, expected a list")
    return list(value)


def _text(fields: Mapping[str, Any], key: str, name: str) -> str:
    value = fields.get(key, "")
    return _real_text(value, f"{name}.{key}")


def _real_text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise DiffilmError(f"{name} is {_kind(value)}, expected text")
    if any(0xD800 <= ord(letter) <= 0xDFFF for letter in value):
        raise DiffilmError(f"{name} holds half of a surrogate pair, which is not text; write the whole character")
    return value


def _texts(fields: Mapping[str, Any], key: str, name: str) -> tuple[str, ...]:
    values = _list(fields.get(key, []), f"{name}.{key}")
    return tuple(_real_text(value, f"{name}.{key}[{i}]") for i, value in enumerate(values))


def _number(fields: Mapping[str, Any], key: str, name: str, default: float, *, whole: bool) -> Any:
    value = fields.get(key, default)
    kinds = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise DiffilmError(f"{name}.{key} is {_kind(value)}, expected a {'whole ' if whole else ''}number")
    return value if whole or isinstance(value, float) else min(value, 10**300)  # a float holds no more


def _shot(item: Any, place: int) -> Shot:
    name = f"shots[{place}]"
    fields = _object(item, name, SHOT_KEYS)
    texts = {key: _text(fields, key, name) for key in SHOT_TEXTS}
    texts["prompt"] = texts["prompt"] if texts["prompt"].strip() else " ".join(texts["text"].split())
    span = _list(fields.get("span", [0, 0]), f"{name}.span")
    if len(span) != 2 or any(isinstance(n, bool) or not isinstance(n, int) for n in span):
        raise DiffilmError(f"{name}.span is {span!r}, expected two whole numbers, [start, end]")
    return Shot(
        index=_number(fields, "index", name, place, whole=True),
        scene=_number(fields, "scene", name, 0, whole=True),
        span=(span[0], span[1]),
        cast=_texts(fields, "cast", name),
        duration=float(_number(fields, "duration", name, 2.0, whole=False)),
        seed=_number(fields, "seed", name, 0, whole=True),
        **texts,
    )


def _member(item: Any, name: str) -> CastMember:
    fields = _object(item, name, MEMBER_KEYS)
    texts = {key: _text(fields, key, name) for key in MEMBER_KEYS if key != "aliases"}
    if not texts["id"]:
        raise DiffilmError(f"{name}.id is missing; every member of the cast needs one")
    return CastMember(aliases=_texts(fields, "aliases", name), **texts)
