"""A prompt becomes a clip with ModelScope's text-to-video model, sampled as published."""

from __future__ import annotations

from workflow_parts import INTERPOLATE, Node, Workflow

NOTE = """## A prompt becomes a clip, as ModelScope published it

**Needs three files that are not in the pack** (CC-BY-NC-4.0: no commercial use). Nothing runs before they are there.
`diffilm fetch modelscope` brings them from `ali-vilab/modelscope-damo-text-to-video-synthesis`:

| What | File | Size | Folder |
|---|---|---|---|
| Video UNet | text2video_pytorch_model.pth | 5.65 GB | `models/diffusion_models` |
| Text encoder | open_clip_pytorch_model.bin | 3.94 GB | `models/text_encoders` |
| Autoencoder | VQGAN_autoencoder.pth | 5.21 GB | `models/vae` |

16 frames of 256x256 at 8 a second, 50 steps of DDIM, cfg 9 are what it was made for. **Diffilm DDIM** makes the
published latents; for other samplers put KSampler in the place of SamplerCustom. More than 16 frames: **Context Windows
(Manual)** after the UNet. The UNet of a diffusers folder (`text-to-video-ms-1.7b`) does as well.
"""


def describe() -> Workflow:
    sampler = {
        "model": ("unet", 0), "add_noise": True, "noise_seed": 1, "cfg": 9.0, "positive": ("prompt", 0),
        "negative": ("negative", 0), "sampler": ("ddim", 0), "sigmas": ("ddim", 1), "latent_image": ("empty", 0),
    }  # fmt: skip
    clip = {"clip_name": "open_clip_pytorch_model.bin", "type": "stable_diffusion", "device": "default"}
    return Workflow(
        "modelscope_text_to_video",
        {
            "unet": Node(
                "DiffilmLoadVideoUNet",
                {"unet_name": "text2video_pytorch_model.pth", "weight_dtype": "default"}, (40, 90), (380, 110),
            ),
            "clip": Node("CLIPLoader", clip, (40, 270), (380, 110)),
            "vae": Node("DiffilmLoadVAE", {"vae_name": "VQGAN_autoencoder.pth"}, (40, 450), (380, 80)),
            "prompt": Node(
                "CLIPTextEncode", {"clip": ("clip", 0), "text": "A panda eating bamboo on a rock."}, (500, 90),
                (380, 160), "Prompt",
            ),
            "negative": Node(
                "CLIPTextEncode", {"clip": ("clip", 0), "text": ""}, (500, 310), (380, 100), "Negative prompt"
            ),
            "empty": Node(
                "DiffilmEmptyLatent", {"frames": 16, "width": 256, "height": 256}, (500, 470), (380, 120)
            ),
            "ddim": Node("DiffilmDDIM", {"model": ("unet", 0), "steps": 50, "denoise": 1.0}, (960, 90), (330, 110)),
            "film": Node("SamplerCustom", sampler, (960, 260), (330, 330)),
            "decode": Node(
                "DiffilmDecodeVideo", {"vae": ("vae", 0), "latent": ("film", 0), "fps": 8.0, "batch": 4},
                (1370, 90), (300, 110),
            ),
            "interpolate": Node(
                "DiffilmInterpolateVideo", {"video": ("decode", 0), "fps": 24.0, **INTERPOLATE}, (1370, 260),
                (300, 190),
            ),
            "write": Node(
                "DiffilmWriteMovie", {"videos": ("interpolate", 0), "movie": "diffilm/modelscope", "crf": 18},
                (1750, 90), (400, 480),
            ),
        },
        [
            ("1. Model", "model", (20, 20, 420, 620)),
            ("2. Prompt", "story", (480, 20, 420, 620)),
            ("3. Film it", "film", (940, 20, 370, 620)),
            ("4. Finish", "finish", (1350, 20, 820, 620)),
        ],
        NOTE,
        (40, 710, 1250, 330),
    )  # fmt: skip
