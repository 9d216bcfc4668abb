"""Video Diffusion Models as the host's MODEL, pixels as its latents, and BERT's folders."""

from __future__ import annotations

import json
import os
from functools import lru_cache
from typing import Any

import folder_paths
import torch

from ..diffilm_core.checkpoints import inspect
from ..diffilm_core.errors import DiffilmError
from ..diffilm_core.models.vdm import VDMUNet
from ..diffilm_core.sampling.vdm import check_percentile, thresholded, vdm_schedule
from .host import FOLDERS, files, find_file
from .host_models import HostForward, make_unet_model

TEXT_FOLDERS = ("text_encoders",)
MEMORY = 8.0
"""The host's memory factor: the widest layers of 64 channels stand at the size of the pixels."""


class HostVDM(HostForward, VDMUNet):
    """The core's VDM UNet with the host's layers."""


def vdm_files() -> list[str]:
    """The files of Video Diffusion Models in the folders of models."""
    return [name for name in files(FOLDERS) if _is_vdm(*_stamp(find_file(name, FOLDERS)))]


def _stamp(path: str | None) -> tuple[str, int, int]:
    try:
        stat = os.stat(path or "")
    except OSError:
        return "", 0, 0
    return str(path), stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=4096)
def _is_vdm(path: str, mtime: int, size: int) -> bool:
    try:
        return bool(path) and inspect(path).system == "vdm"
    except DiffilmError:
        return False


def make_vdm_model(
    core: Any, weights: Any, fingerprint: str, dtype: torch.dtype | None = None, *, percentile: float | None = None
) -> Any:
    """A VDM UNet as the host's MODEL whose guided x0 is clipped (None) or dynamically thresholded."""
    import comfy.latent_formats

    check_percentile(percentile)
    schedule = vdm_schedule()
    model = make_unet_model(
        core,
        weights,
        latent_format=comfy.latent_formats.ChromaRadiance(),
        fingerprint=fingerprint,
        sampling={"timesteps": len(schedule)},
        sigmas=schedule.sigmas,
        conditions={"drop": 0.0},
        memory=MEMORY,
        dtype=dtype,
        unet_class=HostVDM,
    )

    def keep_in_range(args: dict[str, Any]) -> torch.Tensor:
        return thresholded(args["denoised"], percentile, clip_dim=-1)

    model.set_model_sampler_post_cfg_function(keep_in_range)
    return model


def pixel_vae() -> Any:
    """The host's VAE that hands pixels through."""
    import comfy.sd

    return comfy.sd.VAE(sd={"pixel_space_vae": torch.tensor(1.0)})


def bert_folders() -> list[str]:
    """The folders in models/text_encoders that hold a BERT."""
    found = set()
    for root in _text_roots():
        with os.scandir(root) as entries:
            found |= {entry.name for entry in entries if entry.is_dir() and _is_bert(entry.path)}
    return sorted(found)


def bert_folder(name: str) -> str | None:
    """The path of a folder that `bert_folders` gave, or None where it is gone."""
    paths = (os.path.join(root, name) for root in _text_roots())
    return next((path for path in paths if name and os.path.basename(name) == name and _is_bert(path)), None)


def _text_roots() -> list[str]:
    known = [name for name in TEXT_FOLDERS if name in folder_paths.folder_names_and_paths]
    return [root for name in known for root in folder_paths.get_folder_paths(name) if os.path.isdir(root)]


def _is_bert(path: str) -> bool:
    try:
        with open(os.path.join(path, "config.json"), encoding="utf-8") as file:
            return json.load(file).get("model_type") == "bert"
    except (OSError, ValueError, AttributeError):
        return False
