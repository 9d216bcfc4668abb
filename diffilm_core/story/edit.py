"""Changes to a storyboard: edits by hand, a choice of shots, descriptions of the cast, storyboards joined."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from ..errors import DiffilmError
from .storyboard import MEMBER_KEYS, SHOT_KEYS, CastMember, Shot, Storyboard

log = logging.getLogger(__name__)

FIXED = ("index", "span", "text")
EDITABLE = tuple(key for key in SHOT_KEYS if key not in FIXED)
NUMBERS = re.compile(r"\s*(\d+)\s*(?:-\s*(\d+)\s*)?")
REPEATED = re.compile(r"-\d+$")


def apply_edits(board: Storyboard, edits: str | Mapping[str, Any] | Sequence[Any]) -> Storyboard:
    """The storyboard with what was changed by hand.

    edits: JSON text or the parsed value: `{"shots": [...], "cast": [...]}`, or the list of shots alone. A shot's edit
    has the fields to change, and says which shot by `text` (its words in the story, so that the edit stays with them
    when other sentences come and go) or by `index` (from 0), or by both, where text decides among equals. A whole
    storyboard is such an edit too. An edit whose text is no longer in the story is left out with a warning. A member's
    edit has its `id` and the fields to change; a changed description is put into the prompts that had the old one.
    Raises DiffilmError that names the edit for anything else.
    """
    value = _parsed(edits)
    shots = list(board.shots)
    for place, item in enumerate(_items(value, "shots")):
        index = _find(shots, item, f"edits.shots[{place}]")
        if index is not None:
            shots[index] = _edited(shots[index], item)
    board = replace(board, shots=tuple(shots))
    for place, item in enumerate(_items(value, "cast")):
        name = f"edits.cast[{place}]"
        member = board_member(board, str(item.get("id", "")), name)
        fields = {key: item[key] for key in MEMBER_KEYS if key in item and key != "id"}
        board = set_member(board, member.id, **fields)
    return board


def set_member(board: Storyboard, who: str, **changes: Any) -> Storyboard:
    """A member of the cast (by id, name or alias) with fields changed, and its new description in every prompt.

    Where a prompt has the old description word for word, the new one replaces it; where it has none, the new one
    follows the member's name. Raises DiffilmError for an unknown member or a field of the wrong kind.
    """
    old = board_member(board, who, "cast")
    data = board.to_dict()
    entry = next(item for item in data["cast"] if item["id"] == old.id)
    entry.update(changes)
    new = next(member for member in Storyboard.from_json(data).cast if member.id == old.id)
    cast = tuple(new if member.id == old.id else member for member in board.cast)
    shots = board.shots
    if new.description != old.description:
        shots = tuple(_described(shot, old, new) if old.id in shot.cast else shot for shot in shots)
    return replace(board, cast=cast, shots=shots)


def board_member(board: Storyboard, who: str, where: str = "cast") -> CastMember:
    """The member of that id, name or alias, whatever its capitals. Raises DiffilmError with the names there are."""
    wanted = who.strip().casefold()
    for names in (lambda m: (m.id,), lambda m: (m.name,), lambda m: m.aliases):
        for member in board.cast:
            if wanted and wanted in (name.casefold() for name in names(member)):
                return member
    known = ", ".join(member.name or member.id for member in board.cast) or "nobody"
    raise DiffilmError(f"{where}: {who!r} is not in the cast, which is {known}; name one of them")


def pick_shots(board: Storyboard, numbers: str | Iterable[int]) -> Storyboard:
    """Some of the shots, numbered anew. `numbers` count from 1: "3", "1, 4-6", or integers; order and repeats are
    kept, and spans, which must be in order, are dropped where they are not. Raises DiffilmError for a shot that is not
    there."""
    wanted = parse_numbers(numbers) if isinstance(numbers, str) else list(numbers)
    outside = [number for number in wanted if not 1 <= number <= len(board)]
    if outside or not wanted:
        raise DiffilmError(
            f"shot {outside[0] if outside else numbers!r}: expected numbers from 1 to {len(board)}, such as 1, 4-6"
        )
    ordered = all(a < b for a, b in pairwise(wanted))
    shots = [board.shots[number - 1] for number in wanted]
    return replace(board, shots=_numbered(shots, spans=ordered))


def parse_numbers(text: str) -> list[int]:
    """`"1, 4-6"` as `[1, 4, 5, 6]`. Raises DiffilmError for anything else."""
    out: list[int] = []
    for part in text.split(","):
        found = NUMBERS.fullmatch(part)
        if found is None or (found[2] and int(found[2]) - int(found[1]) > 100_000):
            raise DiffilmError(f"shots {text!r}: expected numbers and ranges with commas, such as 1, 4-6")
        first = int(found[1])
        out += range(first, int(found[2] or first) + 1)
    return out


def merge(boards: Sequence[Storyboard]) -> Storyboard:
    """Storyboards one after the other. Members of one id and name are one; others of one id get another. Spans, which
    belong to different stories, are dropped, scenes counted on. Title and style are the first's, where it has them.
    Raises DiffilmError for none."""
    if not boards:
        raise DiffilmError("no storyboards to merge: expected at least one")
    cast: list[CastMember] = []
    shots: list[Shot] = []
    scene = 0
    for board in boards:
        names = {member.id: _joined(cast, member) for member in board.cast}
        shots += [
            replace(shot, scene=shot.scene + scene, cast=tuple(names[i] for i in shot.cast)) for shot in board.shots
        ]
        scene = shots[-1].scene + 1
    title = next((board.title for board in boards if board.title), "")
    style = next((board.style for board in boards if board.style), "")
    return replace(
        boards[0], shots=_numbered(shots, spans=len(boards) == 1), cast=tuple(cast), title=title, style=style
    )


def _joined(cast: list[CastMember], member: CastMember) -> str:
    """The id under which `member` is in `cast`, where it is put if it is not."""
    for other in cast:
        same_id = member.id in (other.id, REPEATED.sub("", other.id))
        if same_id and other.name.casefold() == member.name.casefold():
            return other.id
    ids = {other.id for other in cast}
    name, number = member.id, 2
    while name in ids:
        name, number = f"{member.id}-{number}", number + 1
    cast.append(replace(member, id=name))
    return name


def _numbered(shots: Sequence[Shot], *, spans: bool) -> tuple[Shot, ...]:
    return tuple(replace(shot, index=index, span=shot.span if spans else (0, 0)) for index, shot in enumerate(shots))


def _parsed(edits: Any) -> Mapping[str, Any]:
    if isinstance(edits, str):
        if not edits.strip():
            return {}
        try:
            edits = json.loads(edits)
        except (ValueError, RecursionError) as error:
            reason = " ".join(str(error).split())
            raise DiffilmError(f'edits are not JSON ({reason}); expected [{{"index": 2, "prompt": "..."}}]') from None
    if isinstance(edits, Mapping):
        return edits
    if isinstance(edits, Sequence):
        return {"shots": edits}
    raise DiffilmError(f"edits are {edits!r:.40}: expected a list of shots with the fields to change")


def _items(value: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    items = value.get(key, [])
    if not isinstance(items, Sequence) or isinstance(items, str) or not all(isinstance(i, Mapping) for i in items):
        raise DiffilmError(f"edits.{key}: expected a list of objects, each with the fields to change")
    return list(items)


def _find(shots: list[Shot], item: Mapping[str, Any], name: str) -> int | None:
    """The shot that an edit means; None where its words have gone."""
    index, text = item.get("index"), item.get("text")
    if index is not None and (isinstance(index, bool) or not isinstance(index, int)):
        raise DiffilmError(f"{name}.index is {index!r:.40}, expected a whole number from 0 to {len(shots) - 1}")
    if text is None:
        if index is None:
            raise DiffilmError(f"{name} names no shot: expected its index (from 0) or its text")
        if not 0 <= index < len(shots):
            raise DiffilmError(f"{name}.index is {index}, expected 0 to {len(shots) - 1}")
        return index
    words = " ".join(str(text).split())
    same = [shot.index for shot in shots if " ".join(shot.text.split()) == words]
    if not same:
        log.warning("%s is left out: its text is no longer in the story: %.60s", name, words)
        return None
    return min(same, key=lambda found: abs(found - (index or 0)))


def _edited(shot: Shot, item: Mapping[str, Any]) -> Shot:
    """The shot with the edit's fields, each checked as in a storyboard's JSON."""
    unknown = [key for key in item if key not in SHOT_KEYS]
    if unknown:
        raise DiffilmError(f"edit of shot {shot.index}: {unknown[0]!r} is no field; there are {', '.join(EDITABLE)}")
    ids = item.get("cast", list(shot.cast))
    cast = [{"id": i} for i in dict.fromkeys(ids)] if isinstance(ids, (list, tuple)) else []
    old = Storyboard(shots=(replace(shot, index=0, cast=()),)).to_dict()["shots"][0]
    changes = {key: item[key] for key in EDITABLE if key in item}
    fields = {**old, "text": "", "cast": list(shot.cast), **changes}
    try:
        made = Storyboard.from_json({"cast": cast, "shots": [fields]}).shots[0]
    except DiffilmError as error:
        raise DiffilmError(f"edit of shot {shot.index}: {error}") from None
    return replace(made, index=shot.index, span=shot.span, text=shot.text)


def _described(shot: Shot, old: CastMember, new: CastMember) -> Shot:
    """The shot with the member's new description in its prompt."""
    prompt = shot.prompt
    if old.description and old.description in prompt:
        return replace(shot, prompt=prompt.replace(old.description, new.description or new.name))
    if not new.description or new.description in prompt:
        return shot
    names = [re.escape(name) for name in (new.name, *new.aliases) if name]
    found = re.search(rf"\b(?:(?:the|a|an) )?(?:{'|'.join(names)})\b", prompt, re.IGNORECASE) if names else None
    if found is None:
        return replace(shot, prompt=f"{new.description}, {prompt}")
    says_name = new.name.casefold() in new.description.casefold()
    words = new.description if says_name else f"{found[0]}, {new.description}"
    after = prompt[found.end() :]
    joint = "" if says_name or not after or not after[0].isspace() else ","
    return replace(shot, prompt=f"{prompt[: found.start()]}{words}{joint}{after}")
