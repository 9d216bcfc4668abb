"""Motion learnt from a video, applied to the model that it was learnt for, and filmed with."""

from __future__ import annotations

from workflow_parts import Node, Workflow, load

NOTE = """## Learn motion from your own clips

Put a video into the input folder and choose it in **Load Video**; for many, leave that out and give **Train Motion**
the *folder*. No text is read. 20 steps show that it works, on a CPU too; to learn something, give thousands, with clips
of what should move, on a GPU.

**Cancel** keeps what was learnt: Run goes on from there. More *steps* later go on too. The file is in
`models/animatediff_models`, and **Apply Motion** lists it once the page is loaded again.

For Stable Diffusion 1.5: **Load Checkpoint** instead of Load Diffilm Model, *width* and *height* 256 or more; the file
is then an AnimateDiff motion model that other programs take too.
"""


def describe() -> Workflow:
    size = {"width": 128, "height": 128, "frames": 16}
    train = {
        "model": ("load", 0), "clip": ("load", 1), "vae": ("load", 2), "name": "my_motion", "steps": 20, **size,
        "min_fps": 4.0, "max_fps": 16.0, "batch": 1, "learning_rate": 0.0001, "seed": 0, "save_memory": False,
        "videos": ("video", 0), "folder": "", "preview": "a fox in the snow", "source_fps": 8.0,
    }  # fmt: skip
    motion = {
        "model": ("load", 0), "motion_model": ("train", 0), "motion_scale": 1.0, "strengths": "",
        "beta_schedule": "as trained",
    }  # fmt: skip
    sampler = {
        "model": ("motion", 0), "seed": 1, "steps": 12, "cfg": 4.0, "sampler_name": "euler_ancestral",
        "scheduler": "sgm_uniform", "positive": ("text", 0), "negative": ("text", 1), "latent_image": ("empty", 0),
        "denoise": 1.0,
    }  # fmt: skip
    text = {"clip": ("load", 1), "prompt": "a fox in the snow", "negative": "", "fps": 8.0}
    return Workflow(
        "train_motion",
        {
            "load": load((40, 90)),
            "video": Node("LoadVideo", {"file": "clip.mp4"}, (40, 270), (330, 360)),
            "train": Node("DiffilmTrainMotion", train, (460, 90), (400, 640)),
            "motion": Node("DiffilmApplyMotion", motion, (950, 90), (360, 200)),
            "text": Node("DiffilmTextEncode", text, (950, 360), (360, 200)),
            "empty": Node("DiffilmEmptyLatent", {**size}, (950, 630), (360, 120)),
            "film": Node("KSampler", sampler, (1400, 90), (330, 480)),
            "decode": Node(
                "DiffilmDecodeVideo", {"vae": ("load", 2), "latent": ("film", 0), "fps": 8.0, "batch": 4},
                (1400, 630), (330, 110),
            ),
            "write": Node(
                "DiffilmWriteMovie", {"videos": ("decode", 0), "movie": "diffilm/trained", "crf": 18}, (1820, 90),
                (400, 480),
            ),
        },
        [
            ("1. Model and clips", "model", (20, 20, 370, 750)),
            ("2. Learn", "story", (440, 20, 440, 750)),
            ("3. Film it", "film", (930, 20, 820, 750)),
            ("4. Save", "finish", (1800, 20, 440, 750)),
        ],
        NOTE,
        (40, 840, 1000, 290),
    )  # fmt: skip
