"""Proves that prompts name their subject, fit their encoder by its own tokenizer, and lose what matters least first."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from diffilm_core.bundle import TOKENIZER
from diffilm_core.errors import DiffilmError
from diffilm_core.story.filming import split_story
from diffilm_core.story.phrases import article, gerund, head_noun, spot, unsaid, weathered, when, where
from diffilm_core.story.prompts import (
    PHRASINGS,
    Act,
    Figure,
    Picture,
    own_words,
    phrasing_of,
    prompt_of,
    token_counter,
    unresolved_subject,
)
from diffilm_core.story.styles import STYLES, style_of
from diffilm_core.text.clip import clip_tokenizer, load_tokenizer

TOKENIZERS = {"plain": load_tokenizer(TOKENIZER), "tags": clip_tokenizer()}

MOUSE = Figure("the mouse", "a small grey mouse with one torn ear")
CAT = Figure("Tom", "Tom, a fat cat,")
SCENE = Picture(
    acts=(Act("runs after a ball", (MOUSE,), "run"), Act("sleeps", (CAT,), "sleep")),
    others=(Figure("the owl", "an owl"),), place="kitchen", time="night", weather="rain", camera="tracking shot",
    style="ink",
)  # fmt: skip


def test_phrasings_of_one_picture() -> None:
    """Subject first, then what it does, where, when, camera, style last. No weather in a room."""
    body = "mall grey mouse with one torn ear"
    assert prompt_of(SCENE, PHRASINGS["sentence"]) == (
        f"A s{body} runs after a ball and Tom, a fat cat, sleeps with an owl in the kitchen at night, "
        "tracking shot, ink"
    )
    assert prompt_of(SCENE, PHRASINGS["tags"]) == (
        f"a s{body}, running after a ball, Tom, a fat cat,, sleeping, an owl, kitchen, night, tracking shot, ink"
    ).replace(",,", ",")
    plain = prompt_of(SCENE, PHRASINGS["plain"])
    assert plain.startswith(f"A s{body} runs after a ball and Tom") and "tracking" not in plain


def test_a_subject_that_goes_on_is_named_once() -> None:
    picture = Picture(acts=(Act("wakes", (MOUSE,), "wake"), Act("drinks milk", (MOUSE,), "drink"),
                            Act("sees the mouse", (CAT,), "see"), Act("hides", (MOUSE,), "hide")))  # fmt: skip
    assert prompt_of(picture, PHRASINGS["sentence"]) == (
        "A small grey mouse with one torn ear wakes and drinks milk and Tom, a fat cat, sees the mouse and the mouse "
        "hides"
    )


@pytest.mark.parametrize(
    ("story", "prompt"),
    [
        ("A fox wakes up. An owl in the deep forest tells the fox where the moon sleeps at night.",
         "An owl and a fox in the deep forest at night"),
        ("A lion sits in the meadow in the morning. A rabbit comes out of the grass and looks at him.",
         "A rabbit and a lion in the meadow in the morning"),
        ("A rabbit eats. A lion sits in the snow at night. The lion follows the rabbit to the river at sunset.",
         "The lion and a rabbit by the river at sunset"),
        ("A frog eats. A small grey mouse asks the frog about the cheese in the kitchen at night.",
         "A small grey mouse and a frog in the kitchen at night"),
        ("A fox wakes up. A rabbit and the fox run across a green meadow at night.",
         "A rabbit and the fox run across a green meadow at night"),
        ("A fox sees the golden moon in the forest at night.", "A fox sees the golden moon in the forest at night"),
        ("Three bears wake up. An owl tells the three bears a secret in the forest at night.",
         "An owl tells the three bears a secret in the forest at night"),
    ],
)  # fmt: skip
def test_two_figures_side_by_side_for_the_model_that_ships(story: str, prompt: str) -> None:
    """It takes any verb between two for one melted figure; one alone, a joint subject and a crowd stay. Other phrasings
    keep what is done."""
    assert split_story(story).shots[-1].prompt == prompt
    told = split_story(story, phrasing="sentence").shots[-1]
    assert told.action in told.prompt
    assert split_story(story).shots[-1].action == told.action


def test_a_pair_too_long_loses_descriptions_and_not_its_figures() -> None:
    old = Figure(
        "the owl",
        "a very old owl with golden eyes and one broken wing and dark grey feathers on its crooked old tail",
    )
    picture = replace(SCENE, pair=(MOUSE, old), place="forest", style="")
    prompt = prompt_of(picture, PHRASINGS["plain"])
    assert prompt.lower().startswith("the mouse and the owl") and token_counter(PHRASINGS["plain"])(prompt) <= 32
    assert "owl with" not in prompt_of(picture, PHRASINGS["sentence"])


@pytest.mark.parametrize(
    ("words", "place"),
    [
        ("in the deep forest tells the fox where the moon sleeps", "in the deep forest"),
        ("follows the rabbit to the river at sunset", "the river"),
        ("on a little farm gives a bucket", "on a little farm"),
        ("walks to the river and sits under the bridge", "under the bridge"), ("shows the way to the farm", ""),
        ("looks at the lion", ""), ("", ""), ("runs through the snow", "the snow"),
    ],
)  # fmt: skip
def test_where_an_act_is_by_its_own_words(words: str, place: str) -> None:
    assert spot(words) == place


def test_what_the_words_tell_is_not_told_again() -> None:
    assert unsaid("a fox sits in the forest at night", "forest", "night", "rain") == ("", "", "rain")
    assert unsaid("a fox sits by the river", "forest", "night", "fog") == ("", "night", "fog")
    assert unsaid("a fox sits", "kitchen", "night", "fog") == ("kitchen", "night", "")
    assert unsaid("a fox runs over a hill in the morning", "", "night", "") == ("", "", "")


@pytest.mark.parametrize(
    ("tell", "plain", "phrase"),
    [
        (where, "forest", "in the forest"), (where, "the old barn", "in the old barn"), (where, "Paris", "in Paris"),
        (where, "beach", "on the beach"), (where, "river", "by the river"), (where, "home", "at home"),
        (where, "bottom of the sea", "at the bottom of the sea"), (where, "under the bridge", "under the bridge"),
        (where, "", ""), (when, "night", "at night"), (when, "winter", "in winter"),
        (when, "morning", "in the morning"),
        (when, "early morning", "early in the morning"), (when, "winter morning", "on a winter morning"),
        (when, "the next day", "the next day"), (when, "the night", "at night"), (when, "monday", "on monday"),
        (when, "", ""), (weathered, "rain", "in the rain"), (weathered, "sunny", "in the sunshine"),
        (weathered, "cold wind", "in a cold wind"), (weathered, "", ""), (article, "owl", "an owl"),
        (article, "stairs", "stairs"), (article, "the sea", "the sea"), (head_noun, "edge of the wood", "edge"),
        (head_noun, "the little red house", "house"),
    ],
)  # fmt: skip
def test_plain_words_as_phrases(tell: object, plain: str, phrase: str) -> None:
    assert callable(tell) and tell(plain) == phrase


@pytest.mark.parametrize(
    ("words", "lemma", "tag"),
    [
        ("ran home", "run", "running home"), ("sits", "sit", "sitting"), ("made a fire", "make", "making a fire"),
        ("lies down", "lie", "lying down"), ("is old", "be", "is old"), ("sleeps", "sleep", "sleeping"),
        ("sees a fox", "see", "seeing a fox"), ("", "run", ""), ("in the wood sings", "sing", "in the wood sings"),
        ("opened the door", "open", "opening the door"), ("went out", "go", "going out"), ("walked", "walk", "walking"),
    ],
)  # fmt: skip
def test_verbs_of_tags(words: str, lemma: str, tag: str) -> None:
    assert gerund(words, lemma) == tag


@pytest.mark.parametrize(
    ("sentence", "prompt"),
    [
        ("And then he ran home", "a man ran home"), ("She's asleep", "a woman asleep"),
        ("It was a dark night", "a dark night"),
        ("There were three bears in the wood", "three bears in the wood"), ("They sat down", "people sat down"),
        ("Suddenly, the fox jumped", "the fox jumped"), ("Her eyes shone", "a woman's eyes shone"),
        ("It is", "something is"), ("Theodore runs", "Theodore runs"), ("It'll rain", "something rain"),
        ("Itch and scratch", "Itch and scratch"), ("But", "But"), ("Heather sings", "Heather sings"),
    ],
)  # fmt: skip
def test_no_pronoun_is_a_subject(sentence: str, prompt: str) -> None:
    assert own_words(sentence) == prompt
    assert not unresolved_subject(own_words(sentence))


def test_unresolved_subjects_are_seen() -> None:
    for words in ("He runs", "and then they slept", "It's late", "she", "Them who ran"):
        assert unresolved_subject(words)
    for words in ("The fox", "", "Hedgehogs run", "His hat falls", "42"):
        assert not unresolved_subject(words)
    assert own_words("he ran", MOUSE) == "a small grey mouse with one torn ear ran"


def test_what_is_cut_first(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    scene = replace(SCENE, place="forest", acts=(Act("runs over the red leaves", (MOUSE,), "run"), SCENE.acts[1]))
    seen: list[str] = []
    for limit in range(60, 2, -1):
        phrasing = replace(PHRASINGS["sentence"], limit=limit)
        prompt = prompt_of(scene, phrasing)
        if not seen or prompt != seen[-1]:
            seen.append(prompt)
        assert token_counter(phrasing)(prompt) <= limit
    gone = [next(i for i, prompt in enumerate(seen) if word not in prompt) for word in
            ("tracking", "owl", "Tom", "rain", "night", "forest", "leaves", "ink", "torn", "mouse")]  # fmt: skip
    assert gone == sorted(gone) and len(set(gone)) == len(gone)
    assert "without its camera, bystanders, further acts, weather" in caplog.text
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings and all("the subject itself is longer" in record.getMessage() for record in warnings)


def test_a_long_style_does_not_push_out_the_subject() -> None:
    prompt = prompt_of(replace(SCENE, style="very " * 200 + "ink"), PHRASINGS["plain"])
    assert "A small grey mouse" in prompt and "very very" in prompt
    assert token_counter(PHRASINGS["plain"])(prompt) <= 32


@pytest.mark.parametrize("name", PHRASINGS)
def test_tokens_are_the_encoders_own(name: str) -> None:
    """77 of CLIP's tokens with start and end, 32 of the shipped model's."""
    count = token_counter(PHRASINGS[name])
    assert PHRASINGS[name].limit == {"plain": 32, "sentence": 77, "tags": 77}[name]
    assert count("fox " * 200) == 202 and count("") == 2


@settings(max_examples=300, deadline=None)
@given(
    text=st.lists(st.text(max_size=12) | st.sampled_from(["fox's", "don't", "ΌΣΟΣ", "<|endoftext|>", "3.14"])).map(
        " ".join
    )
)
@example(text="a\u0301 \u0301e\x1c! \xa0x\u2028y " * 9)
def test_words_count_as_the_whole_prompt_does(text: str) -> None:
    for name, tokenizer in TOKENIZERS.items():
        assert token_counter(replace(PHRASINGS[name], limit=0))(text) == len(tokenizer(text)["input_ids"])


TEXT = st.text(max_size=60) | st.sampled_from(["a fox", "in the forest", "word " * 60, "x" * 400, "🦊" * 90])
FIGURES = st.builds(Figure, TEXT.filter(str.strip), TEXT.filter(str.strip))
PICTURES = st.builds(
    Picture,
    acts=st.lists(st.builds(Act, TEXT, st.lists(FIGURES, max_size=3).map(tuple), TEXT), max_size=3).map(tuple),
    others=st.lists(FIGURES, max_size=2).map(tuple), place=TEXT, time=TEXT, weather=TEXT, camera=TEXT,
    style=TEXT, close=TEXT,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(picture=PICTURES, name=st.sampled_from(list(PHRASINGS)))
@example(picture=Picture(close="\r"), name="plain")
def test_any_picture_fits(picture: Picture, name: str) -> None:
    phrasing = PHRASINGS[name]
    prompt = prompt_of(picture, phrasing)
    assert prompt.strip() and token_counter(phrasing)(prompt) <= phrasing.limit


def test_styles_by_name_and_as_words() -> None:
    assert style_of("Watercolor") == style_of("watercolour") == STYLES["watercolour"]
    assert style_of(" soft\nwatercolour wash ").words == "soft watercolour wash" and style_of("").words == ""
    for name, style in STYLES.items():
        assert style.words and style.negative and name == name.casefold()
    with pytest.raises(DiffilmError, match="phrasing 'poem' is not known; choose one of plain, sentence, tags"):
        phrasing_of("poem")
