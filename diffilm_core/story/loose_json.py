"""JSON as language models write it: in prose or a code fence, with trailing commas and comments, cut off at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

CLOSES = {"{": "}", "[": "]"}
DEEPEST = 50  # brackets within brackets that an answer may have
MOST_STARTS = 200  # places where an object may begin that are tried


def objects_in(answer: str) -> Iterator[tuple[Any, str]]:
    """Values that start with a brace or a bracket, each with the text it was read from, in order, not overlapping."""
    at, tries = 0, 0
    while tries < MOST_STARTS:
        starts = [found for found in (answer.find("{", at), answer.find("[", at)) if found >= 0]
        if not starts:
            return
        tries += 1
        start = min(starts)
        text, length = _clean(answer[start:])
        try:
            value = json.loads(text, parse_constant=lambda _: None, strict=False)
        except (ValueError, RecursionError):
            at = start + 1
            continue
        yield value, answer[start : start + length]
        at = start + length


def _clean(text: str) -> tuple[str, int]:
    """The first object as strict JSON, and the characters read: no comments, no trailing commas, closed at its end."""
    out: list[str] = []
    stack: list[str] = []
    at = 0
    while at < len(text):
        letter = text[at]
        if letter == '"':
            end = _string_end(text, at)
            closed = end <= len(text) and text[end - 1] == '"' and end - at > 1
            out.append(text[at:end] if closed else text[at:end].rstrip("\\") + '"')
            at = end
            continue
        if text.startswith(("//", "#"), at):
            at = _find(text, "\n", at)
            continue
        if text.startswith("/*", at):
            at = _find(text, "*/", at) + 2
            continue
        at += 1
        if letter in CLOSES:
            stack.append(CLOSES[letter])
            if len(stack) > DEEPEST:
                return "", at
        elif letter in "}]":
            _drop_comma(out)
            if not stack or letter != stack.pop():
                return "", at
        out.append(letter)
        if not stack:
            return _names("".join(out)), at
    return _names(_closed(out, stack)), at


def _string_end(text: str, at: int) -> int:
    """The offset behind the closing mark of the string that opens at `at`."""
    end = at + 1
    while end < len(text):
        if text[end] == "\\":
            end += 2
            continue
        if text[end] == '"':
            return end + 1
        end += 1
    return len(text)


def _find(text: str, mark: str, at: int) -> int:
    found = text.find(mark, at)
    return len(text) if found < 0 else found


def _drop_comma(out: list[str]) -> None:
    last = len(out) - 1
    while last >= 0 and out[last].isspace():
        last -= 1
    if last >= 0 and out[last] == ",":
        del out[last]


def _closed(out: list[str], stack: list[str]) -> str:
    """What was cut off: the last value that is not whole is left out, and what is open is closed."""
    for _ in range(40):
        tail = list(out)
        _drop_comma(tail)
        text = "".join(tail) + "".join(reversed(stack))
        try:
            json.loads(_names(text), parse_constant=lambda _: None, strict=False)
            return text
        except (ValueError, RecursionError):
            pass
        while out and out[-1] not in (",", "{", "["):
            gone = out.pop()
            if gone in ("}", "]"):
                stack.append(gone)
        if not out:
            break
        if out[-1] == ",":
            out.pop()
        else:
            out.pop()
            stack.pop()
    return ""


def _names(text: str) -> str:
    """Python's names for JSON's, outside strings."""
    if not any(name in text for name in ("True", "False", "None")):
        return text
    parts = json_strings(text)
    swapped = ("true" if p == "True" else "false" if p == "False" else "null" if p == "None" else p for p in parts)
    return "".join(swapped)


def json_strings(text: str) -> list[str]:
    """The text in parts: strings with their marks, words, and single other characters."""
    out: list[str] = []
    at = 0
    while at < len(text):
        end = at + 1
        if text[at] == '"':
            end = _string_end(text, at)
        elif text[at].isalpha():
            while end < len(text) and text[end].isalpha():
                end += 1
        out.append(text[at:end])
        at = end
    return out
