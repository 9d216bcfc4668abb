"""A walk from prompt to prompt, in step with music where some is connected."""

from __future__ import annotations

from workflow_parts import UPSCALE, Node, Workflow, load

NOTE = """## A walk from prompt to prompt

Every line of the walk is a station with a seed of its own; between two the text moves on a line and the noise on the
sphere, and every frame is a picture. It runs as it is, with the model that ships.

**Music:** add **Load Audio**, connect it to `audio` of *Diffilm Prompt Walk* and of *Diffilm Write Movie*. The walk
then moves with the drums, and the movie has the sound. `frames` 0 makes the walk as long as the music.

**Another model:** replace *Load Diffilm Model* by **Load Checkpoint** with any image model; set width, height, steps
and cfg to what that model likes.
"""


def describe() -> Workflow:
    prompts = "a fox in the snow\na bee over a flower in the meadow\nan owl in the forest at night"
    walk = {
        "clip": ("load", 1), "prompts": prompts,
        "seeds": "1, 2, 3", "negative": "", "frames": 24, "fps": 12.0, "width": 128, "height": 128, "batch": 8,
        "smooth": 0.0,
    }  # fmt: skip
    custom = {
        "noise": ("walk", 2), "guider": ("guider", 0), "sampler": ("sampler", 0), "sigmas": ("sigmas", 0),
        "latent_image": ("walk", 3),
    }  # fmt: skip
    return Workflow(
        "prompt_walk_music",
        {
            "load": load((40, 90)),
            "walk": Node("DiffilmPromptWalk", walk, (40, 270), (400, 480)),
            "guider": Node(
                "CFGGuider", {"model": ("load", 0), "positive": ("walk", 0), "negative": ("walk", 1), "cfg": 4.0},
                (520, 90), (320, 120),
            ),
            "sampler": Node("KSamplerSelect", {"sampler_name": "dpmpp_2m"}, (520, 280), (320, 60)),
            "sigmas": Node(
                "BasicScheduler", {"model": ("load", 0), "scheduler": "sgm_uniform", "steps": 20, "denoise": 1.0},
                (520, 410), (320, 110),
            ),
            "sample": Node("SamplerCustomAdvanced", custom, (520, 590), (320, 130)),
            "decode": Node(
                "DiffilmDecodeVideo", {"vae": ("load", 2), "latent": ("sample", 0), "fps": 12.0, "batch": 4},
                (920, 90), (320, 110),
            ),
            "upscale": Node(
                "DiffilmUpscaleVideo",
                {"video": ("decode", 0), "scale": 4.0, "width": 0, "height": 0, **UPSCALE},
                (920, 270), (320, 270),
            ),
            "write": Node(
                "DiffilmWriteMovie", {"videos": ("upscale", 0), "movie": "diffilm/walk", "crf": 18},
                (1320, 90), (400, 480),
            ),
        },
        [
            ("1. Stations", "story", (20, 20, 440, 750)),
            ("2. Sample each frame", "film", (500, 20, 360, 750)),
            ("3. Frames", "film", (900, 20, 360, 750)),
            ("4. Movie", "finish", (1300, 20, 440, 750)),
        ],
        NOTE,
        (40, 840, 1220, 230),
    )  # fmt: skip
