"""Proves that screenplays, lists and tables of shots become storyboards, and that a mistake in one is named by line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffilm_core import DiffilmError
from diffilm_core.story import Storyboard, split_story
from diffilm_core.story.formats import FORMS, form_of, open_storyboard, storyboard_from
from diffilm_core.story.fountain import elements

SCRIPT = """Title: _The Lost Lantern_
Credit: written by

FADE IN:

INT. KITCHEN - NIGHT

MARY, a small girl, lights a lantern. [[check the colour]] The dog sleeps by the stove.

MARY
(whispering)
Wake up, Rex.
We must go.

The dog opens one eye.

DISSOLVE TO:

EXT. FOREST - DAWN #2#

/* cut this

whole part */
Mary and Rex run between the trees.

OLD MAN (O.S.)
Who is there?

CUT TO:

.the cave

@McKay
Nobody.

> THE END <
"""


def once(text: str, board: Storyboard) -> bool:
    """Whether the spans hold every character that is not white space exactly once, in order."""
    covered = [0] * len(text)
    for shot in board.shots:
        assert text[slice(*shot.span)] == shot.text
        for i in range(*shot.span):
            covered[i] += 1
    return all(count == 1 or (count == 0 and c.isspace()) for c, count in zip(text, covered, strict=True))


def test_the_parts_of_a_screenplay() -> None:
    found = [(part.kind, part.text) for part in elements(SCRIPT) if part.kind not in ("action", "aside")]
    assert found == [
        ("title", "The Lost Lantern"), ("transition", "FADE IN:"), ("heading", "INT. KITCHEN - NIGHT"),
        ("speech", "Wake up, Rex. We must go."), ("transition", "DISSOLVE TO:"),
        ("heading", "EXT. FOREST - DAWN #2#"), ("speech", "Who is there?"), ("transition", "CUT TO:"),
        ("heading", "the cave"), ("speech", "Nobody."),
    ]  # fmt: skip
    speeches = [(part.speaker, part.seen) for part in elements(SCRIPT) if part.kind == "speech"]
    assert speeches == [("Mary", True), ("Old Man", False), ("McKay", True)]


def test_a_screenplay_is_filmed() -> None:
    board = storyboard_from(SCRIPT, "fountain", phrasing="sentence")
    assert board.title == "The Lost Lantern" and once(SCRIPT, board)
    places = [(shot.scene, shot.place, shot.time) for shot in board.shots]
    assert list(dict.fromkeys(places)) == [(0, "kitchen", "night"), (1, "forest", "dawn"), (2, "the cave", "")]
    starts = [shot for at, shot in enumerate(board.shots) if at == 0 or shot.scene != board.shots[at - 1].scene]
    assert [shot.transition for shot in starts] == ["cut", "dissolve", "cut"]
    assert all(shot.camera == "establishing shot" for shot in starts)
    spoken = [shot for shot in board.shots if "Wake up" in shot.text or "Nobody." in shot.text]
    assert [shot.prompt.split()[0].strip(",") for shot in spoken] == ["Mary", "McKay"]
    names = {member.id: member.name for member in board.cast}
    assert [[names[who] for who in shot.cast] for shot in spoken] == [["Mary"], ["McKay"]]
    unseen = next(shot for shot in board.shots if "Who is there" in shot.text)
    assert "Old Man" not in [names[who] for who in unseen.cast] and "Old Man" not in unseen.prompt
    assert not any(word in shot.prompt for shot in board.shots for word in ("check", "whole part", "Wake up", "[["))


def test_lines_that_only_look_like_cues_or_headings() -> None:
    parts = elements("!LOUD NOISES\n\nBOOM!\n\nThe INT. of a car.\n\nEXTRA shots follow.\n\n...and on\n\nMARY\n")
    assert [part.kind for part in parts] == ["action"] * 6
    assert [part.kind for part in elements("EXT FOREST\n\nMARY\nHello\n\n~la la la")] == ["heading", "speech", "action"]


def test_a_screenplay_with_nothing_to_film_is_named_by_line() -> None:
    with pytest.raises(DiffilmError, match=r"no action and no dialogue .*heading is on line 3"):
        storyboard_from("FADE IN:\n\nINT. KITCHEN - NIGHT\n\nEXT. FOREST\n", "fountain")


def test_a_list_of_shots() -> None:
    rules = "A fox in the snow,\nclose-up\n\nwide\n---\n\n* * *\nAn owl at night. It hoots.\n---\n"
    board = storyboard_from(rules, "shots", style="ink")
    assert [shot.prompt for shot in board.shots] == [
        "A fox in the snow, close-up wide, ink", "An owl at night. It hoots, ink",
    ]  # fmt: skip
    assert once(rules, board)
    blank = "A fox in the snow\nclose-up\n \n\nAn owl at night"
    board = storyboard_from(blank, "shots", max_shots=1, frames=8, fps=8)
    assert [(shot.prompt, shot.duration) for shot in board.shots] == [("A fox in the snow close-up", 1.0)]
    with pytest.raises(DiffilmError, match="no words"):
        storyboard_from("---\n\n---", "shots")


def test_a_table_of_shots(caplog: pytest.LogCaptureFixture) -> None:
    head = "\ufeffPrompt;Cast;duration;seed;mood\n"
    table = head + '"A fox; in snow";Fox;2.5;;glad\n\nA bear;Bear; ;7;\nA bear;"fox; bear"\n'
    board = storyboard_from(table, "csv", style="ink", negative="fog", seed=3)
    assert [shot.prompt for shot in board.shots] == ["A fox; in snow, ink", "A bear, ink", "A bear, ink"]
    assert [shot.duration for shot in board.shots] == [2.5, 2.0, 2.0] and board.shots[1].seed == 7
    assert [member.name for member in board.cast] == ["Fox", "Bear"] and board.shots[0].negative == "fog"
    assert board.shots[2].seed not in (7, board.shots[0].seed)
    assert "mood" in caplog.text
    assert len(storyboard_from("prompt\nA\nB\nC", "csv", max_shots=2)) == 2
    assert storyboard_from("text\tplace\nA fox.\tsnow", "csv").shots[0].place == "snow"


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("a,b\n1,2", "line 1 names the columns a, b, expected prompt"),
        ("prompt,duration\nx,2\ny,abc", "line 3: duration is 'abc', expected seconds"),
        ("prompt,duration\nx,-2", "line 2: duration is -2"),
        ("prompt,duration\nx,nan", "line 2: duration is nan"),
        ("prompt,seed\nx,1.5", "line 2: seed is '1.5', expected a whole number"),
        ("prompt,seed\n\n\nx,-1", "line 4: seed is -1"),
        ("prompt\nx,y", "line 2 has 2 cells, expected 1"),
        ("prompt,place\n,sea", "line 2 has no prompt"),
        ('prompt\n"abc', "line 2 is not CSV"),
        ("prompt,prompt\na,b", "line 1 names the column prompt twice"),
        ("prompt\n", "no row below"),
        ("prompt\n\0", "not text"),
    ],
)
def test_a_wrong_table_is_named_by_line(text: str, match: str) -> None:
    with pytest.raises(DiffilmError, match=match) as caught:
        storyboard_from(text, "csv")
    assert "\n" not in str(caught.value)


def test_the_form_is_told_by_the_suffix_or_asked_for(tmp_path: Path) -> None:
    files = {"a.txt": "story", "a.FOUNTAIN": "fountain", "a.csv": "csv", "a.tsv": "csv", "a.json": "json", "a": "story"}
    assert {name: form_of(name) for name in files} == files
    (tmp_path / "a.fountain").write_text(SCRIPT, "utf-8")
    assert open_storyboard(tmp_path / "a.fountain").title == "The Lost Lantern"
    assert open_storyboard(tmp_path / "a.fountain", "shots").shots[0].text.startswith("Title:")
    board = split_story("A fox runs in the snow.")
    assert storyboard_from(board.to_json(), "json") == board
    with pytest.raises(DiffilmError, match="form 'prose' is not known; choose one of story, fountain"):
        storyboard_from("A fox.", "prose")


LINES = st.sampled_from(
    ["INT. HOUSE - DAY", "EXT.", ".", "..", "MARY", "(sadly)", "Hello.", "The fox runs home.", "", "", " ", "CUT TO:",
     ">", "> END <", "/*", "*/", "[[ note", "]]", "# One", "= two", "===", "~la", "!BOOM", "@x", "@", "Title: A", "---",
     "prompt,seed", "a,1", '"', "MARY ^", "JÜRGEN (V.O.)", "\u2028", "a\x0cb", "THE END.", "#", "it rains", "ΑΒΓ"]
)  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(lines=st.lists(LINES, max_size=12), form=st.sampled_from(FORMS))
def test_any_lines_in_any_form_give_a_storyboard_or_one_error(lines: list[str], form: Any) -> None:
    text = "\n".join(lines)
    try:
        board = storyboard_from(text, form)
    except DiffilmError as error:
        assert "\n" not in str(error)
        return
    assert form in ("csv", "json") or once(text, board)
    assert Storyboard.from_json(board.to_json()) == board
