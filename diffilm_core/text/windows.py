"""Prompts of any length as windows of tokens: start token, tokens, end token, padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, cast

from ..errors import DiffilmError

Split = Literal["words", "tokens"]
SPLITS: tuple[Split, ...] = ("words", "tokens")
WORD_END = "</w>"  # closes a word in CLIP's byte-pair vocabulary


class PromptTokenizer:
    """Cuts a prompt into windows of `window` token ids; nothing is lost, whatever the length.

    tokenizer: a transformers CLIPTokenizer, or a callable with the same answer:
        `tokenizer(text)["input_ids"]` with the start token in front and the end token behind.
    window: ids in a window, start and end token included (CLIP: 77).
    pad: the id behind the end token; None is the end token itself (CLIP ViT-L), 0 is OpenCLIP's.
    split: where a prompt longer than a window is cut. "words" keeps every word whole (one longer than a
        window fills several); "tokens" fills each window to its last place, which is what ComfyUI does with
        a prompt that has no weights in it. The two differ only where a word would lie across the edge.
    """

    def __init__(self, tokenizer: Any, window: int, *, pad: int | None = None, split: Split = "words") -> None:
        if window < 3:
            raise DiffilmError(f"text window of {window} tokens: start, end and one more are needed; use 3 or more")
        if split not in SPLITS:
            raise DiffilmError(f"unknown split {split!r}: choose one of {', '.join(SPLITS)}")
        empty = self._ids(tokenizer, "")
        if len(empty) < 2:
            raise DiffilmError(f"the tokenizer gives {empty} for an empty prompt, not a start and an end token")
        self.tokenizer = tokenizer
        self.window = window
        self.start, self.end = empty[0], empty[-1]
        self.pad = self.end if pad is None else pad
        self.split: Split = split

    @staticmethod
    def _ids(tokenizer: Any, prompt: str) -> list[int]:
        text = prompt.encode("utf-8", "replace").decode("utf-8")  # lone surrogates stop the tokenizer
        return [int(token) for token in tokenizer(text)["input_ids"]]

    def tokens(self, prompt: str) -> list[int]:
        """Token ids of the prompt, without start and end."""
        return self._ids(self.tokenizer, prompt)[1:-1]

    def words(self, prompt: str) -> list[list[int]]:
        """The same ids, a list per word of the vocabulary (`snow,` is two words)."""
        ids = self.tokens(prompt)
        if not hasattr(self.tokenizer, "convert_ids_to_tokens"):
            return [[token] for token in ids]
        pieces = cast("list[str]", self.tokenizer.convert_ids_to_tokens(ids))
        groups: list[list[int]] = []
        open_word = False
        for token, piece in zip(ids, pieces, strict=True):
            if open_word:
                groups[-1].append(token)
            else:
                groups.append([token])
            open_word = not piece.endswith(WORD_END) and piece not in self.tokenizer.all_special_tokens
        return groups

    def windows(self, prompt: str) -> list[list[int]]:
        """At least one window; each of `window` ids."""
        room = self.window - 2
        if self.split == "tokens":
            ids = self.tokens(prompt)
            bodies = [ids[i : i + room] for i in range(0, len(ids), room)] or [[]]
        else:
            bodies = pack(self.words(prompt), room)
        return [self._close(body) for body in bodies]

    def _close(self, body: Sequence[int]) -> list[int]:
        ids = [self.start, *body, self.end]
        return ids + [self.pad] * (self.window - len(ids))


def pack(words: Sequence[Sequence[int]], room: int) -> list[list[int]]:
    """Words in order into lists of at most `room` ids; only a word longer than `room` is cut."""
    bodies: list[list[int]] = [[]]
    for word in words:
        if len(word) <= room:
            if len(bodies[-1]) + len(word) > room:
                bodies.append([])
            bodies[-1].extend(word)
            continue
        for token in word:
            if len(bodies[-1]) == room:
                bodies.append([])
            bodies[-1].append(token)
    return bodies
