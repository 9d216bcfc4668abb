"""The shipped model's tokenizer: byte-level BPE in CLIP's format (vocab.json, merges.txt), learnt from captions
and prose.

Ids as in CLIP: the 256 bytes, the 256 bytes that end a word, one id a merge, then <|startoftext|> and <|endoftext|>.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

START, END = "<|startoftext|>", "<|endoftext|>"
SUFFIX = "</w>"
# CLIP's splitting of text into words (Radford et al. 2021).
WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def byte_symbols() -> list[str]:
    """The printable stand-ins of the 256 bytes in CLIP's order (GPT-2's table)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("\xa1"), ord("\xac") + 1), *range(ord("\xae"), ord("\xff") + 1)]
    rest = [b for b in range(256) if b not in plain]
    return [chr(b) for b in plain] + [chr(256 + i) for i in range(len(rest))]


def train_tokenizer(lines: Iterable[str], folder: str | Path, *, size: int = 4000) -> Path:
    """Learn about `size` tokens from lines of text and write the tokenizer's files to `folder`.

    The folder loads with `transformers.CLIPTokenizer.from_pretrained` and as a ComfyUI tokenizer path.
    """
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(end_of_word_suffix=SUFFIX))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    symbols = byte_symbols()
    trainer = trainers.BpeTrainer(
        vocab_size=size, min_frequency=2, end_of_word_suffix=SUFFIX, initial_alphabet=symbols, show_progress=False
    )
    tokenizer.train_from_iterator(lines, trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    pairs = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in merges]
    pairs = pairs[: size - 2 - 2 * len(symbols)]
    tokens = [*symbols, *(s + SUFFIX for s in symbols), *(a + b for a, b in pairs), START, END]
    return _write(Path(folder), list(dict.fromkeys(tokens)), pairs)


def _write(folder: Path, tokens: list[str], pairs: list[tuple[str, ...]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    special = {"bos_token": START, "eos_token": END, "unk_token": END, "pad_token": END}
    config = {
        **special,
        "add_prefix_space": False,
        "do_lower_case": True,
        "errors": "replace",
        "model_max_length": 8192,
        "tokenizer_class": "CLIPTokenizer",
    }
    vocabulary = {token: i for i, token in enumerate(tokens)}
    texts = {
        "vocab.json": json.dumps(vocabulary, ensure_ascii=False),
        "merges.txt": "\n".join(["#version: 0.2", *(f"{a} {b}" for a, b in pairs)]) + "\n",
        "tokenizer_config.json": json.dumps(config, indent=2) + "\n",
        "special_tokens_map.json": json.dumps(special, indent=2) + "\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder
