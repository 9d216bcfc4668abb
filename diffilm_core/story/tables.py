"""Shots that a person has divided: a list of prompts between blank lines or `---`, and CSV with named columns."""

from __future__ import annotations

import csv
import io
import logging
import re
from bisect import bisect_right
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from ..errors import DiffilmError
from .beats import Beat, Piece, words_of
from .clean import has_words
from .filming import DEFAULT_FPS, DEFAULT_FRAMES, check_numbers, plan, shot_seed
from .prompts import Act, Picture, phrasing_of, prompt_of
from .read import check_text
from .reading import read
from .storyboard import SHOT_KEYS, CastMember, Storyboard
from .styles import style_of

log = logging.getLogger(__name__)
RULE = re.compile(r"^[ \t]*-{3,}[ \t]*$", re.MULTILINE)
BLANK = re.compile(r"\n[^\S\n]*\n\s*")
COLUMNS = tuple(key for key in SHOT_KEYS if key not in ("index", "span", "scene"))


def storyboard_from_list(text: str, **options: Any) -> Storyboard:
    """A shot for each part of the text, divided by lines of `---` where there are any, else by blank lines; a part's
    words are its prompt as they stand. options: those of `plan`. Raises DiffilmError: no words."""
    check_text(text, "list of shots")
    reading = read(text)
    rules = RULE.finditer(text) if RULE.search(text) else BLANK.finditer(text)
    cuts = [found.end() for found in rules]
    beats: list[Beat] = []
    lead: int | None = None
    number = -1
    for sentence in reading.sentences:
        start, end = sentence.span
        if not has_words(text[start:end]):
            if lead is None and beats and bisect_right(cuts, start) == number:
                beats[-1].end = end
            else:
                lead = start if lead is None else lead
            continue
        piece = Piece(start, end, sentence, words_of(text[start:end]), True, sentence.cast, sentence.clauses)
        if beats and lead is None and bisect_right(cuts, start) == number:
            beats[-1].add(piece)
            continue
        beats.append(Beat(start if lead is None else lead, end, [piece], verbatim=True))
        number, lead = bisect_right(cuts, start), None
    if not beats:
        raise DiffilmError("list of shots has no words, only punctuation; write at least one shot")
    if lead is not None:
        beats[-1].end = reading.sentences[-1].span[1]
    return plan(reading, shots=beats, **options)


def storyboard_from_csv(text: str, **options: Any) -> Storyboard:
    """A shot for each row. The first row names the columns: `prompt` or `text`, and any other field of a shot; `cast`
    holds names with semicolons between them. options: those of `plan`; what a row has of its own stands.
    Raises DiffilmError with the line: no such column, a value of the wrong kind, a row without words.
    """
    check_text(text, "table of shots")
    head = text.lstrip("\ufeff\r\n\t ").split("\n", 1)[0]
    mark = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text.lstrip("\ufeff")), delimiter=mark, skipinitialspace=True, strict=True)
    cast: dict[str, CastMember] = {}
    shots: list[dict[str, Any]] = []
    columns: list[str] = []
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if not columns:
                columns = _columns(row, reader.line_num)
                continue
            if len(row) > len(columns):
                raise DiffilmError(
                    f"line {reader.line_num} has {len(row)} cells, expected {len(columns)} ({', '.join(columns)}); put "
                    "quotation marks around a cell with a comma in it"
                )
            shots.append(_row(dict(zip(columns, (cell.strip() for cell in row), strict=False)), reader.line_num, cast))
    except csv.Error as error:
        raise DiffilmError(f"line {reader.line_num} is not CSV ({error}); close every quotation mark") from None
    if not shots:
        raise DiffilmError("table of shots has no row below its column names; write one for each shot")
    limit = options.get("max_shots")
    return _filled(shots[:limit] if limit else shots, cast, **{k: v for k, v in options.items() if k != "max_shots"})


def _columns(row: list[str], line: int) -> list[str]:
    names = [" ".join(cell.split()).lower() for cell in row]
    if not {"prompt", "text"} & set(names):
        raise DiffilmError(
            f"line {line} names the columns {', '.join(names)[:80]}, expected prompt or text among them; known are "
            + ", ".join(COLUMNS)
        )
    twice = [name for name in names if name and names.count(name) > 1]
    if twice:
        raise DiffilmError(f"line {line} names the column {twice[0]} twice; name each once")
    unknown = [name for name in names if name and name not in COLUMNS]
    if unknown:
        log.warning("columns that no shot has are left out: %s", ", ".join(unknown))
    return names


def _row(cells: Mapping[str, str], line: int, cast: dict[str, CastMember]) -> dict[str, Any]:
    """A row as a shot's fields; what is empty is left out. New names go into the cast."""
    out: dict[str, Any] = {key: cell for key, cell in cells.items() if cell and key in COLUMNS}
    if not (out.get("prompt") or out.get("text")):
        raise DiffilmError(f"line {line} has no prompt; say what the shot shows")
    for key, kind, wanted in (("duration", float, "seconds, such as 2.5"), ("seed", int, "a whole number")):
        if key in out:
            try:
                out[key] = kind(out[key])
            except ValueError:
                raise DiffilmError(f"line {line}: {key} is {out[key]!r}, expected {wanted}") from None
    if "cast" in out:
        names = [name.strip() for name in out["cast"].split(";") if name.strip()]
        for name in names:
            cast.setdefault(name.lower(), CastMember(name.lower(), name))
        out["cast"] = [name.lower() for name in dict.fromkeys(names)]
    try:
        Storyboard.from_json({"shots": [{**out, "cast": []}]})
    except DiffilmError as error:
        raise DiffilmError(f"line {line}: {str(error).removeprefix('shots[0].')}") from None
    return out


def _filled(
    rows: list[dict[str, Any]],
    cast: Mapping[str, CastMember],
    *,
    style: str = "",
    seed: int = 0,
    frames: int | None = None,
    fps: float | Fraction | None = None,
    length: Any = None,
    phrasing: str = "plain",
    negative: str = "",
) -> Storyboard:
    """The rows with prompts in style, and the lengths and seeds that they lack."""
    check_numbers(seed, frames, fps, None, length)
    phrases, look = phrasing_of(phrasing), style_of(style)
    own = float((frames or DEFAULT_FRAMES) / Fraction(fps or DEFAULT_FPS))
    seen: dict[str, int] = {}
    shots = []
    for row in rows:
        words = row.get("prompt") or " ".join(row["text"].split())
        number = seen[words] = seen.get(words, -1) + 1
        avoid = [row.get("negative", ""), negative.strip(), look.negative, phrases.negative]
        shots.append(
            {
                "duration": own,
                "seed": shot_seed(seed, words, number),
                **row,
                "text": row.get("text", words),
                "prompt": prompt_of(Picture(acts=(Act(words),), style=look.words), phrases),
                "negative": ", ".join(part for part in avoid if part),
            }
        )
    members = [{"id": member.id, "name": member.name} for member in cast.values()]
    return Storyboard.from_json({"shots": shots, "cast": members, "style": " ".join(style.split())})
