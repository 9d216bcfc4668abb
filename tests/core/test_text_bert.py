"""Proves that captions become BERT's masked mean without [CLS], from a folder that is checked first."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from diffilm_core.errors import DiffilmError
from diffilm_core.text.bert import load_bert
from tests.published.vdm import WIDTH, write_bert

CAPTIONS = ["A fox in the Snow", "fox", ""]


def published_mean(bert: object, captions: list[str], cls: bool) -> torch.Tensor:
    """bert_embed of video-diffusion-pytorch: padded together, masked, the first token left out."""
    batch = bert.tokenizer(captions, padding=True, return_tensors="pt")
    mask = batch["input_ids"] != 0
    with torch.no_grad():
        hidden = bert.model(input_ids=batch["input_ids"], attention_mask=mask).last_hidden_state
    if cls:
        return hidden[:, 0]
    mask = mask[:, 1:, None]
    return (hidden[:, 1:] * mask).sum(dim=1) / (mask.sum(dim=1) + 1e-8)


@pytest.mark.parametrize("cls", [False, True])
@pytest.mark.parametrize("pretraining", [False, True])
def test_a_caption_is_the_masked_mean(tmp_path: Path, cls: bool, pretraining: bool) -> None:
    bert = load_bert(write_bert(tmp_path, pretraining=pretraining), cls=cls)
    found = bert.encode(CAPTIONS)
    assert found.shape == (3, 1, WIDTH) and bert.width == WIDTH
    wanted = published_mean(bert, CAPTIONS, cls)
    assert float((found[:, 0] - wanted).abs().max() / wanted.abs().max()) <= 1e-5
    assert torch.equal(bert.encode([CAPTIONS[1]])[0], found[1])


def test_upper_and_lower_case_are_told_apart(tmp_path: Path) -> None:
    bert = load_bert(write_bert(tmp_path))
    assert not torch.equal(bert.encode(["Snow"]), bert.encode(["snow"]))
    (tmp_path / "tokenizer_config.json").unlink()
    assert torch.equal(load_bert(tmp_path).encode(["Snow"]), bert.encode(["Snow"]))


@pytest.mark.parametrize("missing", ["config.json", "vocab.txt", "model.safetensors"])
def test_a_folder_that_lacks_a_file_is_told(tmp_path: Path, missing: str) -> None:
    (write_bert(tmp_path) / missing).unlink()
    with pytest.raises(DiffilmError, match=r"bert-base-cased \(436 MB, Apache-2.0\)") as told:
        load_bert(tmp_path)
    assert missing in str(told.value) and "\n" not in str(told.value)


def test_weights_of_another_shape_are_told(tmp_path: Path) -> None:
    write_bert(tmp_path)
    config = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(config.replace('"intermediate_size": 48', '"intermediate_size": 56'))
    with pytest.raises(DiffilmError, match="tensors do not fit"):
        load_bert(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(DiffilmError, match="holds a t5 model"):
        load_bert(tmp_path)


def test_a_caption_longer_than_bert_is_told(tmp_path: Path) -> None:
    bert = load_bert(write_bert(tmp_path))
    assert bert.encode(["fox " * 38]).shape == (1, 1, WIDTH)
    with pytest.raises(DiffilmError, match="41 tokens: this BERT takes at most 40"):
        bert.encode(["fox " * 39])
