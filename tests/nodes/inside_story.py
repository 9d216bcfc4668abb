"""The checks of `inside.py` for storyboards: edits, choice, cast, joining, lists."""

from __future__ import annotations

import json
from typing import Any

from bodykit import NODES, STORY, fails, run

# isort: split
# bodykit has made these importable
import torch
from pack.nodes.storyboard import references_of


def split(**inputs: Any) -> Any:
    return run("DiffilmStorySplitter", story=STORY, **inputs)[0]


def changed(before: Any, after: Any) -> list[int]:
    return [one.index for one, other in zip(before.shots, after.shots, strict=True) if one != other]


def check_edits_on_the_splitter() -> None:
    edits = json.dumps([{"index": 1, "prompt": "a bee asleep"}])
    made = split(edits=edits)
    assert changed(split(), made) == [1] and made.shots[1].prompt == "a bee asleep"
    assert run("DiffilmStorySplitter", story=STORY, edits=edits)[1][1] == "a bee asleep"
    fails("edits are not JSON", "DiffilmStorySplitter", story=STORY, edits="{")


def check_the_table_is_told() -> None:
    inputs = {entry.id: getattr(entry, "default", None) for entry in NODES["DiffilmStorySplitter"].GET_SCHEMA().inputs}
    made = NODES["DiffilmStorySplitter"].execute(**{**inputs, "story": STORY})
    assert json.loads(made.ui["diffilm_storyboard"][0]) == made.result[0].to_dict()


def check_pick_and_replace() -> None:
    board = split()
    (picked,) = run("DiffilmPickShots", storyboard=board, shots="3, 1")
    assert [shot.prompt for shot in picked.shots] == [board.shots[2].prompt, board.shots[0].prompt]
    fails("expected numbers from 1 to 3", "DiffilmPickShots", storyboard=board, shots="4")
    (made,) = run("DiffilmReplacePrompt", storyboard=board, shot=2, prompt=" a bee ", seed=-1)
    assert changed(board, made) == [1] and made.shots[1].prompt == "a bee" and made.shots[1].seed == board.shots[1].seed
    (made,) = run("DiffilmReplacePrompt", storyboard=board, shot=3, negative="fog", seed=7)
    assert (made.shots[2].negative, made.shots[2].seed, made.shots[2].prompt) == ("fog", 7, board.shots[2].prompt)
    fails("the storyboard has 3", "DiffilmReplacePrompt", storyboard=board, shot=4)


BOARD = {
    "version": 1,
    "cast": [{"id": "fox", "name": "fox"}, {"id": "bee", "name": "bee"}],
    "shots": [
        {"prompt": "the fox sat", "cast": ["fox"]},
        {"prompt": "snow fell"},
        {"prompt": "the bee and the fox", "cast": ["bee", "fox"], "duration": 1.0},
    ],
}


def board() -> Any:
    from pack.diffilm_core.story import Storyboard

    return Storyboard.from_json(BOARD)


def check_cast_and_lists() -> None:
    picture = torch.rand(1, 8, 8, 3)
    (made,) = run("DiffilmCastMember", storyboard=board(), member="Fox", description="a tiny  fox", reference=picture)
    assert [shot.prompt for shot in made.shots] == ["a tiny fox sat", "snow fell", "the bee and a tiny fox"]
    fails("which is fox, bee", "DiffilmCastMember", storyboard=board(), member="bear", description="x")
    (made,) = run("DiffilmReplacePrompt", storyboard=made, shot=2, prompt="rain", seed=-1)
    prompts, negatives, seeds, lengths, references, text = run("DiffilmStoryboardLists", storyboard=made, fps=8.0)
    assert prompts == ["a tiny fox sat", "rain", "the bee and a tiny fox"] and lengths == [16, 16, 8]
    assert len(negatives) == len(seeds) == 3 and json.loads(text) == made.to_dict()
    assert torch.equal(references[0], picture) and torch.equal(references[2], picture)
    assert references[1].shape == picture.shape and bool((references[1] == 0.5).all())


def check_merge_keeps_the_pictures() -> None:
    one, two = torch.zeros(1, 4, 4, 3), torch.ones(1, 4, 4, 3)
    (first,) = run("DiffilmCastMember", storyboard=board(), member="fox", description="", reference=one)
    (second,) = run("DiffilmCastMember", storyboard=board(), member="bee", description="", reference=two)
    (made,) = run("DiffilmMergeStoryboards", first=first, second=second, third=None, fourth=None)
    assert len(made) == 6 and [member.id for member in made.cast] == ["fox", "bee"]
    found = references_of(made)
    assert torch.equal(found["fox"], one) and torch.equal(found["bee"], two)
    assert references_of(run("DiffilmMergeStoryboards", first=board(), second=board())[0]) == {}


def check_other_ways_in() -> None:
    script = "INT. KITCHEN - NIGHT\n\nA mouse sits on the table.\n\nEXT. MEADOW - DAY\n\nThe mouse runs."
    made = split_of(script, read_as="fountain")
    assert [shot.place.lower() for shot in made.shots] == ["kitchen", "meadow"]
    listed = split_of("a fox\n---\na bee", read_as="shots")
    assert [shot.prompt for shot in listed.shots] == ["A fox", "A bee"]
    again = split_of(made.to_json(), read_as="json")
    assert again == made
    fails("storyboard is not JSON", "DiffilmStorySplitter", story="{", read_as="json")
    whole = split_of(STORY, length=30.0)
    assert abs(whole.duration - 30) < 1.5


def split_of(text: str, **inputs: Any) -> Any:
    return run("DiffilmStorySplitter", story=text, **inputs)[0]


def check_director() -> None:
    (prompt,) = run("DiffilmDirectorPrompt", story=STORY, phrasing="tags")
    assert STORY in prompt and '"shots"' in prompt
    shots = [{"text": "A fox sat in the snow.", "prompt": "a red fox in snow"}]
    answer = "Sure!\n" + json.dumps({"shots": [*shots, {"text": "A bee flew over the meadow.", "prompt": "a bee"}]})
    made, reason = run("DiffilmDirectorStoryboard", story=STORY, answer=answer)
    assert [shot.prompt for shot in made.shots][:2] == ["A red fox in snow", "A bee"] and len(made) == 3
    assert made.shots[2].text.strip() == "An owl sat in the forest." and reason
    made, reason = run("DiffilmDirectorStoryboard", story=STORY, answer="I cannot do that.")
    assert made == split() and "stands" in reason


def check_describe() -> None:
    from pack.nodes import describe

    class Captioner:
        def caption(self, frames: torch.Tensor) -> str:
            return "a red wall" if frames[..., 0].mean() > frames[..., 2].mean() else "a blue wall"

    original, describe.load_captioner = describe.load_captioner, lambda folder, device: Captioner()
    try:
        film = torch.zeros(12, 24, 32, 3)
        film[:6, ..., 0] = torch.linspace(0.2, 1, 32)
        film[6:, ..., 2] = torch.linspace(1, 0.2, 32)
        text, board, said = run("DiffilmDescribeVideo", video=film, captioner="x")
        assert text == "A red wall. A blue wall." and [shot.duration for shot in board.shots] == [0.75, 0.75]
        assert [shot["frames"] for shot in json.loads(said)["shots"]] == [[0, 6], [6, 12]]
    finally:
        describe.load_captioner = original
    fails("no config.json", "DiffilmDescribeVideo", video=film, captioner="none")
