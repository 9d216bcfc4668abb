"""Proves that any text becomes a storyboard that covers it exactly once, or one DiffilmError."""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from diffilm_core import DiffilmError
from diffilm_core.story import read, read_story, split_story
from diffilm_core.story.beats import beat_words, beats
from diffilm_core.story.clean import clean_sentence, word_count
from diffilm_core.story.sentences import MAX_CHARACTERS, MAX_WORDS

# Hypothesis rarely writes a sentence by itself: marks, words and breaks of stories, in any order.
PIECES = st.sampled_from(
    ["The fox ", "runs", " in the snow", ". ", "! ", "? ", "...", "\n", "\n\n", "“", "”", '"', "Mr. ", "J. R. ", "3.5 ",
     "Chapter 1", "# ", "* * *", "- ", "1. ",
     ", and ", "; ", " — ", "Snap!", "小さな狐。", "月が", "🦊", "e\u0301", "\t",
     "\r\n", "\u2028", "(", ")", "_", "**", "x" * 90, "word " * 30, "THE SEA", "[a](b)", "\u200b", "\ufeff"]
)  # fmt: skip
STORIES = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=40).map("".join))


def words(text: str, **options: Any) -> list[str]:
    """What each shot shows of the story, cleaned; headings are not shown."""
    reading = read(text)
    return [beat_words(reading, beat) for beat in beats(reading)]


@settings(max_examples=400, deadline=None)
@given(text=STORIES)
@example("\u200b")
@example("=== \n a")
@example("!?\n\n# \n\nx")
def test_any_text_is_covered_exactly_once(text: str) -> None:
    try:
        board = split_story(text)
    except DiffilmError as error:
        assert "\n" not in str(error)
        assert (
            not any(c.isalnum() for c in text)
            or any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in text)
            or any(0xD800 <= ord(c) <= 0xDFFF for c in text)
        )
        return
    covered = [0] * len(text)
    for before, shot in zip(board.shots, board.shots[1:], strict=False):
        assert before.span[1] <= shot.span[0]
    for shot in board.shots:
        assert text[slice(*shot.span)] == shot.text == shot.text.strip()
        assert shot.prompt == " ".join(shot.prompt.split()) != ""
        for i in range(*shot.span):
            covered[i] += 1
    assert all(count == (not c.isspace()) or c.isspace() for c, count in zip(text, covered, strict=True))
    assert type(board).from_json(board.to_json()) == board


@settings(max_examples=100, deadline=None)
@given(text=STORIES, seed=st.integers(0, 2**64 - 1))
def test_shots_have_a_length_that_can_be_shown(text: str, seed: int) -> None:
    try:
        board = split_story(text, seed=seed)
    except DiffilmError:
        return
    for shot in board.shots:
        assert word_count(shot.prompt) <= MAX_WORDS + 4 and len(shot.prompt) <= MAX_CHARACTERS + 40
    assert len({shot.seed for shot in board.shots}) == len(board.shots)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("The fox runs. The bear sleeps.", ["The fox runs", "The bear sleeps"]),
        ("Mr. Owl meets Dr. Bear at St. Ives. They talk.\n", ["Mr. Owl meets Dr. Bear at St. Ives. They talk"]),
        ("J. R. Fox paid 3.50 dollars to No. 5. The end came.",
         ["J. R. Fox paid 3.50 dollars to No. 5", "The end came"]),
        ("She lives in the U.S. The bear does too.", ["She lives in the U.S", "The bear does too"]),
        ("So did I. The fox went home.", ["So did I", "The fox went home"]),
        ("He eats fish, nuts etc. The owl eats mice.", ["He eats fish, nuts etc", "The owl eats mice"]),
        ('"Who are you?" asked the bee. The fox smiled.', ['"Who are you?" asked the bee', "The fox smiled"]),
        ("The owl said: “Run! Run now.” The fox ran away.", ['The owl said: "Run!', 'Run now." The fox ran away']),
        ("The fox runs... and it falls. The moon... The sea is calm.",
         ["The fox runs... and it falls", "The moon... The sea is calm"]),
        ("Wait… The fox is here. Is it really?! Yes, it is.",
         ["Wait... The fox is here", "Is it really?!", "Yes, it is"]),
        ("The fox\nruns through\nthe snow.", ["The fox runs through the snow"]),
        ("A fox in the snow\nA bee in a meadow\nThe moon over the sea",
         ["A fox in the snow", "A bee in a meadow", "The moon over the sea"]),
        ("- A fox runs home.\n- A bee hums loudly.", ["A fox runs home", "A bee hums loudly"]),
        ("1. A fox runs home\n2. A bee hums loudly", ["A fox runs home", "A bee hums loudly"]),
        ("小さな狐が森に住んでいます。月が海の上に出ました。", ["小さな狐が森に住んでいます", "月が海の上に出ました"]),
        ("The **brave** fox _runs_ to the [sea](http://sea).", ["The brave fox runs to the sea"]),
        ("The fox left the forest.The owl stayed.", ["The fox left the forest", "The owl stayed"]),
        ("🦊", ["🦊"]),
    ],
)  # fmt: skip
def test_sentences(text: str, want: list[str]) -> None:
    assert words(text) == want


def test_wrapped_lines_are_one_sentence() -> None:
    line = "The fox walks through the deep snow, and behind it, quiet as a cloud, the\nOwl flies until\nmorning.\n"
    assert words(line) == [" ".join(line.split()).rstrip(".")]


def test_short_sentences_join_the_next_else_the_one_before() -> None:
    assert words("Snap! The ice breaks under the fox. The end.") == ["Snap! The ice breaks under the fox. The end"]
    assert words("The ice breaks. Snap! Crack! The fox falls.") == ["The ice breaks", "Snap! Crack! The fox falls"]
    assert words("Snap!") == ["Snap!"]


def test_headings_title_and_scenes() -> None:
    board = split_story(
        "The Fox\n\nA fox is here.\n\n* * *\n\nA bee hums now.\n\n## Chapter 2\nAn owl sits there.\n\nThe End"
    )
    assert board.title == "The Fox"
    assert [shot.prompt for shot in board.shots] == ["A fox is here", "A bee hums now", "An owl sits there. The End"]
    # scenes: test_story_reading
    assert [shot.text.split("\n")[0] for shot in board.shots] == ["The Fox", "* * *", "## Chapter 2"]


def test_a_story_of_headings_alone_is_filmed() -> None:
    assert words("# The fox in the snow\n\n# The bee in the meadow") == [
        "The fox in the snow",
        "The bee in the meadow",
    ]


def test_long_sentence_is_cut_at_clauses() -> None:
    clause = "the fox walks through the snow and over the hill to the quiet sea with the owl"
    shots = words(f"First {clause}; then {clause}, while {clause}.")
    assert len(shots) >= 2 and shots[0].endswith("with the owl") and shots[1].startswith("then the fox")
    assert all(word_count(shot) <= MAX_WORDS for shot in shots)
    assert len("".join(words("x" * 5000))) == 5000


def test_seeds_depend_on_the_sentence_alone() -> None:
    before = split_story("The fox runs. The bear sleeps. The owl waits.", seed=7)
    after = split_story("The fox swims. The bear sleeps. A bee hums loudly. The owl waits.", seed=7, style="ink", fps=4)
    assert [after.shots[1].seed, after.shots[3].seed] == [before.shots[1].seed, before.shots[2].seed]
    assert after.shots[0].seed != before.shots[0].seed
    assert split_story("The fox runs.", seed=8).shots[0].seed != before.shots[0].seed
    assert [s.seed for s in before.shots] == [86790198123326, 149645452678690, 235758942365695]


def test_repeated_sentences_have_stable_seeds_of_their_own() -> None:
    two = split_story("The fox runs. The bear sleeps. The fox runs.").shots
    four = split_story("The fox runs. The fox runs. The owl waits. The fox runs.").shots
    assert two[0].seed != two[2].seed
    assert [two[0].seed, two[2].seed] == [four[0].seed, four[1].seed] != [four[1].seed, four[3].seed]


def test_style_duration_and_limit() -> None:
    board = split_story(
        "The fox runs. The bear sleeps.", style=" soft\nwatercolor ", frames=24, fps=Fraction(30000, 1001)
    )
    assert [s.prompt for s in board.shots] == ["The fox runs, soft watercolor", "The bear sleeps, soft watercolor"]
    assert board.style == "soft watercolor"
    assert board.shots[0].duration == pytest.approx(0.8008, abs=1e-9) and board.duration == pytest.approx(1.6016)
    assert split_story("The fox runs.").shots[0].duration == 2.0
    assert len(split_story("The fox runs. The bear sleeps.", max_shots=1)) == 1


@pytest.mark.parametrize(
    ("text", "options", "match"),
    [
        ("", {}, "empty"),
        (" \n\t ", {}, "empty"),
        ("... --- !!!", {}, "no words"),
        ("the fox\0runs", {}, r"not text: character 7 is U\+0000"),
        ("the \ud800 fox", {}, r"U\+D800"),
        ("A fox runs.", {"frames": 0}, "frames is 0"),
        ("A fox runs.", {"fps": 0}, "fps is 0"),
        ("A fox runs.", {"fps": float("nan")}, "fps is nan"),
        ("A fox runs.", {"seed": -1}, "seed is -1"),
        ("A fox runs.", {"seed": 2**64}, "seed is"),
        ("A fox runs.", {"max_shots": 0}, "max_shots"),
        (b"A fox runs.", {}, "bytes, not text"),
    ],
)
def test_bad_input_is_one_clear_line(text: Any, options: dict[str, Any], match: str) -> None:
    with pytest.raises(DiffilmError, match=match) as caught:
        split_story(text, **options)
    assert "\n" not in str(caught.value)


def test_a_novel_takes_seconds() -> None:
    text = (
        "The fox walks through the snow and meets Mr. Owl, who says: “Good day.” " * 8000 + "a, " * 60000 + "x" * 100000
    )
    start = time.perf_counter()
    assert len(split_story(text)) > 8000
    assert time.perf_counter() - start < 20


def test_clean_sentence_is_never_empty_where_there_are_words() -> None:
    assert clean_sentence("[](http://fox)") == "[](http://fox)"
    assert clean_sentence("“Run.”") == "Run"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_reads_text_in_unicode_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "story.txt"
    path.write_bytes("Ein Füchslein\r\nläuft.".encode(encoding))
    assert read_story(path) == "Ein Füchslein\nläuft."


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", r"byte 0 is 0x89"),
        (b"the fox\0\x01", r"character 7 is U\+0000"),
        ("füchslein".encode("latin-1"), "byte 1 is 0xFC"),
        (b"\xff\xfea", "not text in UTF-16"),
    ],
)
def test_file_that_is_no_story(tmp_path: Path, data: bytes, match: str) -> None:
    path = tmp_path / "story.txt"
    path.write_bytes(data)
    with pytest.raises(DiffilmError, match=match) as caught:
        read_story(path)
    assert "\n" not in str(caught.value)


def test_story_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DiffilmError, match="no story at"):
        read_story(tmp_path / "none.txt")
    with pytest.raises(DiffilmError, match="is a folder"):
        read_story(tmp_path)
    with pytest.raises(DiffilmError, match="cannot be read"):
        read_story("a\0b")
