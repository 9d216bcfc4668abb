"""One sentence as one clip, with the host's own sampler."""

from __future__ import annotations

from workflow_parts import Node, Workflow, finish, load

NOTE = """## A sentence becomes a clip

The sampler is ComfyUI's own: LoRA loaders, context windows and other samplers fit between.

More than 16 frames: put **Context Windows (Manual)** (`context_length` 16, `dim` 0) between the model and KSampler.
"""


def describe() -> Workflow:
    text = {"clip": ("load", 1), "prompt": "a fox in the snow", "negative": "", "fps": 8.0}
    sampler = {
        "model": ("load", 0), "seed": 1, "steps": 20, "cfg": 4.0, "sampler_name": "euler_ancestral",
        "scheduler": "sgm_uniform", "positive": ("text", 0), "negative": ("text", 1), "latent_image": ("empty", 0),
        "denoise": 1.0,
    }  # fmt: skip
    return Workflow(
        "text_to_clip",
        {
            "load": load((40, 90)),
            "text": Node("DiffilmTextEncode", text, (40, 270), (400, 260)),
            "empty": Node("DiffilmEmptyLatent", {"frames": 16, "width": 128, "height": 128}, (40, 590), (400, 120)),
            "sample": Node("KSampler", sampler, (520, 90), (340, 480)),
            "decode": Node(
                "DiffilmDecodeVideo", {"vae": ("load", 2), "latent": ("sample", 0), "fps": 8.0, "batch": 4},
                (520, 620), (340, 110),
            ),
            **finish(("decode", 0), 940, 90, "diffilm/clip"),
        },
        [
            ("1. What to show", "story", (20, 20, 440, 740)),
            ("2. Sample", "film", (500, 20, 380, 740)),
            ("3. Finish", "finish", (920, 20, 790, 740)),
        ],
        NOTE,
        (40, 830, 820, 130),
    )  # fmt: skip
