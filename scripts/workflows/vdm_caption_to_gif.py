"""A caption as a GIF, by a Video Diffusion Model of one's own."""

from __future__ import annotations

from workflow_parts import Node, Workflow

NOTE = """## A caption becomes a GIF, pixel by pixel

**Needs two files that are not in the pack.** Nothing runs before they are there.

| What | File | Size | Licence | Folder |
|---|---|---|---|---|
| Video diffusion UNet | the trainer's `model-N.pt` | 334 MB (dim 64) | yours | `models/diffusion_models` |
| Captions | `google-bert/bert-base-cased`: config.json, vocab.txt, tokenizer_config.json, model.safetensors \
| 436 MB | Apache-2.0 | `models/text_encoders/bert-base-cased` |

No weights of Video Diffusion Models (Ho et al. 2022) were published: train some with **video-diffusion-pytorch**
(any version; MIT). Its own trainer never drops the caption, so guidance has nothing to lean on there: use cfg 1.

1000 steps are the published number. Each frame is shown for 120 ms.
"""


def describe() -> Workflow:
    load = {"model_name": "model-100.pt", "keep_in_range": "clip", "percentile": 0.9}
    caption = {"bert": "bert-base-cased", "caption": "a fox in the snow", "pooling": "mean"}
    sampler = {
        "model": ("load", 0), "seed": 1, "steps": 1000, "cfg": 2.0, "sampler_name": "euler_ancestral",
        "scheduler": "simple", "positive": ("caption", 0), "negative": ("caption", 1), "latent_image": ("empty", 0),
        "denoise": 1.0,
    }  # fmt: skip
    return Workflow(
        "vdm_caption_to_gif",
        {
            "load": Node("DiffilmLoadVDM", load, (40, 90), (400, 150)),
            "caption": Node("DiffilmEncodeCaption", caption, (40, 310), (400, 220)),
            "empty": Node("DiffilmEmptyPixels", {"frames": 10, "width": 64, "height": 64}, (40, 600), (400, 120)),
            "sample": Node("KSampler", sampler, (520, 90), (340, 480)),
            "decode": Node(
                "DiffilmDecodeVideo", {"vae": ("load", 1), "latent": ("sample", 0), "fps": 8.0, "batch": 4},
                (520, 620), (340, 110),
            ),
            "save": Node(
                "DiffilmSaveGIF", {"video": ("decode", 0), "name": "diffilm/caption", "frame_ms": 120},
                (940, 90), (400, 480),
            ),
        },
        [
            ("1. Model and caption", "model", (20, 20, 440, 740)),
            ("2. Sample", "film", (500, 20, 380, 740)),
            ("3. GIF", "finish", (920, 20, 440, 740)),
        ],
        NOTE,
        (40, 830, 1320, 300),
    )  # fmt: skip
