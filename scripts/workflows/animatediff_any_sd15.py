"""Any Stable Diffusion 1.5 checkpoint becomes a video model with AnimateDiff's motion modules."""

from __future__ import annotations

from workflow_parts import INTERPOLATE, Node, Workflow

NOTE = """## Any Stable Diffusion 1.5 checkpoint makes clips

**Needs two files that are not in the pack.** Nothing runs before they are there.

| What | File | Size | Licence | Folder | Brought by |
|---|---|---|---|---|---|
| Image model | v1-5-pruned-emaonly-fp16.safetensors, or any other SD 1.5 | 2.13 GB | CreativeML Open RAIL-M | `models/checkpoints` | `diffilm fetch sd15` |
| Motion model | v3_sd15_mm.ckpt, from `guoyww/animatediff` | 1.67 GB | Apache-2.0 | `models/animatediff_models` | `diffilm fetch animatediff-v3` |

LoRAs go on the model before or after **Apply Motion**; camera moves (for v2) through **Diffilm Motion LoRA** after it. More
than 16 frames: **Context Windows (Manual)** between it and KSampler. AnimateLCM: 6 steps, cfg 1.5, `lcm`, `sgm_uniform`.
Lightning: 4 steps, cfg 1, `euler`, `simple`.
"""  # noqa: E501


def describe() -> Workflow:
    motion = {
        "model": ("image_model", 0), "motion_model": "v3_sd15_mm.ckpt", "motion_scale": 1.0, "strengths": "",
        "beta_schedule": "as trained",
    }  # fmt: skip
    sampler = {
        "model": ("motion", 0), "seed": 1, "steps": 25, "cfg": 8.0, "sampler_name": "euler",
        "scheduler": "ddim_uniform", "positive": ("prompt", 0), "negative": ("negative", 0),
        "latent_image": ("empty", 0), "denoise": 1.0,
    }  # fmt: skip
    prompt = "a red fox running through fresh snow in a sunlit forest, detailed fur, breath in the cold air"
    return Workflow(
        "animatediff_any_sd15",
        {
            "image_model": Node(
                "CheckpointLoaderSimple", {"ckpt_name": "v1-5-pruned-emaonly-fp16.safetensors"}, (40, 90), (380, 110)
            ),
            "motion": Node("DiffilmApplyMotion", motion, (40, 270), (380, 200)),
            "prompt": Node(
                "CLIPTextEncode", {"clip": ("image_model", 1), "text": prompt}, (500, 90), (380, 160), "Prompt"
            ),
            "negative": Node(
                "CLIPTextEncode", {"clip": ("image_model", 1), "text": "blurry, low quality, text, watermark"},
                (500, 310), (380, 100), "Negative prompt",
            ),
            "empty": Node(
                "DiffilmEmptyLatent", {"frames": 16, "width": 512, "height": 512}, (500, 470), (380, 120)
            ),
            "film": Node("KSampler", sampler, (960, 90), (330, 480)),
            "decode": Node(
                "DiffilmDecodeVideo", {"vae": ("image_model", 2), "latent": ("film", 0), "fps": 8.0, "batch": 4},
                (1370, 90), (300, 110),
            ),
            "interpolate": Node(
                "DiffilmInterpolateVideo", {"video": ("decode", 0), "fps": 24.0, **INTERPOLATE}, (1370, 260),
                (300, 190),
            ),
            "write": Node(
                "DiffilmWriteMovie", {"videos": ("interpolate", 0), "movie": "diffilm/animatediff", "crf": 18},
                (1750, 90), (400, 480),
            ),
        },
        [
            ("1. Image model and motion", "model", (20, 20, 420, 620)),
            ("2. Prompt", "story", (480, 20, 420, 620)),
            ("3. Film it", "film", (940, 20, 370, 620)),
            ("4. Finish", "finish", (1350, 20, 820, 620)),
        ],
        NOTE,
        (40, 710, 1250, 220),
    )  # fmt: skip
