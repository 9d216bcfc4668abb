"""A sentence becomes a picture with any image model, and the picture a clip with Stable Video Diffusion."""

from __future__ import annotations

from workflow_parts import Node, Workflow, picture_to_clip

NOTE = """## A sentence becomes a picture, the picture a clip

Needs two files in `models/checkpoints`:

- an image model, any that ComfyUI loads; for example **v1-5-pruned-emaonly-fp16.safetensors**, 2.13 GB, CreativeML Open
  RAIL-M, from `Comfy-Org/stable-diffusion-v1-5-archive`: `diffilm fetch sd15`
- **svd.safetensors**, 9.56 GB, Stability AI Community License, from `stabilityai/stable-video-diffusion-img2vid`:
  `diffilm fetch svd`

The picture is cropped to the clip's shape and resized. The same seeds make the same clip.
"""
IMAGE_MODEL = "v1-5-pruned-emaonly-fp16.safetensors"


def describe() -> Workflow:
    sampler = {
        "model": ("image_model", 0), "seed": 1, "steps": 25, "cfg": 7.0, "sampler_name": "dpmpp_2m",
        "scheduler": "karras", "positive": ("shown", 0), "negative": ("avoided", 0), "latent_image": ("empty", 0),
        "denoise": 1.0,
    }  # fmt: skip
    shown, avoided = "a red fox in deep snow, golden morning light, photograph", "text, watermark, blurry"
    return Workflow(
        "text_to_image_to_video",
        {
            "image_model": Node("CheckpointLoaderSimple", {"ckpt_name": IMAGE_MODEL}, (40, 90), (400, 110)),
            "shown": Node(
                "CLIPTextEncode", {"clip": ("image_model", 1), "text": shown}, (40, 250), (400, 120), "What to show"
            ),
            "avoided": Node(
                "CLIPTextEncode", {"clip": ("image_model", 1), "text": avoided}, (40, 420), (400, 120), "What to avoid"
            ),
            "empty": Node(
                "EmptyLatentImage", {"width": 768, "height": 432, "batch_size": 1}, (40, 590), (400, 110)
            ),
            "paint": Node("KSampler", sampler, (480, 90), (320, 480)),
            "decode_picture": Node(
                "VAEDecode", {"samples": ("paint", 0), "vae": ("image_model", 2)}, (480, 620), (320, 60)
            ),
            **picture_to_clip(("decode_picture", 0), 880, "diffilm/text_to_image_to_video"),
        },
        [
            ("1. Picture", "story", (20, 20, 800, 700)),
            ("2. Film it", "film", (860, 20, 770, 700)),
            ("3. Finish", "finish", (1670, 20, 790, 700)),
        ],
        NOTE,
        (40, 790, 1190, 260),
    )  # fmt: skip
