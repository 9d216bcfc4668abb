"""Motion modules on any image model of Stable Diffusion 1.x, and LoRAs for them."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ..diffilm_core.checkpoints import load_motion
from ..diffilm_core.checkpoints.published import where_to_get
from ..diffilm_core.errors import DiffilmError
from ..diffilm_core.models.motion import MotionLora, MotionModel, OwnMotion, motion_strengths
from . import host, host_motion
from .types import CATEGORY

MOTION_MODELS = ("animatediff-v3", "animatediff-v2", "animatelcm", "animatediff-lightning")
MOTION_LORAS = ("animatediff-lora-zoom-in", "animatediff-v3-adapter")


def missing(name: str, folders: tuple[str, ...], published: tuple[str, ...]) -> str | None:
    """What to say where that file is not there."""
    if host.find_file(name, folders):
        return None
    there = f"{name!r} is not in models/{' or models/'.join(folders)}" if name else "no file chosen"
    return f"{there}. {where_to_get(published)}"


class ApplyMotion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmApplyMotion",
            display_name="Diffilm Apply Motion",
            category=CATEGORY,
            description=(
                "Puts AnimateDiff's motion modules (v1, v2, v3, AnimateLCM, Lightning) on any Stable Diffusion 1.x "
                "model, or what Train Motion has learnt on the model that it was trained for. LoRAs and other patches "
                "that are on it stay. The latent's batch entries are then the frames of one clip."
            ),
            inputs=[
                io.Model.Input(
                    "model", tooltip="A Stable Diffusion 1.x model, with LoRAs or without; or Diffilm's, for its own."
                ),
                io.Combo.Input(
                    "motion_model",
                    options=host.files(host_motion.MOTION_FOLDERS),
                    tooltip="The motion model's file, in models/animatediff_models; or wired from Train Motion.",
                ),
                io.Float.Input(
                    "motion_scale", default=1.0, min=0.0, max=10.0, step=0.01,
                    tooltip="How much the motion modules add. 1: as trained; 0: every frame is the image model's own.",
                ),
                io.String.Input(
                    "strengths", default="",
                    tooltip="Strength by frame, linear between: 0: 0, 8: 1. Times motion_scale. Empty: 1 everywhere.",
                ),
                io.Combo.Input(
                    "beta_schedule", options=list(host_motion.SCHEDULES), default=host_motion.SCHEDULES[0],
                    tooltip="Noise levels as the motion model was trained (sqrt_linear), or the image model's.",
                ),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="The same model with motion, for any sampler.")],
        )  # fmt: skip

    @classmethod
    def validate_inputs(cls, motion_model: str | None = None, strengths: str | None = None) -> bool | str:
        try:
            motion_strengths(strengths or "", 1)
        except DiffilmError as error:
            return str(error)
        if motion_model is None:  # wired: it is not made yet
            return True
        return missing(motion_model, host_motion.MOTION_FOLDERS, MOTION_MODELS) or True

    @classmethod
    def fingerprint_inputs(cls, motion_model: str, **inputs: Any) -> str:
        return f"{host.file_stamp(motion_model, host_motion.MOTION_FOLDERS)} {sorted(inputs.items(), key=str)}"

    @classmethod
    def execute(
        cls, model: Any, motion_model: str, motion_scale: float, strengths: str, beta_schedule: str
    ) -> io.NodeOutput:
        path = host.find_file(motion_model, host_motion.MOTION_FOLDERS)
        if path is None:
            raise DiffilmError(str(missing(motion_model, host_motion.MOTION_FOLDERS, MOTION_MODELS)))
        host.check_cancel()
        motion = load_motion(path)
        if isinstance(motion, OwnMotion):
            if (motion_scale, strengths.strip()) != (1.0, ""):
                raise DiffilmError(
                    f"motion_scale {motion_scale:g} and strengths {strengths!r} for one of Diffilm's own models, whose "
                    "motion has no strength: set them to 1 and to nothing"
                )
            return io.NodeOutput(host_motion.apply_own(model, motion))
        if not isinstance(motion, MotionModel):
            raise DiffilmError(f"{path} is a LoRA, expected a motion model: use Diffilm Motion LoRA for it")
        return io.NodeOutput(
            host_motion.apply_motion(model, motion, scale=motion_scale, strengths=strengths, schedule=beta_schedule)
        )


class MotionLoraNode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="DiffilmMotionLoRA",
            display_name="Diffilm Motion LoRA",
            category=CATEGORY,
            description=(
                "Adds a motion LoRA (camera moves for AnimateDiff v2) to a model with motion, or AnimateDiff v3's "
                "adapter. Several follow each other."
            ),
            inputs=[
                io.Model.Input("model", tooltip="A model from Apply Motion."),
                io.Combo.Input(
                    "lora_name",
                    options=host.files(host_motion.LORA_FOLDERS),
                    tooltip="The LoRA's file, in models/animatediff_motion_lora or models/loras.",
                ),
                io.Float.Input(
                    "strength", default=1.0, min=-10.0, max=10.0, step=0.01, tooltip="How much of it. 0: none."
                ),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip="The model with the LoRA.")],
        )

    @classmethod
    def validate_inputs(cls, lora_name: str = "") -> bool | str:
        return missing(lora_name, host_motion.LORA_FOLDERS, MOTION_LORAS) or True

    @classmethod
    def fingerprint_inputs(cls, lora_name: str, **inputs: Any) -> str:
        return f"{host.file_stamp(lora_name, host_motion.LORA_FOLDERS)} {sorted(inputs.items(), key=str)}"

    @classmethod
    def execute(cls, model: Any, lora_name: str, strength: float) -> io.NodeOutput:
        path = host.find_file(lora_name, host_motion.LORA_FOLDERS)
        if path is None:
            raise DiffilmError(str(missing(lora_name, host_motion.LORA_FOLDERS, MOTION_LORAS)))
        host.check_cancel()
        lora = load_motion(path)
        if not isinstance(lora, MotionLora):
            raise DiffilmError(f"{path} is a motion model, expected a LoRA: use Diffilm Apply Motion for it")
        return io.NodeOutput(host_motion.add_lora(model, lora, strength))
