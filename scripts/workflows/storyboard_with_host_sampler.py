"""A storyboard's lists through the host's own nodes, which run once a shot."""

from __future__ import annotations

from workflow_parts import Node, Workflow, finish, load, splitter

NOTE = """## The storyboard drives ComfyUI's own nodes

The lists of the Story Splitter make every node after it run once a shot.

**Another model:** replace *Load Diffilm Model* by **Load Checkpoint** (or any loader) and connect its MODEL, CLIP
and VAE in the same places; set width, height, steps and cfg to what that model likes. *Empty Diffilm Clip* takes the
channels of the model. A model with an empty latent of its own: use that one instead. An image model makes the
frames of a shot without motion between them.

Here a Cancel loses the shots of this run; *Diffilm Film Storyboard* keeps them.
"""


def describe() -> Workflow:
    sampler = {
        "model": ("load", 0), "seed": ("split", 3), "steps": 20, "cfg": 4.0, "sampler_name": "euler_ancestral",
        "scheduler": "sgm_uniform", "positive": ("positive", 0), "negative": ("negative", 0),
        "latent_image": ("empty", 0), "denoise": 1.0,
    }  # fmt: skip
    empty = {"frames": ("split", 4), "width": 128, "height": 128}
    return Workflow(
        "storyboard_with_host_sampler",
        {
            "load": load((40, 90)),
            "split": splitter((40, 280), (640, 620)),
            "positive": Node(
                "CLIPTextEncode", {"clip": ("load", 1), "text": ("split", 1)}, (760, 90), (330, 120), "What to show"
            ),
            "negative": Node(
                "CLIPTextEncode", {"clip": ("load", 1), "text": ("split", 2)}, (760, 270), (330, 120), "What to avoid"
            ),
            "empty": Node("DiffilmEmptyLatent", empty, (760, 450), (330, 130)),
            "sample": Node("KSampler", sampler, (1140, 90), (330, 480)),
            "decode": Node(
                "DiffilmDecodeVideo", {"vae": ("load", 2), "latent": ("sample", 0), "fps": 8.0, "batch": 4},
                (1140, 620), (330, 110),
            ),
            **finish(("decode", 0), 1550, 90, "diffilm/storyboard"),
        },
        [
            ("1. Story and model", "story", (20, 20, 680, 900)),
            ("2. Once a shot, with ComfyUI's own nodes", "film", (740, 20, 750, 900)),
            ("3. Finish", "finish", (1530, 20, 790, 900)),
        ],
        NOTE,
        (40, 990, 1190, 220),
    )  # fmt: skip
