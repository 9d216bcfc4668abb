"""A prompt becomes a clip with Zeroscope v2: a small one, made anew in detail by a second pass over its enlargement."""

from __future__ import annotations

from workflow_parts import INTERPOLATE, Node, Workflow

NOTE = """## A small clip, then a large one of it

**Needs four files that are not in the pack** (CC-BY-NC-4.0: no commercial use). Nothing runs before they are there.
`diffilm fetch zeroscope-576w` and `diffilm fetch zeroscope-xl` bring them from `cerspense/zeroscope_v2_576w` and `_XL`:

| What | File | Size | Folder |
|---|---|---|---|
| First UNet | zeroscope_v2_576w.pth | 2.82 GB | `models/diffusion_models` |
| Second UNet | zeroscope_v2_XL.pth | 2.82 GB | `models/diffusion_models` |
| Text encoder | zeroscope_v2_576w_open_clip.bin | 1.97 GB | `models/text_encoders` |
| Autoencoder | VQGAN_autoencoder.pth | 5.21 GB | `models/vae` |

The autoencoder is ModelScope's; Stable Diffusion's fits as well (`diffilm fetch sd-vae`, 335 MB, MIT).

First pass: 24 frames of 576x320. They are decoded, enlarged to 1024x576 and encoded, and XL makes two thirds of them
anew (`denoise` 0.66 to 0.85: more changes more). A small card wants `--lowvram`, or `weight_dtype` fp8.
"""


def unet(name: str, pos: tuple[int, int], title: str) -> Node:
    return Node("DiffilmLoadVideoUNet", {"unet_name": name, "weight_dtype": "default"}, pos, (380, 110), title)


def ddim(model: str, denoise: float, steps: int, pos: tuple[int, int]) -> Node:
    return Node("DiffilmDDIM", {"model": (model, 0), "steps": steps, "denoise": denoise}, pos, (330, 110))


def film(model: str, sampler: str, latent: str, cfg: float, seed: int, pos: tuple[int, int], title: str) -> Node:
    values = {
        "model": (model, 0), "add_noise": True, "noise_seed": seed, "cfg": cfg, "positive": ("prompt", 0),
        "negative": ("negative", 0), "sampler": (sampler, 0), "sigmas": (sampler, 1), "latent_image": (latent, 0),
    }  # fmt: skip
    return Node("SamplerCustom", values, pos, (330, 330), title)


def describe() -> Workflow:
    clip = {"clip_name": "zeroscope_v2_576w_open_clip.bin", "type": "stable_diffusion", "device": "default"}
    enlarge = {"image": ("decode", 0), "upscale_method": "bicubic", "width": 1024, "height": 576, "crop": "disabled"}
    return Workflow(
        "zeroscope_two_pass",
        {
            "small": unet("zeroscope_v2_576w.pth", (40, 90), "First UNet"),
            "large": unet("zeroscope_v2_XL.pth", (40, 270), "Second UNet"),
            "clip": Node("CLIPLoader", clip, (40, 450), (380, 110)),
            "vae": Node("DiffilmLoadVAE", {"vae_name": "VQGAN_autoencoder.pth"}, (40, 630), (380, 80)),
            "prompt": Node(
                "CLIPTextEncode", {"clip": ("clip", 0), "text": "A panda eating bamboo on a rock."}, (500, 90),
                (380, 160), "Prompt",
            ),
            "negative": Node(
                "CLIPTextEncode", {"clip": ("clip", 0), "text": ""}, (500, 310), (380, 100), "Negative prompt"
            ),
            "empty": Node(
                "DiffilmEmptyLatent", {"frames": 24, "width": 576, "height": 320}, (500, 470), (380, 120)
            ),
            "first_steps": ddim("small", 1.0, 50, (960, 90)),
            "first": film("small", "first_steps", "empty", 9.0, 1, (960, 260), "First pass"),
            "decode": Node("VAEDecode", {"samples": ("first", 0), "vae": ("vae", 0)}, (1370, 90), (300, 60)),
            "enlarge": Node("ImageScale", enlarge, (1370, 210), (300, 160)),
            "encode": Node("VAEEncode", {"pixels": ("enlarge", 0), "vae": ("vae", 0)}, (1370, 430), (300, 60)),
            "second_steps": ddim("large", 0.66, 33, (1750, 90)),
            "second": film("large", "second_steps", "encode", 15.0, 2, (1750, 260), "Second pass"),
            "video": Node(
                "DiffilmDecodeVideo", {"vae": ("vae", 0), "latent": ("second", 0), "fps": 8.0, "batch": 1},
                (2160, 90), (300, 110),
            ),
            "interpolate": Node(
                "DiffilmInterpolateVideo", {"video": ("video", 0), "fps": 24.0, **INTERPOLATE}, (2160, 260),
                (300, 190),
            ),
            "write": Node(
                "DiffilmWriteMovie", {"videos": ("interpolate", 0), "movie": "diffilm/zeroscope", "crf": 18},
                (2540, 90), (400, 480),
            ),
        },
        [
            ("1. Models", "model", (20, 20, 420, 760)),
            ("2. Prompt", "story", (480, 20, 420, 760)),
            ("3. Small clip", "film", (940, 20, 370, 760)),
            ("4. Enlarge", "finish", (1350, 20, 340, 760)),
            ("5. Large clip", "film", (1730, 20, 370, 760)),
            ("6. Finish", "finish", (2140, 20, 820, 760)),
        ],
        NOTE,
        (40, 850, 1270, 360),
    )  # fmt: skip
