"""A picture becomes a clip with Stable Video Diffusion."""

from __future__ import annotations

from workflow_parts import Node, Workflow, picture_to_clip

NOTE = """## A picture becomes a clip

Needs one of these in `models/checkpoints` (Stability AI Community License), or `diffilm fetch svd`:

- **svd.safetensors**, 9.56 GB, from `stabilityai/stable-video-diffusion-img2vid`: 14 frames, 25 steps
- **svd_xt.safetensors**, 9.56 GB, from `stabilityai/stable-video-diffusion-img2vid-xt`: 25 frames, 30 steps

The guidance grows from `min_cfg` at the first frame to `cfg` at the last. More motion: a higher `motion_bucket`. The
decoder sees `batch` frames together; fewer take less memory and give slightly other pixels.
"""


def describe() -> Workflow:
    return Workflow(
        "svd_image_to_video",
        {
            "picture": Node("LoadImage", {"image": "example.png"}, (40, 90), (400, 400)),
            **picture_to_clip(("picture", 0), 520, "diffilm/image_to_video"),
        },
        [
            ("1. Picture", "story", (20, 20, 440, 700)),
            ("2. Film it", "film", (500, 20, 770, 700)),
            ("3. Finish", "finish", (1310, 20, 790, 700)),
        ],
        NOTE,
        (40, 790, 1190, 240),
    )
