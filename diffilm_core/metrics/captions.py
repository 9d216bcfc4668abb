"""The words that belong to clips: a list of prompts, a table, MSR-VTT's file, or texts beside the clips."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from ..errors import DiffilmError
from .sets import MediaSet

CAPTION, NAME = ("caption", "prompt", "text"), ("file", "name", "video_id", "video")
SAID = "expected one prompt a line, a .csv or .jsonl with `caption` (and `file`), or MSR-VTT's .json"


def read_prompts(path: str | Path) -> list[tuple[str, str]]:
    """(name, words) of each prompt; name "" where the file has none. Raises DiffilmError for what cannot be read."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DiffilmError(f"prompts {path} cannot be read ({error}): {SAID}") from error
    try:
        found = _rows(path.suffix.lower(), text)
    except (ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise DiffilmError(f"prompts {path} cannot be read ({error}): {SAID}") from error
    found = [(name.strip(), " ".join(words.split())) for name, words in found]
    if not found or not all(words for _, words in found):
        raise DiffilmError(f"prompts {path}: {'one is empty' if found else 'there is none'}; {SAID}")
    return found


def _rows(suffix: str, text: str) -> list[tuple[str, str]]:
    if suffix in (".csv", ".tsv"):
        rows = csv.DictReader(text.splitlines(), delimiter="\t" if suffix == ".tsv" else ",")
        return [_row(row) for row in rows]
    if suffix == ".jsonl":
        return [_row(json.loads(line)) for line in text.splitlines() if line.strip()]
    if suffix == ".json":
        return _msrvtt(json.loads(text))
    return [("", line) for line in text.splitlines() if line.strip()]


def _row(row: dict[str, Any]) -> tuple[str, str]:
    words = next(str(row[key]) for key in CAPTION if row.get(key)) if any(row.get(key) for key in CAPTION) else ""
    return next((Path(str(row[key])).stem for key in NAME if row.get(key)), ""), words


def _msrvtt(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The sentences of the test split of MSR-VTT's videodatainfo.json, in the order of the videos and sentences."""
    test = {video["video_id"] for video in found.get("videos", []) if video.get("split") == "test"}
    rows = [row for row in found["sentences"] if not test or row["video_id"] in test]
    rows.sort(key=lambda row: (int("".join(filter(str.isdigit, row["video_id"])) or 0), row.get("sen_id", 0)))
    return [(row["video_id"], row["caption"]) for row in rows]


def captions_of(media: MediaSet, prompts: str | Path | None = None) -> list[str] | None:
    """The words of each item: of `prompts` by name, or in order where it has no names; else of the .txt beside each.

    None where there is none. Raises DiffilmError where some items have words and others none, or the numbers differ.
    """
    if prompts is None:
        return _beside(media)
    rows = read_prompts(prompts)
    if all(name for name, _ in rows):
        by_name: dict[str, str] = {}
        for name, words in rows:
            by_name.setdefault(name, words)
        names = [Path(name).name for name in media.names]
        if missing := [name for name in names if name not in by_name]:
            raise DiffilmError(
                f"prompts {prompts}: none for {len(missing)} of {len(names)} in {media.path} (the first: {missing[0]});"
                " add them, or leave these out"
            )
        return [by_name[name] for name in names]
    if len(rows) < len(media.items):
        raise DiffilmError(
            f"prompts {prompts}: {len(rows)} for {len(media.items)} items in {media.path}; expected one for each, in "
            "the order of their names"
        )
    return [words for _, words in rows[: len(media.items)]]


def _beside(media: MediaSet) -> list[str] | None:
    texts = [item.with_suffix(".txt") for item in media.items]
    there = [text for text in texts if text.is_file()]
    if not there:
        return None
    if len(there) < len(texts):
        bare = next(item for item, text in zip(media.items, texts, strict=True) if not text.is_file())
        raise DiffilmError(f"{media.path}: {len(there)} of {len(texts)} have a .txt beside them, {bare.name} has none; "
                           "add the others, or give --prompts")  # fmt: skip
    return [read_prompts(text)[0][1] for text in texts]
