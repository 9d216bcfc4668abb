"""A published text-to-video model in a folder, ready to sample: a diffusers pipeline, or the original's files."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import torch

from .bundle import Defaults, ModelConfig, VideoModel
from .checkpoints import load_text_encoder, load_unet, load_vae
from .checkpoints.files import read_tensors
from .checkpoints.inspect import matches
from .checkpoints.layout import ROLES as ROLE_NAMES
from .checkpoints.pickles import SUFFIXES
from .checkpoints.source import Checkpoint, open_source
from .errors import DiffilmError
from .sampling.schedules import NoiseSchedule

ROLES = ("unet", "text", "vae")
PLACES = ("diffusion_models", "text_encoders", "vae")  # where `diffilm fetch --to FOLDER` puts them
# How each system was published: noise schedule, what the network predicts, the settings of its own sampling.
SYSTEMS: dict[str, tuple[dict[str, Any], str, Defaults]] = {
    "modelscope": (
        {"name": "scaled_linear"}, "eps",
        Defaults(width=256, height=256, frames=16, fps=8.0, steps=50, cfg=9.0, sampler="ddim", spacing="ddim"),
    ),
}  # fmt: skip
EXPECTED = (
    "expected a Diffilm model, a diffusers folder of ModelScope or Zeroscope (unet, text_encoder, vae), or one with "
    "text2video_pytorch_model.pth, open_clip_pytorch_model.bin and VQGAN_autoencoder.pth (diffilm fetch modelscope)"
)


def is_pipeline(path: Path) -> bool:
    """Whether this is a folder without a file of Diffilm's own. Raises DiffilmError for a file that cannot be read."""
    files = sorted(path.glob("*.safetensors")) if os.path.isdir(path) else []
    return os.path.isdir(path) and not any("diffilm" in read_tensors(file)[1] for file in files)


def load_pipeline(folder: Path, *, device: torch.device, dtype: torch.dtype) -> VideoModel:
    """The folder's UNet, text encoder and autoencoder, with the schedule and the settings of their publication.

    Raises DiffilmError where one of them is missing or damaged, or the UNet makes no video of a text.
    """
    sources = _sources(folder)
    unet: Any = load_unet(sources["unet"], systems=tuple(SYSTEMS), dtype=dtype, device=device)
    vae: Any = load_vae(sources["vae"], dtype=dtype, device=device)
    text = load_text_encoder(sources["text"], dtype=torch.float32, device=device)
    if text.width != unet.config.context_dim:
        raise DiffilmError(
            f"{folder}: its text encoder gives {text.width} numbers a token, its UNet takes {unet.config.context_dim}: "
            "give a folder whose parts belong together"
        )
    schedule, prediction, defaults = SYSTEMS[unet.system]
    digests = "".join((unet.fingerprint, vae.fingerprint, text.fingerprint))
    return VideoModel(
        unet=unet,
        vae=vae,
        text=text,
        schedule=NoiseSchedule.create(**schedule),
        prediction=prediction,
        fingerprint=hashlib.sha256(digests.encode()).hexdigest(),
        path=folder,
        config=ModelConfig(unet.config, vae.config, {}, schedule, prediction, defaults),
    )


def _sources(folder: Path) -> dict[str, Checkpoint | Path]:
    """What each part is read from: the whole pipeline, or the file that holds it."""
    if (folder / "unet").is_dir():
        whole = open_source(folder)
        found: dict[str, list[Checkpoint | Path]] = {layout.role: [whole] for layout, _ in matches(whole, ROLES)[0]}
    else:
        found = {}
        for file in sorted(file for place in ("", *PLACES) for file in (folder / place).glob("*")):
            if file.suffix in (*SUFFIXES, ".safetensors"):
                for layout, _ in matches(open_source(file, meta=True), ROLES)[0]:
                    found.setdefault(layout.role, []).append(file)
    if missing := [ROLE_NAMES[role] for role in ROLES if role not in found]:
        raise DiffilmError(f"folder {folder} holds no {' and no '.join(missing)}: {EXPECTED}")
    for role, files in found.items():
        if len(files) > 1:
            raise DiffilmError(
                f"folder {folder} holds {len(files)} files of the part {ROLE_NAMES[role]!r} "
                f"({', '.join(str(file) for file in files[:3])}): give a folder with one"
            )
    return {role: files[0] for role, files in found.items()}
