"""Proves the training data: held-out pairs stay out, seeds decide everything, captions are true, the
tokenizer round-trips.
"""

from __future__ import annotations

import re
from dataclasses import fields
from random import Random

import pytest
import torch

from diffilm_core.errors import DiffilmError
from diffilm_core.training.captions import caption, captions
from diffilm_core.training.emoji import SpriteBank
from diffilm_core.training.places import PLACES, TIMES, WEATHERS
from diffilm_core.training.render import SceneRenderer
from diffilm_core.training.scenes import SceneBatch, heldout_pairs, heldout_prompts, sample_scenes
from diffilm_core.training.tokenizer import train_tokenizer
from diffilm_core.training.vocabulary import OBJECTS, object_by_name, with_article
from tests.sprites import disc_bank


@pytest.fixture(scope="module")
def bank() -> SpriteBank:
    return disc_bank()


@pytest.fixture(scope="module")
def renderer(bank: SpriteBank) -> SceneRenderer:
    return SceneRenderer(bank, size=32, variants=1)


def pairs_in(scenes: SceneBatch) -> set[tuple[int, int]]:
    both = torch.cat([scenes.object, scenes.other]), scenes.place.repeat(2)
    return {(o, p) for o, p in zip(*(c.tolist() for c in both), strict=True) if o >= 0}


def test_vocabulary_has_enough_distinct_objects_and_places() -> None:
    assert len(OBJECTS) >= 250 and len(PLACES) >= 10
    assert len({o.code for o in OBJECTS}) == len(OBJECTS)
    names = [name for o in OBJECTS for name in o.names]
    assert len(set(names)) == len(names), "a word means one object"
    assert object_by_name()["puppy"] == object_by_name()["dog"]


@pytest.mark.parametrize(
    "name, some, said",
    [("fox", False, "a fox"), ("owl", False, "an owl"), ("unicorn", False, "a unicorn"), ("milk", True, "some milk")],
)
def test_articles(name: str, some: bool, said: str) -> None:
    assert with_article(name, some) == said


@pytest.mark.parametrize("clips", [False, True])
def test_heldout_pairs_are_never_composed_in_training(clips: bool) -> None:
    held = heldout_pairs()
    assert 0.05 < len(held) / (len(OBJECTS) * len(PLACES)) < 0.15
    seen = pairs_in(sample_scenes(20_000, seed=3, clips=clips))
    assert len(seen) > 0.9 * (len(OBJECTS) * len(PLACES) - len(held))
    assert not seen & held
    assert not {(o, p) for o, p in held if OBJECTS[o].noun in PLACES[p].shows}, "no backdrop shows what is held out"
    assert {noun for p in PLACES for noun in p.shows} <= {o.noun for o in OBJECTS}
    first = sample_scenes(5_000, seed=3, split="heldout")
    assert set(zip(first.object.tolist(), first.place.tolist(), strict=True)) <= held


def test_heldout_prompts_are_fixed_and_even() -> None:
    prompts = heldout_prompts(200)
    assert prompts == heldout_prompts(200) and len({o for _, o, _ in prompts}) == 200
    assert all((o, p) in heldout_pairs() for _, o, p in prompts)
    counts = [sum(place == p.id for _, _, place in prompts) for p in PLACES]
    assert max(counts) - min(counts) <= 1
    for text, thing, place in prompts:
        assert OBJECTS[thing].noun in text and PLACES[place].where[0] in text
    with pytest.raises(DiffilmError, match="held-out prompts"):
        heldout_prompts(100_000)


def test_scenes_depend_on_the_seed_alone_and_fewer_are_the_first_of_more() -> None:
    many, few, other = sample_scenes(300, seed=5), sample_scenes(40, seed=5), sample_scenes(40, seed=6)
    for field in fields(SceneBatch):
        assert torch.equal(getattr(many, field.name)[:40], getattr(few, field.name)), field.name
    assert not torch.equal(few.object, other.object)
    assert captions(many, seed=1) == captions(sample_scenes(300, seed=5), seed=1) != captions(many, seed=2)


def test_shares_of_pairs_and_subjects() -> None:
    mixed = sample_scenes(4000, seed=9)
    assert 0.20 < (mixed.other >= 0).float().mean() < 0.29
    assert 0.01 < (mixed.object < 0).float().mean() < 0.06
    assert bool((sample_scenes(500, seed=9, subjects=1).objects[:, 1] < 0).all())
    two = sample_scenes(500, seed=9, subjects=2).objects
    assert bool((two >= 0).all()) and bool((two[:, 0] != two[:, 1]).all())
    with pytest.raises(DiffilmError, match="split"):
        sample_scenes(1, seed=0, split="test")


def test_subjects_are_in_the_frame_and_large() -> None:
    scenes = sample_scenes(4000, seed=2, subjects=1)
    assert bool((scenes.foot - scenes.size > 0).all()) and bool((scenes.foot < 1).all())
    assert scenes.size.min() > 0.3 and scenes.size.max() < 0.8
    rooms = torch.tensor([p.indoors or p.water == "under" for p in PLACES])[scenes.place]
    assert bool((scenes.weather[rooms] == 0).all())


_TELLS = {
    ("time", TIMES.index("night")): r"\b(night|at night|stars|moonlight|moonlit|in the dark|dark)\b|under the moon\b",
    (
        "time",
        TIMES.index("sunset"),
    ): r"\b(sunset|evening|dusk|sun went down|sun sets|sun was setting|golden)\b|orange sky",
    ("time", TIMES.index("day")): r"\b(by day|daytime|sunshine|blue sky|sunny day|morning|sunny|bright day)\b",
    ("weather", WEATHERS.index("rain")): r"\b(rain|rained|raining|rainy)\b",
    (
        "weather",
        WEATHERS.index("snow"),
    ): r"\b(snowed|snowing|snowstorm|snowflakes|falling snow|snow fell|snow was falling)\b",
    ("weather", WEATHERS.index("fog")): r"\b(fog|foggy|mist|misty)\b",
}


def test_captions_state_only_what_is_true() -> None:
    scenes = sample_scenes(6000, seed=11)
    named = {"golden crown", "golden cup", "golden key", "golden bell", "golden star"}
    told = dict.fromkeys(_TELLS, 0)
    for i, text in enumerate(captions(scenes, seed=4)):
        low = text.lower()
        for name in named:
            low = low.replace(name, "")
        place = PLACES[int(scenes.place[i])]
        spoken = re.sub(r"snowy (field|mountains)", "", low)
        for (fact, value), pattern in _TELLS.items():
            if re.search(pattern, spoken):
                told[fact, value] += 1
                assert place.has_time or fact != "time", text
                assert int(getattr(scenes, fact)[i]) == value, (text, fact, value)
        assert any(_plain(w) & _plain(low) for w in (*place.where, *place.nouns)), (text, place.name)
        subject = int(scenes.object[i])
        if subject >= 0:
            assert any(name in text.lower() for name in OBJECTS[subject].names), (text, OBJECTS[subject].noun)
    assert min(told.values()) > 100


def _plain(phrase: str) -> set[str]:
    return set(re.findall(r"[a-z]+", phrase)) - {
        "in",
        "the",
        "a",
        "on",
        "of",
        "at",
        "by",
        "with",
        "high",
        "up",
        "big",
        "deep",
        "little",
    }


def test_a_caption_of_one_scene() -> None:
    scenes = sample_scenes(4, seed=1, subjects=1)
    assert caption(scenes, 2, Random(3)) == caption(scenes, 2, Random(3))


def test_render_shapes_and_chunks(renderer: SceneRenderer) -> None:
    scenes = sample_scenes(7, seed=8)
    whole = renderer.render(scenes)
    assert whole.shape == (7, 3, 32, 32) and whole.dtype == torch.uint8
    assert torch.equal(whole, renderer.render(scenes, chunk=2))
    assert torch.equal(whole[3:5], renderer.render(scenes[3:5]))
    assert torch.equal(whole, renderer.render(sample_scenes(7, seed=8)))


def test_clips_are_functions_of_seconds(renderer: SceneRenderer) -> None:
    scenes = sample_scenes(5, seed=8, clips=True)
    fps = torch.tensor([4.0, 8.0, 8.0, 12.0, 24.0])
    clips = renderer.render_clips(scenes, frames=5, fps=fps)
    assert clips.shape == (5, 3, 5, 32, 32)
    assert torch.equal(clips, renderer.render_clips(scenes, frames=5, fps=fps, chunk=1))
    assert torch.equal(clips[:, :, 2], renderer.render(scenes)), "the middle frame is the still"
    fine = renderer.render_clips(scenes, frames=9, fps=fps * 2)
    difference = (fine[:, :, ::2].float() - clips.float()).abs()
    assert difference.mean() < 0.1, "twice the frame rate shows the same seconds"
    steps = (clips[:, :, 1:].float() - clips[:, :, :-1].float()).abs().mean((1, 2, 3, 4))
    assert bool((steps > 0.05).all()), "every clip moves"


def test_held_weather_changes_the_picture(renderer: SceneRenderer) -> None:
    scenes = sample_scenes(64, seed=21)
    open_air = scenes[(scenes.place == 0).nonzero()[:, 0][:1]]
    seen = []
    for weather in range(len(WEATHERS)):
        values = {f.name: getattr(open_air, f.name) for f in fields(SceneBatch)}
        seen.append(renderer.render(SceneBatch(**{**values, "weather": torch.full_like(open_air.weather, weather)})))
    assert len({picture.numpy().tobytes() for picture in seen}) == len(WEATHERS)


def test_a_missing_bank_says_what_to_do(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DiffilmError, match="fetch_data"):
        SpriteBank.load(tmp_path / "none.safetensors")


@pytest.fixture(scope="module")
def shipped():  # type: ignore[no-untyped-def]
    from pathlib import Path

    from transformers import CLIPTokenizer

    import diffilm_core

    return CLIPTokenizer.from_pretrained(Path(diffilm_core.__file__).parent / "assets" / "tokenizer")


def test_shipped_tokenizer_knows_the_words_and_fits_the_window(shipped) -> None:  # type: ignore[no-untyped-def]
    texts = captions(sample_scenes(500, seed=30), seed=30)
    ids = shipped(texts)["input_ids"]
    assert max(map(len, ids)) <= 32
    assert all(row[0] == shipped.bos_token_id == len(shipped) - 2 for row in ids)
    assert all(row[-1] == shipped.eos_token_id == len(shipped) - 1 for row in ids)
    nouns = [o.noun for o in OBJECTS if re.fullmatch(r"[a-z]+", o.noun)]
    assert all(len(shipped.tokenize(noun)) == 1 for noun in nouns)
    for text in [*texts[:50], "Übergröße, “naïve” 1234!"]:
        back = shipped.decode(shipped(text)["input_ids"], skip_special_tokens=True)
        assert re.sub(r"\s", "", back) == re.sub(r"\s", "", text.lower())


def test_training_a_tokenizer(tmp_path) -> None:  # type: ignore[no-untyped-def]
    from transformers import CLIPTokenizer

    texts = captions(sample_scenes(300, seed=31), seed=31)
    tokenizer = CLIPTokenizer.from_pretrained(train_tokenizer(texts, tmp_path / "t", size=900))
    assert len(tokenizer) <= 900
    assert tokenizer.tokenize("the forest") == ["the</w>", "forest</w>"]
    assert tokenizer("the forest")["input_ids"][0] == len(tokenizer) - 2
