"""Proves that prompts become exactly transformers' hidden states, and that long prompts lose no token."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffilm_core import DiffilmError
from diffilm_core.text import PromptTokenizer, TextEncoder
from diffilm_core.text.windows import pack

transformers = pytest.importorskip("transformers")

START, END = "<|startoftext|>", "<|endoftext|>"
MERGES = ["f o", "fo x</w>", "s n", "o w</w>", "sn ow</w>", "t h", "th e</w>", "i n</w>"]


def write_tokenizer(folder: Path) -> Path:
    """A byte-pair vocabulary of CLIP's layout: 256 bytes, the same closing a word, merges, two specials."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = list(bytes_to_unicode().values())
    vocab = [
        *letters,
        *(letter + "</w>" for letter in letters),
        *(m.replace(" ", "") for m in MERGES),
        START,
        END,
    ]
    folder.mkdir(exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(vocab)}), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(MERGES) + "\n", "utf-8")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return {
        "vocab_size": 522,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "max_position_embeddings": 16,
        "hidden_act": "quick_gelu",
        "bos_token_id": 520,
        "eos_token_id": 521,
        "pad_token_id": 521,
    }


@pytest.fixture(scope="module")
def model(config: dict[str, Any]) -> Any:
    torch.manual_seed(3)
    model = transformers.CLIPTextModel(transformers.CLIPTextConfig(**config)).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    return transformers.CLIPTokenizer.from_pretrained(str(folder))


def reference_ids(tokenizer: Any, prompt: str, window: int) -> torch.Tensor:
    return tokenizer(prompt, padding="max_length", max_length=window, return_tensors="pt").input_ids


@pytest.mark.parametrize("prompt", ["", "the fox in the snow", "Snow"])
def test_short_prompt_is_transformers_last_hidden_state(model: Any, tokenizer: Any, prompt: str) -> None:
    out = TextEncoder(model, tokenizer).encode([prompt])
    want = model(reference_ids(tokenizer, prompt, 16)).last_hidden_state
    assert out.shape == (1, 16, 32)
    assert torch.equal(out, want)


def test_numbers_do_not_depend_on_the_other_prompts(model: Any, tokenizer: Any) -> None:
    encoder = TextEncoder(model, tokenizer)
    long = "the fox in the snow " * 6
    both = encoder.encode(["fox", long])
    assert both.shape[1] > 16 and both.shape[1] % 16 == 0
    assert torch.equal(both[:1, :16], encoder.encode(["fox"]))
    assert torch.equal(both[1:], encoder.encode([long]))
    assert torch.equal(both[0, 16:32], encoder.encode([""])[0])


def test_layer_before_the_last_equals_a_model_cut_short(config: dict[str, Any], model: Any, tokenizer: Any) -> None:
    """As reference/models: OpenCLIP's penultimate layer with the final norm is a model of one layer less."""
    short = transformers.CLIPTextModel(transformers.CLIPTextConfig(**{**config, "num_hidden_layers": 2})).eval()
    short.load_state_dict({k: v for k, v in model.state_dict().items() if "layers.2." not in k})
    out = TextEncoder(model, tokenizer, layer=-2).encode(["the fox"])
    assert torch.equal(out, short(reference_ids(tokenizer, "the fox", 16)).last_hidden_state)
    assert not torch.allclose(out, TextEncoder(model, tokenizer).encode(["the fox"]))


def test_padding_is_the_end_token_or_zero(tokenizer: Any) -> None:
    end = tokenizer.eos_token_id
    assert PromptTokenizer(tokenizer, 6).windows("fox")[0][2:] == [end] * 4
    assert PromptTokenizer(tokenizer, 6, pad=0).windows("fox")[0][2:] == [end, 0, 0, 0]


def test_long_prompt_is_the_joined_windows(model: Any, tokenizer: Any) -> None:
    encoder = TextEncoder(model, tokenizer)
    first, second = " ".join(["fox"] * 14), "the snow"
    out = encoder.encode([f"{first} {second}"])
    assert torch.equal(out, torch.cat([encoder.encode([first]), encoder.encode([second])], dim=1))
    assert encoder.count(f"{first} {second}") == 16


def test_words_stay_whole_and_tokens_fill(tokenizer: Any) -> None:
    prompt = "fox fox badger"  # badger: six tokens
    words = PromptTokenizer(tokenizer, 8).windows(prompt)
    assert [tokenizer.decode(w, skip_special_tokens=True).strip() for w in words] == ["fox fox", "badger"]
    tokens = PromptTokenizer(tokenizer, 8, split="tokens").windows(prompt)
    assert tokens[0][-1] == tokenizer.eos_token_id and tokens[0][1:-1] == tokenizer(prompt).input_ids[1:7]


def test_word_longer_than_a_window_fills_several(tokenizer: Any) -> None:
    cutter = PromptTokenizer(tokenizer, 6)
    bodies = [w[1:5] for w in cutter.windows("x" * 11)]
    assert [t for b in bodies for t in b if t != cutter.end] == cutter.tokens("x" * 11)
    assert len(bodies) == 3


@given(st.lists(st.lists(st.integers(), min_size=1, max_size=9), max_size=20), st.integers(1, 6))
def test_pack_keeps_order_and_room(words: list[list[int]], room: int) -> None:
    bodies = pack(words, room)
    assert [t for b in bodies for t in b] == [t for w in words for t in w]
    assert all(len(b) <= room for b in bodies)
    assert bodies == [[]] or all(bodies)


@settings(max_examples=60, deadline=None)
@given(prompt=st.text(max_size=80))
@pytest.mark.parametrize("split", ["words", "tokens"])
def test_any_prompt_loses_no_token(tokenizer: Any, split: Any, prompt: str) -> None:
    cutter = PromptTokenizer(tokenizer, 9, split=split)
    windows = cutter.windows(prompt)
    assert all(len(w) == 9 and w[0] == cutter.start and cutter.end in w for w in windows)
    want = tokenizer(prompt.encode("utf-8", "replace").decode()).input_ids[1:-1]
    if cutter.end not in want:
        assert [t for w in windows for t in w[1 : w.index(cutter.end)]] == want


@pytest.mark.parametrize("prefix", ["", "text_model."])
def test_from_parts_takes_both_names(model: Any, config: dict[str, Any], folder: Path, prefix: str) -> None:
    inner = getattr(model, "text_model", model)
    state = {prefix + key: value.half() for key, value in inner.state_dict().items()}
    state[f"{prefix}embeddings.position_ids"] = torch.arange(16)[None]
    state["text_projection.weight"] = torch.zeros(4, 32)
    encoder = TextEncoder.from_parts(state, config, folder, layer=-1)
    inner.load_state_dict({k: v.half().float() for k, v in inner.state_dict().items()})
    assert encoder.window == 16 and encoder.width == 32
    assert torch.equal(encoder.encode(["the fox"]), TextEncoder(model, encoder.tokenizer).encode(["the fox"]))


def test_parts_that_do_not_fit_are_named(model: Any, config: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    state = dict(getattr(model, "text_model", model).state_dict())
    with pytest.raises(DiffilmError, match=r"shape \(16, 32\).*wants \(20, 32\)"):
        TextEncoder.from_parts(state, {**config, "max_position_embeddings": 20}, folder)
    with pytest.raises(DiffilmError, match=r"missing \(first: final_layer_norm\.bias\)"):
        TextEncoder.from_parts({k: v for k, v in state.items() if k != "final_layer_norm.bias"}, config, folder)
    with pytest.raises(DiffilmError, match=r"vocab\.json"):
        TextEncoder.from_parts(state, config, tmp_path)


def test_wrong_options_are_refused(model: Any, tokenizer: Any) -> None:
    for options in ({"layer": 0}, {"layer": -4}, {"window": 17}, {"window": 2}, {"split": "letters"}):
        with pytest.raises(DiffilmError):
            TextEncoder(model, tokenizer, **options)
    with pytest.raises(DiffilmError, match="no prompt"):
        TextEncoder(model, tokenizer).encode([])
