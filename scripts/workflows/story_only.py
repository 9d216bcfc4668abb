"""A story as a storyboard, to look at and to change before anything is filmed."""

from __future__ import annotations

from workflow_parts import Node, Workflow

STORY = """The Lost Lantern

At dawn a small grey mouse with one torn ear found a lantern in the meadow. She carried it to the old mill by the river.

An owl watched her from the roof. "That light is mine," said the owl. The mouse was afraid, but she did not run.

That night they sat by the river together. Snow began to fall. In the morning the owl was gone, and the lantern stood in the snow.
"""  # noqa: E501

NOTE = """## Look before you film

Press Run: the table on **Diffilm Story Splitter** shows every shot with its length, who is in it, prompt, place,
time and camera. Hover a row for its sentence and its seed.

Change a cell and press Run again: the change is written into **edits** and stays with its sentence; the other
shots, and their seeds, stay as they are.

Happy with it? Wire **storyboard** into **Film Storyboard** (workflow `story_to_movie`).
"""


def describe() -> Workflow:
    story = {
        "story": STORY, "style": "", "negative": "", "seed": 1, "frames": 16, "fps": 8.0, "max_shots": 0, "edits": "",
        "read_as": "story", "phrasing": "plain", "length": 0.0,
    }  # fmt: skip
    return Workflow(
        "story_only",
        {"story": Node("DiffilmStorySplitter", story, (40, 90), (900, 900))},
        [("The story and its shots", "story", (20, 20, 940, 1000))],
        NOTE,
        (1000, 20, 460, 300),
    )
