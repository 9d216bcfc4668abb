"""Quotations: where the story's words are somebody's speech."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .parse import Token

DOUBLE = re.compile(r"[\"“”„«»]")
CLOSING = re.compile(r"[,.!?;:—–-]['’](?=[\s,.;:!?)\]\"—–-]|$)")
OPENING = re.compile(r"(?:(?<=^)|(?<=[\s(\[\"“—–-]))['‘](?=[^\W_]|[\"“]|_)")
LETTER = re.compile(r"[^\W_]")


def single_quoted(story: str) -> bool:
    """Whether the story marks its speech with single quotation marks ('Oh dear!')."""
    return len(CLOSING.findall(story)) > len(DOUBLE.findall(story)) // 2


def quotations(story: str, start: int, end: int, single: bool, inside: bool = False) -> list[tuple[int, int]]:
    """Spans of speech in one paragraph, marks included. What is not closed goes on to the paragraph's end. inside: the
    paragraph begins in the middle of a speech."""
    text = story[start:end]
    found = _single(text) if single else _double(text, inside)
    return [(start + low, start + high) for low, high in found]


def _double(text: str, inside: bool) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    begun: int | None = 0 if inside else None
    for match in DOUBLE.finditer(text):
        mark, at = match.group(), match.start()
        if begun is None:
            if mark not in "”»" or at + 1 < len(text):
                begun = at
        elif mark not in "“„«":
            out.append((begun, at + 1))
            begun = None
    if begun is not None:
        out.append((begun, len(text)))
    return out


def _single(text: str) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    at = 0
    while (opening := OPENING.search(text, at)) is not None:
        closing = next(
            (m for m in re.finditer(r"['’]", text[opening.end() :]) if _closes(text, opening.end() + m.start())), None
        )
        stop = opening.end() + closing.end() if closing else len(text)
        if closing or opening.start() == 0:
            out.append((opening.start(), stop))
            at = stop
        else:
            at = opening.end()
    return out


def _closes(text: str, at: int) -> bool:
    """A mark that ends speech, not an apostrophe: behind a point or comma, or a word's end before no letter."""
    before, after = text[at - 1], text[at + 1 : at + 2]
    if LETTER.match(after):
        return False
    return before in ",.!?;:-—–_)…" or (LETTER.match(before) is not None and before != "s")


def mark_quotations(tokens: Sequence[Token], spans: Sequence[tuple[int, int]]) -> None:
    """Number the tokens' quotations."""
    at = 0
    for token in tokens:
        while at < len(spans) and spans[at][1] <= token.start:
            at += 1
        if at < len(spans) and spans[at][0] <= token.start:
            token.quote = at
