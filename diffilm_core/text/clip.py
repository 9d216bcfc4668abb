"""CLIP's text encoder (Radford et al. 2021) through transformers, for prompts of any length."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import DiffilmError
from .windows import WORD_END, PromptTokenizer, Split

PREFIX = "text_model."
MERGES = Path(__file__).parents[1] / "assets" / "clip_merges.txt.gz"
NOT_SHAPE = ("architectures", "torch_dtype", "dtype")
UNUSED = ("position_ids", "text_projection.weight", "logit_scale")  # in published files, not needed here


class TextEncoder:
    """Prompts to context vectors `(b, l, d)`.

    model: transformers CLIPTextModel. tokenizer: transformers CLIPTokenizer, or one that answers like it.
    layer: -1 is the last layer (CLIP ViT-L in Stable Diffusion 1.x), -2 the one before it (OpenCLIP in 2.x);
        the final norm is applied to either.
    window: tokens in a window; None takes the model's own length. pad, split: see PromptTokenizer.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        layer: int = -1,
        window: int | None = None,
        pad: int | None = None,
        split: Split = "words",
    ) -> None:
        longest = int(model.config.max_position_embeddings)
        layers = int(model.config.num_hidden_layers)
        window = longest if window is None else window
        if window > longest:
            raise DiffilmError(
                f"text window of {window} tokens: this encoder has {longest} positions; use at most those"
            )
        if not -layers <= layer <= -1:
            raise DiffilmError(f"text encoder layer {layer}: it has {layers}; use -1 (the last) to -{layers}")
        self.model = model.eval().requires_grad_(False)
        self.prompts = PromptTokenizer(tokenizer, window, pad=pad, split=split)
        self.layer = layer
        self.system: str = getattr(model, "system", "")  # of a model that checkpoints.load_text_encoder read
        self.fingerprint: str = getattr(model, "fingerprint", "")

    @classmethod
    def from_parts(
        cls,
        state_dict: Mapping[str, Tensor],
        config: Mapping[str, Any],
        tokenizer_folder: str | Path,
        **options: Any,
    ) -> TextEncoder:
        """From tensors in transformers' names (with or without `text_model.`), a CLIPTextConfig as a dict,
        and the folder of vocab.json and merges.txt. options: those of the class. DiffilmError when the
        parts do not fit."""
        return cls(load_text_model(state_dict, config), load_tokenizer(tokenizer_folder), **options)

    @property
    def tokenizer(self) -> Any:
        return self.prompts.tokenizer

    @property
    def window(self) -> int:
        """Tokens in a window, start and end token included; l of encode() is a multiple of it."""
        return self.prompts.window

    @property
    def width(self) -> int:
        """d of encode()."""
        return int(self.model.config.hidden_size)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    def to(self, *args: Any, **kwargs: Any) -> TextEncoder:
        """Move the model as nn.Module.to does; returns itself."""
        self.model.to(*args, **kwargs)
        return self

    def count(self, prompt: str) -> int:
        """Tokens of the prompt, without start, end and padding."""
        return len(self.prompts.tokens(prompt))

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Context `(b, l, d)`, float32. A prompt longer than a window is cut into windows, each encoded with
        its own start and end token, joined along l; shorter rows are filled with the encoded empty prompt.

        Each window runs alone, so that a prompt's numbers do not depend on what else is in the list.
        """
        if isinstance(prompts, str):
            prompts = [prompts]
        if not prompts:
            raise DiffilmError("no prompt to encode: the list is empty; give at least one string")
        rows = [self.prompts.windows(prompt) for prompt in prompts]
        longest = max(len(row) for row in rows)
        empty = self.prompts.windows("")
        rows = [row + empty * (longest - len(row)) for row in rows]
        done: dict[tuple[int, ...], Tensor] = {}
        for ids in (tuple(ids) for row in rows for ids in row):
            if ids not in done:
                done[ids] = self._encode_window(ids)
        return torch.stack([torch.cat([done[tuple(ids)] for ids in row]) for row in rows])

    def _encode_window(self, ids: Sequence[int]) -> Tensor:
        """(l,) token ids to (l, d)."""
        return self.hidden(torch.tensor([list(ids)], dtype=torch.long, device=self.device))[0].float()

    def hidden(self, ids: Tensor) -> Tensor:
        """Windows of token ids `(b, l)` to context `(b, l, d)`; with gradients where they are wanted."""
        if self.layer == -1:
            found: Tensor = self.model(ids).last_hidden_state
            return found
        hidden = self.model(ids, output_hidden_states=True).hidden_states[self.layer]
        normed: Tensor = inner_model(self.model).final_layer_norm(hidden)
        return normed


def inner_model(model: nn.Module) -> Any:
    """The module of embeddings, encoder and norm: transformers 4 wraps it in `text_model`, 5 does not."""
    return getattr(model, "text_model", model)


def load_text_model(state_dict: Mapping[str, Tensor], config: Mapping[str, Any]) -> Any:
    """A CLIPTextModel in float32; names with or without `text_model.`. DiffilmError names what is missing or
    of another shape."""
    from transformers import CLIPTextConfig, CLIPTextModel

    fields = {key: value for key, value in config.items() if key not in NOT_SHAPE}
    model = CLIPTextModel(CLIPTextConfig(**fields)).float()
    inner = inner_model(model)
    given = {key.removeprefix(PREFIX): value for key, value in state_dict.items()}
    given = {key: value for key, value in given.items() if not key.endswith(UNUSED)}
    wanted = {key: value for key, value in inner.state_dict().items() if not key.endswith(UNUSED)}
    missing, unknown = sorted(wanted.keys() - given.keys()), sorted(given.keys() - wanted.keys())
    if missing or unknown:
        parts = [
            f"{len(names)} {what} (first: {names[0]})"
            for what, names in (("missing", missing), ("unknown", unknown))
            if names
        ]
        raise DiffilmError(
            f"text encoder's tensors do not fit its configuration: {', '.join(parts)}; "
            "give a CLIP text encoder in transformers' names and the config of that file"
        )
    for key, value in wanted.items():
        if given[key].shape != value.shape:
            raise DiffilmError(
                f"text encoder tensor {key} has shape {tuple(given[key].shape)}, its "
                f"configuration wants {tuple(value.shape)}; give the config of that file"
            )
    inner.load_state_dict(given, strict=False)
    return model


@lru_cache(maxsize=1)
def clip_tokenizer() -> Any:
    """The tokenizer of CLIP and OpenCLIP, from OpenAI's byte-pair merges: 256 bytes, each alone and at a word's end,
    then the merges in their order, then the start and end tokens."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    merges = gzip.decompress(MERGES.read_bytes()).decode("utf-8").split("\n")
    letters = list(bytes_to_unicode().values())
    words = [*letters, *(letter + WORD_END for letter in letters), *(merge.replace(" ", "") for merge in merges)]
    vocabulary = {word: index for index, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
        Path(folder, "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
        return load_tokenizer(folder)


def load_tokenizer(folder: str | Path) -> Any:
    """transformers' CLIPTokenizer from vocab.json and merges.txt, without the network.

    The one that tokenizers back: transformers 4 has another besides, which drops accents where ftfy is not installed.
    """
    from transformers import CLIPTokenizerFast  # type: ignore[attr-defined]

    folder = Path(folder)
    for name in ("vocab.json", "merges.txt"):
        if not (folder / name).is_file():
            raise DiffilmError(
                f"no tokenizer in {folder}: {name} is not there; the folder must hold vocab.json and merges.txt"
            )
    return CLIPTokenizerFast.from_pretrained(str(folder), local_files_only=True)
