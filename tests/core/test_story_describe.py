"""Proves that a film is described shot by shot, and that local captioning models of each kind are loaded and asked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffilm_core import DiffilmError
from diffilm_core.frames import from_tensor
from diffilm_core.story import Storyboard
from diffilm_core.story.describe import chosen, describe, load_captioner, matches, merged, prose

NAMES = ("red", "green", "blue")


class Colours:
    """Says which colour it sees, and how many frames."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def caption(self, frames: torch.Tensor) -> str:
        self.seen.append(frames.shape[0])
        channels = {int(frame.mean((0, 1)).argmax()) for frame in frames}
        assert len(channels) == 1, "frames of two shots"
        return f"a picture of a {NAMES[channels.pop()]} wall"


def film(lengths: tuple[int, ...], colours: tuple[int, ...]):
    frames = torch.zeros(sum(lengths), 4, 6, 3)
    cuts, at = [], 0
    for length, colour in zip(lengths, colours, strict=True):
        frames[at : at + length, ..., colour] = 1
        at += length
        cuts.append(at)
    return from_tensor(frames, 8, cuts=cuts[:-1])


def test_each_shot_is_described_from_its_own_frames() -> None:
    captioner, seen = Colours(), []
    made = describe(film((9, 1, 16), (0, 1, 2)), captioner, progress=lambda *what: seen.append(what))
    assert made.text == "A red wall. A green wall. A blue wall."
    assert captioner.seen == [3, 1, 3]
    assert [(shot.start, shot.end, shot.seconds) for shot in made.shots] == [
        (0, 9, (0.0, 1.125)), (9, 10, (1.125, 1.25)), (10, 26, (1.25, 3.25)),
    ]  # fmt: skip
    assert [what[:3] for what in seen] == [("describe", done, 3) for done in (1, 2, 3)]
    assert made.to_dict()["shots"][1]["frames"] == [9, 10]


def test_a_description_films_again() -> None:
    board = describe(film((8, 8, 4), (0, 0, 2)), Colours()).storyboard()
    assert [shot.prompt for shot in board.shots] == ["A red wall", "A red wall", "A blue wall"]
    assert [shot.duration for shot in board.shots] == [1, 1, 0.5]
    assert [shot.span for shot in board.shots] == [(0, 11), (0, 0), (12, 24)]


@given(st.integers(0, 50), st.integers(1, 60), st.integers(1, 9))
def test_chosen_frames_lie_in_the_shot(start: int, length: int, count: int) -> None:
    frames = chosen(start, start + length, count)
    assert len(frames) == len(set(frames)) == min(count, length) and frames == sorted(frames)
    assert start <= frames[0] and frames[-1] < start + length


def test_captions_as_prose() -> None:
    assert prose(["there is a fox.", "A fox", "is it night?", " "]) == "A fox. Is it night? Nothing to be seen."
    assert merged(["a dog", "a fox in snow", "a fox in the snow"]) == "a fox in snow"


def test_a_film_is_held_against_its_story() -> None:
    shots = [{"prompt": "the red walls", "duration": 2}, {"prompt": "a green wall"}, {"prompt": "a fox at a wall"}]
    board = Storyboard.from_json({"version": 1, "shots": shots})
    found = describe(film((16, 16, 16), (0, 1, 2)), Colours())
    assert matches(found, board) == [1.0, 1.0, 0.5]
    assert matches(describe(film((32, 32, 32), (0, 1, 2)), Colours()), board) == [1.0, 1.0, 0.5]
    assert matches(describe(film((48,), (2,)), Colours()), board) == [0.5, 0.5, 0.5]


def test_no_frames_are_refused() -> None:
    with pytest.raises(DiffilmError, match="at least 1"):
        describe(film((2,), (0,)), Colours(), frames=0)


WORDS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[ENC]", "[DEC]", "a", "fox", "in", "the", "snow"]


def tokenizer(folder: Path):
    from transformers import BertTokenizer

    vocab = folder / "vocab.txt"
    vocab.write_text("\n".join(WORDS))
    return BertTokenizer(str(vocab), bos_token="[CLS]", eos_token="[SEP]")


def blip(folder: Path) -> None:
    from transformers import BlipConfig, BlipForConditionalGeneration, BlipImageProcessor, BlipProcessor

    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": 1, "eos_token_id": 2, "sep_token_id": 2, "pad_token_id": 0}
    text = {**small, **ends, "vocab_size": len(WORDS), "encoder_hidden_size": 16, "projection_dim": 8}
    vision = {**small, "image_size": 16, "patch_size": 8, "projection_dim": 8}
    model = BlipForConditionalGeneration(BlipConfig(text_config=text, vision_config=vision, projection_dim=8))
    model.save_pretrained(folder)
    size = {"height": 16, "width": 16}
    BlipProcessor(BlipImageProcessor(size=size), tokenizer(folder)).save_pretrained(folder)


def git_video(folder: Path) -> None:
    from transformers import CLIPImageProcessor, GitConfig, GitForCausalLM, GitProcessor

    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = {**small, "image_size": 16, "patch_size": 8}
    config = GitConfig(
        vision_config=vision, vocab_size=len(WORDS), num_image_with_embedding=2, bos_token_id=1, eos_token_id=2,
        pad_token_id=0, max_position_embeddings=128, **small,
    )  # fmt: skip
    GitForCausalLM(config).save_pretrained(folder)
    size = {"height": 16, "width": 16}
    GitProcessor(CLIPImageProcessor(size=size, crop_size=size), tokenizer(folder)).save_pretrained(folder)


def vit_gpt2(folder: Path) -> None:
    from transformers import GPT2Config, VisionEncoderDecoderConfig, VisionEncoderDecoderModel, ViTConfig
    from transformers import ViTImageProcessor as Processor

    small = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    vit = ViTConfig(**small, image_size=16, patch_size=8)
    gpt = GPT2Config(n_embd=16, n_layer=1, n_head=2, vocab_size=len(WORDS), bos_token_id=1, eos_token_id=2)
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(vit, gpt, decoder_start_token_id=1, pad_token_id=0)
    model = VisionEncoderDecoderModel(config)
    model.generation_config.decoder_start_token_id, model.generation_config.pad_token_id = 1, 0
    model.generation_config.eos_token_id = 2
    model.save_pretrained(folder)
    Processor(size={"height": 16, "width": 16}).save_pretrained(folder)
    tokenizer(folder).save_pretrained(folder)


@pytest.mark.parametrize("make", [blip, git_video, vit_gpt2])
def test_local_models_caption(make, tmp_path: Path) -> None:
    """Random weights: what it says is nonsense of its own words, and the same each time."""
    torch.manual_seed(0)
    make(tmp_path)
    captioner = load_captioner(tmp_path, device="cpu", words=4)
    frames = torch.rand(3, 20, 30, 3, generator=torch.Generator().manual_seed(1))
    words = captioner.caption(frames)
    assert words == captioner.caption(frames)
    assert set(words.split()) <= set(WORDS) and len(words.split()) <= 8
    describe(from_tensor(frames, 8), captioner)


def test_models_that_chat_see_all_frames_and_answer_only() -> None:
    """The path alone: a processor and a model that note what they are given."""
    from types import SimpleNamespace

    from diffilm_core.story.captioner import ASK, TransformersCaptioner

    asked = []

    class Processor:
        chat_template = "yes"

        def apply_chat_template(self, messages, **options):
            asked.append((messages, options))
            return {"input_ids": torch.tensor([[5, 6, 7]])}

    def generate(input_ids, **options):
        assert options == {"max_new_tokens": 80, "do_sample": False}
        return torch.cat([input_ids, torch.tensor([[8, 9]])], 1)

    captioner = object.__new__(TransformersCaptioner)
    captioner.device, captioner.tokens, captioner.frames_together, captioner.chats = torch.device("cpu"), 80, 0, True
    captioner.processor, captioner.model = Processor(), SimpleNamespace(generate=generate)
    captioner.tokenizer = SimpleNamespace(decode=lambda ids, skip_special_tokens: f" said {ids.tolist()} ")
    assert captioner.caption(torch.rand(3, 4, 4, 3)) == "said [8, 9]"
    content = asked[0][0][0]["content"]
    assert [item["type"] for item in content] == ["image", "image", "image", "text"] and content[-1]["text"] == ASK
    assert asked[0][1]["add_generation_prompt"]


def test_wrong_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(DiffilmError, match=r"no config\.json there"):
        load_captioner(tmp_path / "none")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(DiffilmError, match="cannot be loaded"):
        load_captioner(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(DiffilmError, match="cannot be loaded"):
        load_captioner(tmp_path)
