"""A language model directs: it is asked for a storyboard, and what it answers is checked, mended and filmed."""

from __future__ import annotations

import json

from workflow_parts import STORY, Node, Workflow, finish, load

ANSWER = "Here is the storyboard:\n```json\n" + json.dumps(
    {
        "cast": [
            {"id": "fox", "name": "the fox", "kind": "animal", "description": "a small red fox", "pronouns": "it"},
            {"id": "rabbit", "name": "the rabbit", "kind": "animal", "description": "a white rabbit", "pronouns": "it"},
        ],
        "shots": [
            {
                "text": "A fox sat in the snowy forest.", "prompt": "a small red fox in a snowy forest",
                "cast": ["fox"], "place": "snowy forest", "camera": "wide shot",
            },
            {
                "text": "The fox saw a rabbit in the snow.", "prompt": "a white rabbit in the snow", "cast": ["rabbit"],
                "place": "snowy forest", "camera": "close-up",
            },
            {
                "text": "The rabbit ran to the meadow.", "prompt": "a white rabbit in a meadow", "cast": ["rabbit"],
                "place": "meadow",
            },
            {
                "text": "A bee flew over a flower in the meadow.", "prompt": "a bee over a flower in a meadow",
                "place": "meadow", "camera": "close-up",
            },
            {
                "text": "At night an owl sat in the forest.", "prompt": "an owl in a forest at night",
                "place": "forest", "time": "night", "transition": "dissolve",
            },
        ],
    },
    indent=1,
) + "\n```"  # fmt: skip

NOTE = """## A language model directs

**Director Prompt** asks for a storyboard. Wire its *prompt* into ComfyUI's **Generate Text** (0.33 or newer, with a
language model of your own) or any other chat node, and that node's text into *answer* of **Director's Storyboard**, in
the place of the example answer here.

Whatever comes back is checked against the story and mended; where it cannot be used, the storyboard by rules stands,
and *reason* says why.
"""


def describe() -> Workflow:
    movie = "diffilm/directed"
    directed = {
        "story": ("story", 0), "answer": ("answer", 0), "style": "", "seed": 0, "frames": 16, "fps": 8.0,
        "phrasing": "plain",
    }  # fmt: skip
    film = {
        "model": ("load", 0), "clip": ("load", 1), "storyboard": ("directed", 0), "movie": movie, "width": 128,
        "height": 128, "fps": 8.0, "steps": 20, "cfg": 4.0, "sampler_name": "euler_ancestral",
        "scheduler": "sgm_uniform", "take": 0,
    }  # fmt: skip
    return Workflow(
        "llm_director",
        {
            "load": load((40, 90)),
            "story": Node("PrimitiveStringMultiline", {"value": STORY}, (40, 280), (400, 200), "The story"),
            "prompt": Node(
                "DiffilmDirectorPrompt", {"story": ("story", 0), "phrasing": "plain"}, (520, 90), (360, 110)
            ),
            "answer": Node(
                "PrimitiveStringMultiline", {"value": ANSWER}, (520, 280), (360, 620), "An example of an answer"
            ),
            "directed": Node("DiffilmDirectorStoryboard", directed, (940, 90), (640, 620)),
            "film": Node("DiffilmFilmStoryboard", film, (1660, 90), (340, 420)),
            "decode": Node(
                "DiffilmDecodeVideo", {"vae": ("load", 2), "latent": ("film", 0), "fps": 8.0, "batch": 4},
                (1660, 780), (340, 110),
            ),
            **finish(("decode", 0), 2080, 90, movie),
        },
        [
            ("1. Story", "story", (20, 20, 440, 900)),
            ("2. Ask", "model", (500, 20, 400, 900)),
            ("3. Direct", "story", (920, 20, 680, 900)),
            ("4. Film", "film", (1640, 20, 380, 900)),
            ("5. Finish", "finish", (2060, 20, 790, 900)),
        ],
        NOTE,
        (40, 990, 860, 230),
    )  # fmt: skip
