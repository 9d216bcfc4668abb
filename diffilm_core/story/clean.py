"""Sentences as a text encoder wants them: no line breaks, no markup, plain punctuation."""

from __future__ import annotations

import re
import unicodedata

LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*\)")
LEADING = re.compile(r"^(?:#{1,6}\s+|>+\s*|[-*+•‣–—]\s+|\(?\d{1,3}[.)]\s+|\.\.\.\s*)+")
EMPHASIS = re.compile(r"(?<![\w*_`])[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}(?![\w*_`])")
SPACE = re.compile(r"\s+")
ALNUM = re.compile(r"[^\W_]")
PLAIN = str.maketrans(
    {"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "…": "...", "—": " - ", "–": " - "}
)
JOINERS = "\u200c\u200d"  # belong to the letters or emoji around them
TRAILING = " \t.,;:-。、，；："
# Written without spaces: about two characters to a word.
DENSE = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]"
)


def has_words(text: str) -> bool:
    """Whether there is something to show: a letter, a digit or a pictograph, not punctuation alone."""
    if ALNUM.search(text):
        return True
    return not text.isascii() and any(ord(c) > 127 and unicodedata.category(c)[0] == "S" for c in text)


def word_count(text: str) -> int:
    """Words; scripts without spaces count two characters as one."""
    dense = len(DENSE.findall(text))
    words = sum(1 for word in DENSE.sub(" ", text).split() if has_words(word))
    return words + (dense + 1) // 2


def one_line(text: str) -> str:
    """Without control and format characters, white space collapsed."""
    line = SPACE.sub(" ", text).strip()
    if line.isprintable():
        return line
    kept = (c if c in JOINERS or unicodedata.category(c) != "Cf" else "" for c in text)
    spaced = (" " if unicodedata.category(c) == "Cc" else c for c in "".join(kept))
    return SPACE.sub(" ", "".join(spaced)).strip()


def clean_sentence(text: str) -> str:
    """The sentence for a prompt. Never empty where `has_words(text)`."""
    plain = unicodedata.normalize("NFC", one_line(text))
    out = LEADING.sub("", plain)
    out = EMPHASIS.sub("", LINK.sub(r"\1", out)).translate(PLAIN)
    out = SPACE.sub(" ", out).strip(TRAILING)
    if len(out) > 2 and out[0] == out[-1] == '"' and '"' not in out[1:-1]:
        out = out[1:-1].strip(TRAILING)
    return out if has_words(out) else plain
