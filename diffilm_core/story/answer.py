"""The JSON of a language model's answer as shots and cast: types mended, names resolved, quotations anchored."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import DiffilmError
from .anchor import Anchors
from .clean import one_line
from .loose_json import objects_in
from .storyboard import CastMember

TRANSITIONS = ("cut", "dissolve", "fade", "wipe")
WORDS = ("action", "place", "time", "weather", "camera")
MOST_WORDS = 300  # characters of a plain field
QUOTES = ("text", "quote", "story", "sentence", "words")
PROMPTS = ("prompt", "description", "image", "visual")


@dataclass(frozen=True)
class DirectedShot:
    """A shot as answered. span: where its quotation stands in the story; None where it does not."""

    text: str
    prompt: str
    cast: tuple[str, ...] = ()
    words: dict[str, str] = field(default_factory=dict)
    span: tuple[int, int] | None = None


def read_answer(
    answer: str, story: str, cast: Sequence[CastMember]
) -> tuple[list[CastMember], list[DirectedShot], list[str]]:
    """The cast, the shots and what was mended. cast: members that are known already.

    Raises DiffilmError where the answer has no JSON with shots, apart from what it only repeats of the story.
    """
    data = _shots_object(answer, story)
    notes: list[str] = []
    members = _cast(data.get("cast"), list(cast))
    anchors = Anchors(story)
    out: list[DirectedShot] = []
    after = 0
    items = data["shots"]
    skipped = 0
    for item in items:
        if isinstance(item, str):
            item = {"text": item, "prompt": item}
        if not isinstance(item, Mapping):
            skipped += 1
            continue
        text = _first(item, QUOTES) or _at_span(item.get("span"), story)
        prompt = _first(item, PROMPTS)
        span = anchors.find(text or prompt, after) if text or prompt else None
        after = span[1] if span else after
        words = {key: _plain(item.get(key)) for key in WORDS}
        transition = _plain(item.get("transition")).lower()
        words["transition"] = next((name for name in TRANSITIONS if name in transition), "")
        out.append(DirectedShot(text, prompt, _ids(item.get("cast"), members), words, span))
    if skipped:
        notes.append(f"{skipped} entries of shots that are no objects left out")
    if not out:
        raise DiffilmError("the answer's list of shots is empty")
    return members, out, notes


def _shots_object(answer: str, story: str) -> Mapping[str, Any]:
    """The object with the most shots; one that stands in the story itself was not written by the model."""
    flat_story = " ".join(story.split())
    best: Mapping[str, Any] | None = None
    seen = False
    for value, text in objects_in(answer):
        seen = True
        if isinstance(value, list):
            value = {"shots": value}
        if " ".join(text.split()) in flat_story:
            continue
        if isinstance(value, Mapping) and "shots" not in value:
            inner = [item for item in value.values() if isinstance(item, Mapping) and "shots" in item]
            value = inner[0] if inner else value
        if not isinstance(value, Mapping) or not isinstance(value.get("shots"), list):
            continue
        if best is None or len(value["shots"]) > len(best["shots"]):
            best = value
    if best is None:
        what = "JSON without a list of shots" if seen else "no JSON"
        raise DiffilmError(f"the answer has {what}, expected an object with shots")
    return best


def _plain(value: Any) -> str:
    """A field as one line of text, whatever it came as."""
    if isinstance(value, (list, tuple)):
        value = ", ".join(_plain(item) for item in value[:8])
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    text = str(value).encode("utf-8", "ignore").decode("utf-8")
    return one_line(text)[:MOST_WORDS]


def _first(item: Mapping[str, Any], keys: Sequence[str]) -> str:
    for key in keys:
        value = item.get(key)
        if isinstance(value, str) and value.strip():
            return value.encode("utf-8", "ignore").decode("utf-8")
    return ""


def _at_span(span: Any, story: str) -> str:
    """The story's words at a span, where it is one."""
    if not isinstance(span, (list, tuple)) or len(span) != 2:
        return ""
    if not all(isinstance(n, int) and not isinstance(n, bool) for n in span):
        return ""
    start, end = span
    return story[start:end] if 0 <= start < end <= len(story) else ""


def _cast(items: Any, members: list[CastMember]) -> list[CastMember]:
    """The known members, with descriptions where they had none, and the answer's new ones."""
    for item in items[:100] if isinstance(items, list) else ():
        if isinstance(item, str):
            item = {"name": item}
        if not isinstance(item, Mapping):
            continue
        name = _plain(item.get("name")) or _plain(item.get("id"))
        if not name:
            continue
        fields = {key: _plain(item.get(key)) for key in ("kind", "description", "pronouns")}
        at = _known(name, members)
        if at is None:
            at = _known(_plain(item.get("id")), members)
        if at is None:
            ids = {member.id for member in members}
            stem = "-".join(re.findall(r"[^\W_]+", name.lower())) or "member"
            free = next(i for i in (stem, *(f"{stem}-{n}" for n in range(2, len(ids) + 3))) if i not in ids)
            own = _plain(item.get("id"))
            members.append(CastMember(free, name, (own,) if own and own != free else (), **fields))
        else:
            old = members[at]
            kept = {key: getattr(old, key) or value for key, value in fields.items()}
            members[at] = CastMember(old.id, old.name, old.aliases, **kept)
    return members


def _known(name: str, members: Sequence[CastMember]) -> int | None:
    key = _bare(name)
    for at, member in enumerate(members):
        if key and key in (_bare(called) for called in (member.id, member.name, *member.aliases)):
            return at
    return None


def _bare(name: str) -> str:
    return re.sub(r"^(?:the|a|an)\s+", "", name.strip().casefold())


def _ids(value: Any, members: Sequence[CastMember]) -> tuple[str, ...]:
    """Ids of the members that a shot names, by id, name or alias; others are left out."""
    names = re.split(r"[,;]| and ", value) if isinstance(value, str) else value if isinstance(value, list) else []
    found = [_known(_plain(name), members) for name in names[:50]]
    return tuple(dict.fromkeys(members[at].id for at in found if at is not None))
