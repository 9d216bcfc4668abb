"""The nodes. One file a stage; `host` is the only one that touches ComfyUI's internals."""

from __future__ import annotations

from comfy_api.latest import ComfyExtension, io

from . import host, host_motion
from .ddim import DDIM
from .decode import DecodeVideo
from .describe import DescribeVideo
from .director import DirectorPrompt, DirectorStoryboard
from .evaluate import Evaluate
from .image_to_video import ImageToVideo, LoadImageToVideo
from .latent import EmptyLatent
from .load import LoadModel
from .load_video import LoadVAE, LoadVideoUNet
from .motion import ApplyMotion, MotionLoraNode
from .movie import WriteMovie
from .sample import FilmStoryboard
from .stages import InterpolateVideo, UpscaleVideo
from .story import StorySplitter
from .storyboard import CastMember, MergeStoryboards, PickShots, ReplacePrompt, StoryboardLists
from .text import TextEncode
from .train import TrainMotion
from .travel import PromptTravelNode
from .vdm import EmptyPixels, EncodeCaption, LoadVDM, SaveGif
from .walk import PromptWalk

NODES: list[type[io.ComfyNode]] = [
    LoadModel,
    LoadVideoUNet,
    LoadVAE,
    StorySplitter,
    PickShots,
    ReplacePrompt,
    CastMember,
    MergeStoryboards,
    StoryboardLists,
    DirectorPrompt,
    DirectorStoryboard,
    DescribeVideo,
    Evaluate,
    TextEncode,
    EmptyLatent,
    DDIM,
    ApplyMotion,
    MotionLoraNode,
    TrainMotion,
    LoadImageToVideo,
    ImageToVideo,
    FilmStoryboard,
    DecodeVideo,
    InterpolateVideo,
    UpscaleVideo,
    WriteMovie,
    PromptTravelNode,
    PromptWalk,
    LoadVDM,
    EncodeCaption,
    EmptyPixels,
    SaveGif,
]


class Diffilm(ComfyExtension):
    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        return NODES


async def comfy_entrypoint() -> Diffilm:
    host_motion.register_folders()
    host.register_folders()  # not in on_load, which ComfyUI 0.8.0 does not call
    return Diffilm()
