"""Motion learnt from clips, for the image model that is connected."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from comfy_api.latest import InputImpl, io

from ..diffilm_core import frames as streams
from ..diffilm_core.checkpoints.files import file_digest
from ..diffilm_core.errors import DiffilmError
from ..diffilm_core.frames import written_whole
from ..diffilm_core.training.base import ObjectiveConfig
from ..diffilm_core.training.config import StageConfig
from ..diffilm_core.training.data.clips import SUFFIXES
from ..diffilm_core.training.loop import Run
from ..diffilm_core.training.motion import ClipsConfig, MotionTraining, train
from . import host, host_motion, host_train
from .stages import FPS_TIP, clip_of
from .types import CATEGORY
from .video import SPOOL_CRF

RUNS = "diffilm/training"
"""Where runs are kept, under the output folder."""
PREVIEW_SECONDS = 20.0
PREVIEW_SHARE = 10
"""A preview is made at the first step, then whenever training took PREVIEW_SECONDS and so many times as long as one."""


class TrainMotion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmTrainMotion",
            display_name="Diffilm Train Motion",
            category=CATEGORY,
            description=(
                "Learns motion from clips, without any text, for a Stable Diffusion 1.x model (AnimateDiff's modules) "
                "or one of Diffilm's own. The image model stays as it is. A cancelled run goes on when queued again."
            ),
            is_input_list=True,
            is_output_node=True,
            hidden=[io.Hidden.unique_id],
            inputs=[
                io.Model.Input(
                    "model", tooltip="The image model; its LoRAs count. From Apply Motion: its motion is trained on."
                ),
                io.Clip.Input("clip", tooltip="The text encoder that belongs to the model."),
                io.Vae.Input("vae", tooltip="The autoencoder that belongs to the model."),
                io.String.Input("name", default="my_motion", tooltip="What the motion model's file is called."),
                io.Int.Input(
                    "steps", default=500, min=1, max=10000000,
                    tooltip="How many steps in all. A finished run of fewer goes on from there.",
                ),
                io.Int.Input(
                    "width", default=128, min=16, max=4096, step=8,
                    tooltip="Width of the clips in training: 128 for the model that ships, 256 to 512 for SD 1.5.",
                ),
                io.Int.Input("height", default=128, min=16, max=4096, step=8, tooltip="Their height."),
                io.Int.Input("frames", default=16, min=2, max=1024, tooltip="Frames of each clip; 16 is usual."),
                io.Float.Input(
                    "min_fps", default=4.0, min=0.5, max=240.0, step=0.5,
                    tooltip="Clips are seen at frame rates between this one and max_fps, by leaving frames out.",
                ),
                io.Float.Input("max_fps", default=16.0, min=0.5, max=240.0, step=0.5, tooltip="See min_fps."),
                io.Int.Input("batch", default=1, min=1, max=256, tooltip="Clips a step: steadier, and more memory."),
                io.Float.Input(
                    "learning_rate", default=0.0001, min=0.0000001, max=1.0, step=0.0000001, round=False,
                    tooltip="How large the steps are. 0.0001 is usual.",
                ),
                io.Int.Input(
                    "seed", default=0, min=0, max=2**32, control_after_generate=False,
                    tooltip="Decides which windows are seen, with which noise.",
                ),
                io.Boolean.Input(
                    "save_memory", default=False,
                    tooltip="Compute some things twice instead of keeping them: far less memory, a third more time.",
                ),
                io.MultiType.Input(
                    "videos", types=[io.Video, io.Image], optional=True,
                    tooltip="The clips: VIDEO, a list or one; IMAGE: the frames of each. Or a folder.",
                ),
                io.String.Input(
                    "folder", default="", optional=True,
                    tooltip=(
                        "A folder of clips, by its path or its name in the input folder, with those below it; or a "
                        "data set of diffilm curate. Empty: videos."
                    ),
                ),
                io.String.Input(
                    "preview", default="", multiline=True, optional=True,
                    tooltip="The prompt of the pictures that are shown while it trains. Empty: without a prompt.",
                ),
                io.Float.Input(
                    "source_fps", default=8.0, min=0.5, max=240.0, step=0.5, optional=True, tooltip=FPS_TIP
                ),
            ],
            outputs=[
                io.Combo.Output(display_name="motion_model", tooltip="The motion model, for Apply Motion."),
                io.String.Output(display_name="path", tooltip="Where its file is."),
            ],
        )  # fmt: skip

    @classmethod
    def validate_inputs(cls, name: Any = None, folder: Any = None) -> bool | str:
        try:
            for each in _listed(name):
                check_name(each)
            for each in filter(None, _listed(folder)):
                clips_folder(each)
        except DiffilmError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, folder: Any = None, **_: Any) -> str:
        found = [path for each in filter(None, _listed(folder)) for path in sorted(Path(clips_folder(each)).rglob("*"))]
        return "\n".join(f"{path} {path.stat().st_mtime_ns}" for path in found if path.is_file())

    @classmethod
    def execute(
        cls, model: list[Any], clip: list[Any], vae: list[Any], name: list[str], steps: list[int], width: list[int],
        height: list[int], frames: list[int], min_fps: list[float], max_fps: list[float], batch: list[int],
        learning_rate: list[float], seed: list[int], save_memory: list[bool], videos: list[Any] | None = None,
        folder: list[str] | None = None, preview: list[str] | None = None, source_fps: list[float] | None = None,
    ) -> io.NodeOutput:  # fmt: skip
        check_name(name[0])
        wires = host_train.Wires(model[0], clip[0], vae[0])
        wires.fits(width[0], height[0])
        place = (folder or [""])[0].strip()
        if bool(place) == bool(videos):
            raise DiffilmError(
                f"{len(videos or [])} videos and folder {place!r}: expected clips from one of the two; connect videos, "
                "or give a folder"
            )
        stage = StageConfig(
            steps=steps[0], batch=batch[0], lr=learning_rate[0], warmup=max(1, min(200, steps[0] // 10)), keep=2
        )
        data = ClipsConfig(
            clips_folder(place) if place else "", width=width[0], height=height[0], frames=frames[0],
            min_fps=min_fps[0], max_fps=max_fps[0], seed=seed[0], workers=0,
        )  # fmt: skip
        config = MotionTraining(data, stage, objective=ObjectiveConfig(checkpointing=save_memory[0]))
        with tempfile.TemporaryDirectory(dir=host.temp_directory(), prefix="diffilm-") as unkept:
            clips = gathered(videos or [], (source_fps or [8.0])[0], Path(unkept))
            key = run_key(wires, config, clips)
            run_folder = Path(host.output_directory(), RUNS, f"{name[0].strip()}-{key}")
            if clips:
                config = with_clips(config, clips, run_folder / "clips")
        made = trained(wires, config, run_folder, (preview or [""])[0].strip(), cls.hidden.unique_id)
        path = kept(made, f"{name[0].strip()}-{key}.safetensors")
        host.say(f"saved as {path.name}", cls.hidden.unique_id)
        return io.NodeOutput(path.name, str(path))


def _listed(value: Any) -> list[str]:
    """A widget's values, however the host wraps them; none of one that is wired."""
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]


def check_name(name: str) -> None:
    """Raises DiffilmError for what is no file's name."""
    plain = name.strip()
    odd = any(c in '/\\:*?"<>|' or not c.isprintable() for c in plain)
    if odd or not plain or plain.startswith(".") or len(plain) > 100:
        raise DiffilmError(f"name {name!r}: expected the name of a file, without a folder; give one like my_motion")


def clips_folder(name: str) -> str:
    """The folder of that path, or of that name in the input folder. Raises DiffilmError where there is none."""
    tried = [name.strip(), os.path.join(host.input_directory(), name.strip())]
    found = next((path for path in tried if os.path.isdir(path)), None)
    if found is None:
        raise DiffilmError(f"clips folder {name!r}: no such folder, expected one with videos; check the name")
    return os.path.abspath(found)


def gathered(videos: list[Any], fps: float, unkept: Path) -> list[tuple[Path, str]]:
    """A file of each video and what tells it from others: its own where it is one, else one written into `unkept`."""
    found = []
    for number, video in enumerate(videos):
        host.check_cancel()
        path = _own_file(video)
        if path is None:
            stream = clip_of(video, fps)
            path = streams.write(stream, unkept / f"{number}.mp4", progress=host.Progress(stream.frames), crf=SPOOL_CRF)
        found.append((path, file_digest(path)))
    return found


def _own_file(video: Any) -> Path | None:
    whole = getattr(video, "get_active_trim_window", lambda: (0.0, 0.0))() == (0.0, 0.0)
    source = video.get_stream_source() if whole and isinstance(video, InputImpl.VideoFromFile) else None
    path = Path(source) if isinstance(source, (str, os.PathLike)) else None
    return path if path is not None and path.suffix.lower() in SUFFIXES else None


def run_key(wires: host_train.Wires, config: MotionTraining, clips: list[tuple[Path, str]]) -> str:
    """Tells one training from another: by the model, the clips and all settings but the number of steps."""
    parts = host.model_key(wires.model), host.vae_key(wires.vae), wires.context(), [digest for _, digest in clips]
    stage = config.train
    settings = config.data, config.objective, stage.batch, stage.lr
    return host.digest(parts, repr(settings))[:8]


def with_clips(config: MotionTraining, clips: list[tuple[Path, str]], folder: Path) -> MotionTraining:
    """Puts the files into the run's folder, where a later run finds them, and says so in the configuration."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (path, digest) in enumerate(clips):
        target = folder / f"{number:05}-{digest[:8]}{path.suffix.lower()}"
        if not target.is_file():
            with written_whole(target) as temporary:
                shutil.copyfile(path, temporary)
    return replace(config, data=replace(config.data, clips=str(folder)))


def trained(wires: host_train.Wires, config: MotionTraining, folder: Path, prompt: str, node: str | None) -> Path:
    """The trained file in the run's folder; the bar, the words on the node and the preview follow the training."""
    data, device = config.data, host.device()
    with host_train.training():
        base = host_train.open_base(wires, device)
        size = data.frames, data.height, data.width
        picture = host_train.previewer(wires, base, prompt, size, data.max_fps)
        watch = Watch(config.train.steps, picture, node)
        return train(config, folder, device, host.Progress(), base=base, watch=watch)


class Watch:
    """Shows how far a training is, with a picture from time to time; raises the host's exception on Cancel."""

    def __init__(self, steps: int, picture: Callable[[], Any], node: str | None) -> None:
        self.bar, self.steps, self.picture, self.node = host.Progress(steps), steps, picture, node
        self.due = 0.0

    def __call__(self, run: Run) -> None:
        host.check_cancel()
        picture, started = None, time.monotonic()
        if started >= self.due:
            with run.averaged():
                picture = self.picture()
            now = time.monotonic()
            self.due = now + max(PREVIEW_SECONDS, PREVIEW_SHARE * (now - started))
        loss = "" if run.loss != run.loss else f", loss {run.loss:.4f}"
        host.say(f"step {run.step} of {self.steps}{loss}, {run.left()} left", self.node)
        self.bar.show(run.step, picture)


def kept(made: Path, name: str) -> Path:
    """The file in the folder of motion models, where Apply Motion finds it."""
    target = Path(host.models_directory(host_motion.MOTION_FOLDERS[0]), name)
    with written_whole(target) as temporary:
        shutil.copyfile(made, temporary)
    return target
