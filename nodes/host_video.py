"""Published video UNets and autoencoders as the host's MODEL and VAE, and the model folders that they lie in."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import torch

from ..diffilm_core.checkpoints import load_unet, load_vae
from ..diffilm_core.checkpoints.published import PUBLISHED, models_with, where_to_get
from ..diffilm_core.checkpoints.source import open_source
from ..diffilm_core.errors import DiffilmError
from . import host_svd
from .host import FOLDERS, files, find_file
from .host_models import make_vae
from .host_modelscope import make_modelscope_model
from .host_vdm import make_vdm_model

VAE_FOLDERS = ("vae", "checkpoints")
VAE_MODELS = ("modelscope", "sd-vae")
VIDEO_MODELS = ("modelscope", "zeroscope-576w", "zeroscope-xl", "svd", "svd-xt")
MARKS = (b"temopral_conv", b"temp_convs", b"time_mixer.mix_factor", b"time_rel_pos_bias.")  # in video UNets' names
MAX_HEADER = 100_000_000
WEIGHT_DTYPES: dict[str, torch.dtype | None] = {
    "default": None, "fp8_e4m3fn": torch.float8_e4m3fn, "fp8_e5m2": torch.float8_e5m2,
}  # fmt: skip


def video_files() -> list[str]:
    """The video UNets in the model folders; where there is none, the names of the published ones."""
    names = [name for name in files(FOLDERS) if _may_be_video(find_file(name, FOLDERS))]
    return sorted(names) or published_names(VIDEO_MODELS, "unet")


def vae_files() -> list[str]:
    """The files of models/vae; where there is none, the names of the published ones."""
    return files(VAE_FOLDERS[:1]) or published_names(VAE_MODELS, "vae")


def published_names(models: tuple[str, ...], role: str) -> list[str]:
    """The file names of these published models' parts of that role."""
    return list(dict.fromkeys(file.filename for m in models for file in PUBLISHED[m].files if file.role == role))


def file_path(name: str, folders: tuple[str, ...], models: tuple[str, ...], role: str) -> str:
    """The path of a file in the model folders.

    Raises DiffilmError where it is not there: with size, licence, folder and command of the published file of that
    name, or of the models that would do.
    """
    path = find_file(name, folders)
    if path is not None:
        return path
    wanted = [each for each in models_with(os.path.basename(name)) if each in models] or models
    raise DiffilmError(f"no file {name!r} in models/{', models/'.join(folders)}. {where_to_get(wanted, role)}")


def _may_be_video(path: str | None) -> bool:
    try:
        stat = os.stat(path or "")
        return _has_marks(str(path), stat.st_mtime_ns, stat.st_size)
    except OSError:
        return False


@lru_cache(maxsize=4096)
def _has_marks(path: str, mtime: int, size: int) -> bool:
    """Whether the names in a safetensors header or a torch zip are a video UNet's; True where none can be read."""
    with open(path, "rb") as file:
        start = file.read(8)
        if path.endswith((".safetensors", ".sft")):
            length = int.from_bytes(start, "little")
            names = file.read(length) if length < MAX_HEADER else b""
            return any(mark in names for mark in MARKS)
    if start[:4] != b"PK\x03\x04":
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            names = b"".join(archive.read(name) for name in archive.namelist() if name.endswith("data.pkl"))
    except (zipfile.BadZipFile, EOFError, NotImplementedError):
        return True  # the loader says what is wrong with it
    return any(mark in names for mark in MARKS)


MAKERS: dict[str, Callable[..., Any]] = {
    "modelscope": make_modelscope_model,
    "svd": host_svd.make_svd_model,
    "vdm": make_vdm_model,
}
"""By system: the MODEL of a UNet's config, weights, fingerprint, and the dtype to keep them in or None."""


def load_video_unet(path: str, weight_dtype: str = "default") -> Any:
    """The MODEL of any video UNet in a file. Raises DiffilmError for a file that holds none."""
    checkpoint = open_source(path)
    if "diffilm" in checkpoint.metadata:
        raise DiffilmError(f"{path} is a Diffilm model, expected another system's UNet: use Load Diffilm Model for it")
    unet: Any = load_unet(checkpoint, systems=tuple(MAKERS), operations=torch.nn)
    return MAKERS[unet.system](unet.config, unet.state_dict(), unet.fingerprint, WEIGHT_DTYPES[weight_dtype])


def load_host_vae(path: str) -> Any:
    """The host's VAE of an autoencoder in any published layout. Raises DiffilmError for a file that holds none."""
    autoencoder: Any = load_vae(path, operations=torch.nn)
    if autoencoder.system == "svd":
        return host_svd.make_svd_vae(autoencoder.state_dict(), autoencoder.fingerprint)
    return make_vae(SimpleNamespace(vae=autoencoder, fingerprint=autoencoder.fingerprint))
