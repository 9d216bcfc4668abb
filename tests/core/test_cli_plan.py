"""Proves that plan prints a table, JSON or a page of any form of story, and that a wrong option is one line."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from diffilm_core.cli import main
from diffilm_core.cli.plan import seconds, table
from diffilm_core.story import CastMember, Shot, Storyboard, split_story
from diffilm_core.story.page import storyboard_page

STORY = "The Fox\n\nA fox sleeps in the snow. A bear walks by the sea at night.\n"


@pytest.fixture
def story(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("story.txt").write_text(STORY, "utf-8")
    return Path("story.txt")


def status(*arguments: object) -> int:
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as leaving:
        return int(leaving.code or 0)


def test_a_table(story: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status("plan", story, "--style", "ink", "--frames", 24, "--fps", 8) == 0
    lines = capsys.readouterr().out.splitlines()
    heads = lines[2].split()
    assert lines[0] == "The Fox" and heads[:3] == ["shot", "start", "length"] and heads[-1] == "prompt"
    assert lines[4].split()[:3] == ["1", "0:00.00", "3.00s"] and lines[4].endswith("A fox sleeps in the snow, ink")
    assert lines[5].split()[:3] == ["2", "0:03.00", "3.00s"] and lines[-1] == "2 shots, 6.00 seconds"


def test_columns_of_the_table() -> None:
    fox = CastMember("fox", "Reynard the very long-named fox")
    board = Storyboard((Shot(0, "a fox", cast=("fox",), time="night"), Shot(1, "b" * 90, place="sea")), cast=(fox,))
    lines = table(board)
    assert lines[0].split() == ["shot", "start", "length", "time", "place", "cast", "prompt"]
    assert "Reynard the very …  a fox" in lines[2] and lines[3].split() == ["2", "0:02.00", "2.00s", "sea", "b" * 90]
    assert max(len(line) for line in table(board, 70)) == 70 and table(board, 70)[3].endswith("bbb...")


def test_json_of_every_option(story: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--length", "7s", "--fps", 12, "--style", "woodcut", "--phrasing", "tags")
    options += ("--negative", "fog", "--seed", 5)
    assert status("plan", story, "--json", *options) == 0
    board = Storyboard.from_json(capsys.readouterr().out)
    assert board == split_story(
        STORY, length=7, fps=12, style="woodcut", phrasing="tags", negative="fog", seed=5
    )  # fmt: skip
    assert board.duration == pytest.approx(7) and "bold black lines" in board.shots[0].prompt
    assert board.shots[0].negative.startswith("fog, colour") and "watermark" in board.shots[0].negative


def test_another_form_by_name_or_asked_for(story: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("s.csv").write_text("prompt,place\nA fox.,snow\n", "utf-8")
    Path("s.txt").write_text("INT. KITCHEN - NIGHT\n\nMARY\nHello.\n", "utf-8")
    assert status("plan", "s.csv") == 0 and "snow" in capsys.readouterr().out
    assert status("plan", "s.txt", "--as", "fountain") == 0 and "kitchen" in capsys.readouterr().out
    assert status("plan", "s.txt", "--as", "csv") == 2
    assert "line 1 names the columns int. kitchen - night" in capsys.readouterr().err
    assert status("plan", story, "--json") == 0
    Path("plan.json").write_text(capsys.readouterr().out, "utf-8")
    assert status("plan", "plan.json") == 0 and "2 shots, 4.00 seconds" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (("--length", "60x"), "'60x' given, expected a time such as 60s"),
        (("--length", "0"), "length is 0"),
        (("--length", "60"), "2 shots of 1 to 10 s take 2 to 20 s"),
        (("--length", "6", "--frames", "8"), "two ways to say how long"),
        (("--phrasing", "poem"), "invalid choice: 'poem'"),
        (("--as", "poem"), "invalid choice: 'poem'"),
        (("--html", "none/page.html"), "cannot write"),
        (("--llm", "none"), "none"),
    ],
)
def test_a_wrong_option_is_one_line(
    arguments: tuple[str, ...], match: str, story: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status("plan", story, *arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1 and match in captured.err


@pytest.mark.parametrize(
    ("text", "value"), [("60", 60), ("60s", 60), ("1.5m", 90), ("2 min", 120), ("1:30", 90), ("0:02.5", 2.5)]
)
def test_lengths_as_people_write_them(text: str, value: float) -> None:
    assert seconds(text) == value and seconds("Auto") == "auto"


class Page(HTMLParser):
    """The text of a page's story, its tags, and whether each is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.story = ""
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "div" in self.open and "sup" not in self.open:
            self.story += data


def test_the_page_is_the_story_escaped_and_by_itself(story: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = 'A & B\n\nA fox said: "<script>alert(1)</script>" & ran.\n\nThe <b>bear</b> slept in the snow at night. \n'
    story.write_text(text, "utf-8")
    assert status("plan", story, "--html", "page.html", "--style", '"><i>') == 0
    assert capsys.readouterr().out == "page.html\n"
    page = Path("page.html").read_text("utf-8")
    found = Page(page)
    assert found.story == text
    assert not {"script", "i", "img", "link", "iframe"} & {tag for tag, _ in found.tags}
    assert not any(value and "://" in value for _, attributes in found.tags for value in attributes.values())
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert sorted(ids) == ["s0", "s1", "t0", "t1"]
    links = {attributes["href"] for tag, attributes in found.tags if tag == "a"}
    assert links <= {f"#{name}" for name in ids}


def test_a_page_of_shots_without_spans() -> None:
    fox = CastMember("fox", "<Fox>", description="a small & red fox")
    shots = (Shot(0, "a fox", cast=("fox",)), Shot(1, "b", "B.", place="sea"))
    page = Page(storyboard_page(Storyboard(shots, cast=(fox,))))
    assert page.story == "a fox\n\nB."
