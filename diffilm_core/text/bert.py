"""BERT's sentence vectors (Devlin et al. 2019) through transformers: the captions of Video Diffusion Models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import DiffilmError

NAME = "bert-base-cased"
FILES = "config.json, vocab.txt, tokenizer_config.json and model.safetensors"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
ADVICE = (
    f"put {FILES} of huggingface.co/google-bert/{NAME} (436 MB, Apache-2.0) there; `diffilm fetch {NAME}` brings them"
)
UNUSED = ("cls.", "pooler.", "embeddings.position_ids")


class BertEncoder:
    """Captions to one vector each, `(b, 1, d)`: the mean over their tokens, [CLS] left out, padding too.

    model: transformers BertModel; tokenizer: BertTokenizer. cls: the [CLS] vector instead, which
    video-diffusion-pytorch trains with when `text_use_bert_cls` is set.
    """

    def __init__(self, model: Any, tokenizer: Any, *, cls: bool = False) -> None:
        self.model = model.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.cls = cls

    @property
    def width(self) -> int:
        """d of encode()."""
        return int(self.model.config.hidden_size)

    @property
    def longest(self) -> int:
        """Tokens of a caption, [CLS] and [SEP] included."""
        return int(self.model.config.max_position_embeddings)

    def to(self, *args: Any, **kwargs: Any) -> BertEncoder:
        """Move the model as nn.Module.to does; returns itself."""
        self.model.to(*args, **kwargs)
        return self

    @torch.no_grad()
    def encode(self, captions: Sequence[str]) -> Tensor:
        """Float32 `(b, 1, d)`. Each caption runs alone, so that its numbers do not depend on what else is in the list.

        Raises DiffilmError for no caption, or one of more tokens than the encoder has positions.
        """
        captions = [captions] if isinstance(captions, str) else captions
        if not captions:
            raise DiffilmError("no caption to encode: the list is empty; give at least one string")
        return torch.stack([self._encode(caption) for caption in captions])

    def _encode(self, caption: str) -> Tensor:
        ids = self.tokenizer(caption.encode("utf-8", "replace").decode("utf-8"))["input_ids"]
        if len(ids) > self.longest:
            raise DiffilmError(
                f"a caption of {len(ids)} tokens: this BERT takes at most {self.longest}; use fewer words"
            )
        device = next(self.model.parameters()).device
        hidden = self.model(torch.tensor([ids], device=device)).last_hidden_state[0].float()
        return hidden[:1] if self.cls else hidden[1:].mean(dim=0, keepdim=True)


def load_bert(folder: str | Path, *, cls: bool = False) -> BertEncoder:
    """A BERT from its folder, in float32, without the network.

    The weights may be in the names of BertModel or of the pre-training model (`bert.`, `gamma`, `beta`). Raises
    DiffilmError naming what the folder lacks.
    """
    from transformers import BertConfig, BertModel, BertTokenizer

    folder = Path(folder)
    settings = _json(folder, "config.json")
    if settings.get("model_type", "bert") != "bert":
        raise DiffilmError(f"{folder} holds a {settings['model_type']} model, expected BERT: {ADVICE}")
    if not (folder / "vocab.txt").is_file():
        raise DiffilmError(f"no BERT vocabulary in {folder}: vocab.txt is not there; {ADVICE}")
    model = BertModel(BertConfig(**settings), add_pooling_layer=False)
    fill_bert(model, _tensors(folder), folder)
    words = _json(folder, "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    lower = bool(words.get("do_lower_case", False))
    tokenizer = BertTokenizer.from_pretrained(str(folder), local_files_only=True, do_lower_case=lower)
    return BertEncoder(model, tokenizer, cls=cls)


def fill_bert(model: Any, tensors: Mapping[str, Tensor], folder: Path) -> None:
    """Every tensor into the model; DiffilmError where one is missing or of another shape."""
    given = {}
    for name, value in tensors.items():
        name = name.removeprefix("bert.")
        name = name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
        if not name.startswith(UNUSED):
            given[name] = value
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items() if not name.startswith(UNUSED)}
    wrong = [name for name, shape in wanted.items() if name not in given or tuple(given[name].shape) != shape]
    wrong += sorted(given.keys() - wanted.keys())
    if wrong:
        raise DiffilmError(
            f"BERT in {folder}: {len(wrong)} tensors do not fit its config.json (first: {wrong[0]}); {ADVICE}"
        )
    model.load_state_dict(given, strict=False)


def _tensors(folder: Path) -> dict[str, Tensor]:
    from ..checkpoints.files import read_tensors

    for name in WEIGHTS:
        if (folder / name).is_file():
            return read_tensors(folder / name)[0]
    raise DiffilmError(f"no BERT weights in {folder}: neither {' nor '.join(WEIGHTS)} is there; {ADVICE}")


def _json(folder: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads((folder / name).read_text("utf-8"))
    except FileNotFoundError as error:
        raise DiffilmError(f"no BERT in {folder}: {name} is not there; {ADVICE}") from error
    except (OSError, ValueError) as error:
        raise DiffilmError(f"{folder / name} cannot be read ({error}): get it again") from error
    if not isinstance(found, dict):
        raise DiffilmError(f"{folder / name} is no JSON object: get it again")
    return found
