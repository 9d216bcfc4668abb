"""All shots into one file: each encoded once and kept, then joined by copying packets."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import av
from comfy_api.latest import InputImpl, io, ui

from ..diffilm_core import frames as stages
from ..diffilm_core.frames.fit import until_it_fits
from ..diffilm_core.frames.write import H264
from ..diffilm_core.movie import ShotStore
from . import host
from .store import open_store
from .types import CATEGORY
from .video import audio_of, derived_key, key_of, stream_of


class WriteMovie(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmWriteMovie",
            display_name="Diffilm Write Movie",
            category=CATEGORY,
            description=(
                "Joins a list of videos into one MP4 in the output folder. Each shot is made, encoded and kept in the "
                "movie's folder one after the other, so that a second run encodes only what changed."
            ),
            is_input_list=True,
            is_output_node=True,
            inputs=[
                io.Video.Input("videos", tooltip="The shots in order, all of one size and frame rate."),
                io.String.Input(
                    "movie", default="diffilm/movie",
                    tooltip="The movie's name in the output folder; a number is added, so that no file is overwritten.",
                ),
                io.Int.Input(
                    "crf", default=18, min=0, max=51,
                    tooltip="Quality of the H.264 file: 0 is the best and largest, 51 the worst and smallest.",
                ),
                io.Audio.Input("audio", optional=True, tooltip="Sound for the whole movie, cut where it ends."),
            ],
            outputs=[io.Video.Output(display_name="video", tooltip="The finished movie.")],
        )  # fmt: skip

    @classmethod
    def execute(
        cls, videos: list[Any], movie: list[str], crf: list[int], audio: list[Any] | None = None
    ) -> io.NodeOutput:
        sound = audio_of((audio or [None])[0])
        store = open_store(movie[0])
        streams = [stream_of(video) for video in videos]
        whole = stages.concat(streams)
        out_folder, stem, counter, subfolder = host.save_path(movie[0], whole.width, whole.height)
        name = f"{stem}_{counter:05}_.mp4"
        progress = host.Progress(whole.frames)
        done = 0
        with tempfile.TemporaryDirectory(dir=host.temp_directory(), prefix="diffilm-") as unkept:
            segments = []
            for number, (video, stream) in enumerate(zip(videos, streams, strict=True)):
                write = partial(stages.write, stream, crf=crf[0], progress=_shifted(progress, done, whole.frames))
                segments.append(_segment(store, video, write, crf[0], Path(unkept, f"{number}.mp4")))
                done += stream.frames
                progress("write", done, whole.frames)
            out = stages.concat_files(segments, Path(out_folder, name), metadata=metadata_of(cls), audio=sound)
        saved = ui.SavedResult(name, subfolder, io.FolderType.output)
        return io.NodeOutput(InputImpl.VideoFromFile(str(out)), ui=ui.PreviewVideo([saved]))


def _segment(store: ShotStore, video: Any, write: Callable[[Path], Path], crf: int, unkept: Path) -> Path:
    """A shot's file: the one that is kept, or written and kept under the key of the settings that memory allowed."""

    def key() -> str | None:
        return derived_key(key_of(video), "segment", crf, av.__version__, H264)

    wanted = key()
    kept = None if wanted is None else store.segment(wanted)
    if kept is not None:
        return kept
    until_it_fits(lambda: write(unkept))
    used = key()
    return unkept if used is None else store.put_segment(used, lambda path: Path(shutil.copyfile(unkept, path)))


def metadata_of(node: type[io.ComfyNode]) -> dict[str, str]:
    """The workflow for an output node's file, so that dropping it on the canvas opens it, unless the host was told not
    to."""
    if host.metadata_disabled():
        return {}
    found = {} if node.hidden.extra_pnginfo is None else dict(node.hidden.extra_pnginfo)
    if node.hidden.prompt is not None:
        found["prompt"] = node.hidden.prompt
    return {key: json.dumps(value) for key, value in found.items()}


def _shifted(progress: host.Progress, start: int, total: int) -> Any:
    """A shot's progress as the movie's."""

    def report(stage: str, done: int, _: int, message: str) -> None:
        progress(stage, start + done, total, message)

    return report
