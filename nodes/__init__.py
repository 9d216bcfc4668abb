"""The nodes. One file a stage; `host` is the only one that touches ComfyUI's internals."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import host
from .decode import DecodeVideo
from .latent import EmptyLatent
from .load import LoadModel
from .movie import WriteMovie
from .sample import FilmStoryboard
from .stages import InterpolateVideo, UpscaleVideo
from .story import StorySplitter
from .text import TextEncode

NODES: list[type[io.ComfyNode]] = [
    LoadModel,
    StorySplitter,
    TextEncode,
    EmptyLatent,
    FilmStoryboard,
    DecodeVideo,
    InterpolateVideo,
    UpscaleVideo,
    WriteMovie,
]


class Diffilm(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return NODES


async def comfy_entrypoint() -> Diffilm:
    host.register_folders()  # not in on_load, which ComfyUI 0.8.0 does not call
    return Diffilm()
