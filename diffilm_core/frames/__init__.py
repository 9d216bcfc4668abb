"""Lazy clips: decode, interpolate, upscale, join, spool, read and write, a chunk of frames in memory at a time."""

from ..atomic import written_whole
from .audio import Audio, AudioStream, open_audio, read_audio
from .decode import decode
from .fit import Fit, OutOfMemory
from .interpolate import interpolate
from .join import concat_files
from .mix import Track, mix
from .output import check_output
from .read import read, read_metadata
from .spool import spool
from .stream import FrameStream, as_fps, concat, frame_hashes, from_tensor, to_uint8
from .upscale import upscale
from .write import write

__all__ = [
    "Audio",
    "AudioStream",
    "Fit",
    "FrameStream",
    "OutOfMemory",
    "Track",
    "as_fps",
    "check_output",
    "concat",
    "concat_files",
    "decode",
    "frame_hashes",
    "from_tensor",
    "interpolate",
    "mix",
    "open_audio",
    "read",
    "read_audio",
    "read_metadata",
    "spool",
    "to_uint8",
    "upscale",
    "write",
    "written_whole",
]
