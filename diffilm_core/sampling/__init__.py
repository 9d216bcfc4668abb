"""Schedules, samplers, guidance and context windows."""

from __future__ import annotations

from .denoiser import PREDICTIONS, Denoiser
from .edm import EDMSchedule
from .guidance import Guidance
from .image_to_video import image_to_video
from .noise import StepNoise, freenoise_order, initial_noise, noisy_start
from .over_time import OverTime
from .run import sample_clip
from .samplers import (
    SAMPLERS,
    SamplerState,
    sample_ddim,
    sample_dpmpp_2m,
    sample_euler,
    sample_euler_ancestral,
    sample_lcm,
    sampler_for,
)
from .schedules import SCHEDULES, NoiseSchedule
from .spacing import SPACINGS, sigmas_for
from .windows import FUSES, ContextWindows, window_ranges

__all__ = [
    "FUSES",
    "PREDICTIONS",
    "SAMPLERS",
    "SCHEDULES",
    "SPACINGS",
    "ContextWindows",
    "Denoiser",
    "EDMSchedule",
    "Guidance",
    "NoiseSchedule",
    "OverTime",
    "SamplerState",
    "StepNoise",
    "freenoise_order",
    "image_to_video",
    "initial_noise",
    "noisy_start",
    "sample_clip",
    "sample_ddim",
    "sample_dpmpp_2m",
    "sample_euler",
    "sample_euler_ancestral",
    "sample_lcm",
    "sampler_for",
    "sigmas_for",
    "window_ranges",
]
