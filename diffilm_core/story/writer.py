"""A local language model of transformers as a writer of answers, from a folder, without the network."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import DiffilmError

log = logging.getLogger(__name__)
MOST_TOKENS = 4096  # of an answer


class LocalWriter:
    """Messages to an answer, the likeliest token each time, so that the same question has the same answer."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model.eval(), tokenizer
        self.context = int(getattr(model.config, "max_position_embeddings", 0) or 2048)

    def __call__(self, messages: Sequence[dict[str, str]]) -> str:
        """Raises DiffilmError where the question leaves no room for an answer."""
        import torch

        ids = self._tokens(messages)
        room = self.context - len(ids)
        if room < len(ids) // 2:
            raise DiffilmError(
                f"the language model reads {self.context} tokens, and this part of the story with its question has "
                f"{len(ids)}, which leaves no room for an answer; use a model with a longer context"
            )
        pad = self.tokenizer.pad_token_id
        batch = torch.tensor([ids], device=next(self.model.parameters()).device)
        with torch.inference_mode():
            out = self.model.generate(
                batch,
                attention_mask=torch.ones_like(batch),
                max_new_tokens=min(room, MOST_TOKENS),
                do_sample=False,
                pad_token_id=self.tokenizer.eos_token_id if pad is None else pad,
            )
        return str(self.tokenizer.decode(out[0, len(ids) :], skip_special_tokens=True))

    def _tokens(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """The chat template's where there is one, else the messages one below the other."""
        if getattr(self.tokenizer, "chat_template", None):
            text = self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
            return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        text = "\n\n".join(message["content"] for message in messages) + "\n"
        return list(self.tokenizer(text)["input_ids"])


def load_writer(folder: str | Path) -> LocalWriter:
    """The causal language model and tokenizer of a folder. Raises DiffilmError: no such folder, no such model."""
    folder = Path(folder)
    if not os.path.isdir(folder) or not (folder / "config.json").is_file():
        raise DiffilmError(
            f"no language model in {folder}: config.json is not there; give a folder with a transformers model, its "
            "weights and its tokenizer"
        )
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DiffilmError(f"language model in {folder} cannot be loaded ({reason}); give a complete folder") from None
    return LocalWriter(model, tokenizer)
