"""A whole story filmed, shot by shot, into one movie."""

from __future__ import annotations

from workflow_parts import Node, Workflow, finish, load, splitter

NOTE = """## A story becomes a movie

Type your story on the left and press **Run**. Every sentence is a shot; the movie is in the output folder and
below on the right.

Finished shots are kept in `output/diffilm/story.diffilm`: after a Cancel, or when you change one sentence, only
what is missing is made again.

The small model that ships knows animals, things and people in a few places (forest, meadow, snow, city, night ...).
Other models go into `models/diffilm`.
"""


def describe() -> Workflow:
    movie = "diffilm/story"
    film = {
        "model": ("load", 0), "clip": ("load", 1), "storyboard": ("split", 0), "movie": movie, "width": 128,
        "height": 128, "fps": 8.0, "steps": 20, "cfg": 4.0, "sampler_name": "euler_ancestral",
        "scheduler": "sgm_uniform", "take": 0,
    }  # fmt: skip
    return Workflow(
        "story_to_movie",
        {
            "load": load((40, 90)),
            "split": splitter((40, 280), (640, 620)),
            "film": Node("DiffilmFilmStoryboard", film, (760, 90), (340, 420)),
            "decode": Node(
                "DiffilmDecodeVideo", {"vae": ("load", 2), "latent": ("film", 0), "fps": 8.0, "batch": 4},
                (760, 780), (340, 110),
            ),
            **finish(("decode", 0), 1180, 90, movie),
        },
        [
            ("1. Story", "story", (20, 20, 680, 900)),
            ("2. Film every shot", "film", (740, 20, 380, 900)),
            ("3. Finish", "finish", (1160, 20, 790, 900)),
        ],
        NOTE,
        (40, 990, 820, 170),
    )  # fmt: skip
