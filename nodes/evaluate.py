"""Clips measured, alone or against real ones."""

from __future__ import annotations

import json
import os
from typing import Any

from comfy_api.latest import io

from ..diffilm_core.metrics.evaluate import evaluate
from ..diffilm_core.metrics.options import Options
from ..diffilm_core.metrics.sets import Cut, of_streams
from . import host
from .stages import FPS_TIP, clip_of
from .types import CATEGORY

FOLDER = "metrics"


class Evaluate(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmEvaluate",
            display_name="Evaluate Videos",
            category=CATEGORY,
            description=(
                "Figures of generated videos, alone or against real ones: FVD, FID, inception scores, CLIPSIM, PSNR, "
                "SSIM, LPIPS, flicker, motion. What needs a network that is missing is left out, and the table says so."
            ),
            is_input_list=True,
            inputs=[
                io.MultiType.Input(
                    "generated", types=[io.Video, io.Image],
                    tooltip="The videos to measure, a list or one; IMAGE: the frames of each.",
                ),
                io.String.Input(
                    "metrics", default="",
                    tooltip=(
                        "With commas: fvd, fid, is, is-video, clipsim, psnr, ssim, lpips, flicker, motion, probe. "
                        "Empty: all that the inputs allow."
                    ),
                ),
                io.Int.Input(
                    "frames", default=16, min=0, max=100000, tooltip="Frames of each that are measured; 0: all."
                ),
                io.Int.Input("rounds", default=50, min=0, max=10000, tooltip="Draws for the intervals of FVD and FID."),
                io.MultiType.Input(
                    "real", types=[io.Video, io.Image], optional=True,
                    tooltip="Real videos. PSNR, SSIM and LPIPS compare each with the generated one at the same place.",
                ),
                io.String.Input(
                    "prompts", default="", multiline=True, optional=True,
                    tooltip="What each generated video shows, one a line, for clipsim and probe.",
                ),
                io.String.Input(
                    "weights", default="", optional=True,
                    tooltip="The folder of the networks' files: a path, or a name in models. Empty: models/metrics.",
                ),
                io.Float.Input(
                    "source_fps", default=8.0, min=0.5, max=240.0, step=0.5, optional=True, tooltip=FPS_TIP
                ),
            ],
            outputs=[
                io.String.Output(display_name="table", tooltip="The figures as a table, with 95 % intervals."),
                io.String.Output(display_name="json", tooltip="The same as JSON, with everything that decides them."),
            ],
        )  # fmt: skip

    @classmethod
    def execute(
        cls,
        generated: list[Any],
        metrics: list[str],
        frames: list[int],
        rounds: list[int],
        real: list[Any] | None = None,
        prompts: list[str] | None = None,
        weights: list[str] | None = None,
        source_fps: list[float] | None = None,
    ) -> io.NodeOutput:
        fps, cut = (source_fps or [8.0])[0], Cut(frames=frames[0] or None)
        lines = [line.strip() for text in prompts or [] for line in text.splitlines() if line.strip()]
        names = [name.strip().lower() for name in metrics[0].split(",") if name.strip()]
        report = evaluate(
            of_streams("generated", [clip_of(each, fps) for each in generated], cut),
            of_streams("real", [clip_of(each, fps) for each in real], cut) if real else None,
            metrics=names or None,
            captions=lines or None,
            folder=_folder((weights or [""])[0]),
            device=host.device(),
            options=Options(rounds=rounds[0]),
            progress=host.Progress(),
        )
        return io.NodeOutput("\n".join(report.lines()), json.dumps(report.to_dict(), indent=2))


def _folder(name: str) -> str | None:
    """The folder of this path or name in models; models/metrics, where it is there, for none."""
    found = host.folder_of(name or FOLDER, "")
    return found if name or os.path.isdir(found) else None
