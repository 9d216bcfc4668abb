"""A screenplay in Fountain form filmed, scene by scene."""

from __future__ import annotations

from workflow_parts import Node, Workflow, finish, load, splitter

SCRIPT = """Title: The Bee and the Bear

EXT. MEADOW - DAY

A bee flies over a red flower. A BEAR walks out of the forest.

BEAR
Is there honey?

The bear sits in the meadow and looks at the bee.

EXT. FOREST - NIGHT

The bear sleeps under the trees. An owl sits in the dark forest.

> FADE TO:

EXT. MEADOW - MORNING

The bee flies back to the flower. The bear eats honey.
"""

NOTE = """## A screenplay becomes a movie

**read_as** `fountain`: scene headings give place and time, characters and their lines are read, and what the action
lines show is filmed. `shots` reads a list of shots with --- or blank lines between, `csv` a table with a column
*prompt*, `json` a storyboard.
"""


def describe() -> Workflow:
    movie = "diffilm/screenplay"
    split = splitter((40, 280), (640, 620))
    split.inputs |= {"story": SCRIPT, "read_as": "fountain"}
    film = {
        "model": ("load", 0), "clip": ("load", 1), "storyboard": ("split", 0), "movie": movie, "width": 128,
        "height": 128, "fps": 8.0, "steps": 20, "cfg": 4.0, "sampler_name": "euler_ancestral",
        "scheduler": "sgm_uniform", "take": 0,
    }  # fmt: skip
    return Workflow(
        "screenplay_to_movie",
        {
            "load": load((40, 90)),
            "split": split,
            "film": Node("DiffilmFilmStoryboard", film, (760, 90), (340, 420)),
            "decode": Node(
                "DiffilmDecodeVideo", {"vae": ("load", 2), "latent": ("film", 0), "fps": 8.0, "batch": 4},
                (760, 780), (340, 110),
            ),
            **finish(("decode", 0), 1180, 90, movie),
        },
        [
            ("1. Screenplay", "story", (20, 20, 680, 900)),
            ("2. Film every shot", "film", (740, 20, 380, 900)),
            ("3. Finish", "finish", (1160, 20, 790, 900)),
        ],
        NOTE,
        (40, 990, 820, 170),
    )  # fmt: skip
