"""One clip from conditions and a seed: what the movie renderer and the ComfyUI sampler node both call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..errors import DiffilmError
from .denoiser import Denoiser
from .guidance import Guidance, Scale
from .noise import initial_noise, noisy_start
from .over_time import OverTime, middle
from .samplers import Callback, SamplerState, sampler_for
from .schedules import NoiseSchedule
from .spacing import FROM_NOISE, sigmas_for
from .windows import ContextWindows, window_ranges

DEFAULT_FPS = 8.0
"""Where the network is told none, as the pseudo-3D layers have it."""


def _device_of(network: Any) -> torch.device:
    if isinstance(network, torch.nn.Module):
        for parameter in network.parameters():
            return parameter.device
    return torch.device("cpu")


def picture_first(unet: Any, cond: dict[str, Any], frames: int) -> OverTime | None:
    """What makes a clip around its middle frame, sampled first; None where each frame has a text, or is a picture."""
    around = getattr(unet, "over_time", None)
    wanted = frames > 1 and cond.get("enable_time", True) and len(cond["context"]) == 1
    return around if isinstance(around, OverTime) and wanted else None


def _of_windows(guided: Guidance, windows: ContextWindows, moved: Tensor) -> Callable[[int, int], None]:
    """What tells the network of the part of the moved clip that each window holds."""
    also, ranges = windows.before_window, window_ranges(moved.shape[2], windows.length, windows.overlap)

    def before(index: int, count: int) -> None:
        guided.tell(moved=moved[:, :, ranges[index].start : ranges[index].stop])
        if also is not None:
            also(index, count)

    return before


def sample_clip(
    unet: Callable[..., Tensor],
    schedule: NoiseSchedule,
    prediction: str,
    cond: dict[str, Any],
    uncond: dict[str, Any] | None = None,
    *,
    shape: tuple[int, int, int, int],
    seed: int,
    steps: int = 20,
    cfg: Scale = 7.0,
    sampler: str = "dpmpp_2m",
    spacing: str = "normal",
    denoise: float = 1.0,
    latents: Tensor | None = None,
    window: int | None = None,
    overlap: int | None = None,
    fuse: str = "pyramid",
    rescale: float = 0.0,
    guidance: str = "auto",
    callback: Callback | None = None,
    resume: SamplerState | None = None,
    before_window: Callable[[int, int], None] | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Latents (c, t, h, w), float32 on the CPU, of a clip of that `shape` (c, t, h, w).

    - `cond` and `uncond` hold `context` (1, l, d) and the network's other keywords, such as fps (1,).
    - `cfg` of two numbers grows over the frames.
    - `latents` (c, t, h, w) with `denoise` below 1 is video-to-video.
    - A clip of more than `window` frames is sampled in overlapping context windows from FreeNoise;
      `before_window(index, count)` is called before each.
    - A network with `OverTime` makes the middle frame first, a picture of that `cfg`, unless there is a text a frame;
      where it has a motion prior, that picture is moved first (`Mover`).
    - `callback(step, steps, x, denoised)` is called after each step (0 the first) with x (1, c, t, h, w) in the
      VE form. `resume=SamplerState(step + 1, x, denoised)` goes on from there to the same numbers. Both
      callbacks may raise `Cancelled`.
    - `device` defaults to the network's; `dtype` is that of x, the network is called in its own.

    Raises DiffilmError on bad settings, before the first call of the network.
    """
    run = sampler_for(sampler)
    sigmas = sigmas_for(schedule, steps, spacing, denoise)
    if latents is not None and tuple(latents.shape) != tuple(shape):
        raise DiffilmError(f"latents of shape {tuple(latents.shape)}; expected {tuple(shape)}, the shape of the clip")
    if denoise < 1 and latents is None:
        raise DiffilmError(f"denoise {denoise:g} without latents to start from; give latents, or set denoise to 1")
    denoiser = Denoiser(unet, schedule, prediction)
    around = picture_first(unet, cond, shape[1])
    scale = cfg if around is None else around.guidance(cfg)
    guided = Guidance(denoiser, cond, uncond, scale, guidance, rescale=rescale)
    windows = None if window is None else ContextWindows(guided, window, overlap, fuse, before_window=before_window)
    long = windows is not None and shape[1] > windows.length
    noise = initial_noise(
        (1, *shape),
        seed,
        freenoise_window=windows.length if windows is not None and long else None,
        overlap=windows.overlap if windows is not None else None,
    )
    start = None if latents is None else latents[None].to("cpu", dtype)
    pure = spacing in FROM_NOISE and start is None
    x = noisy_start(start, noise.to(dtype), sigmas[0], float(sigmas[0]) if pure else schedule.sigma_max)
    device = torch.device(device) if device is not None else _device_of(unet)
    if around is not None:
        alone = Guidance(denoiser, cond, uncond, cfg, guidance, rescale=rescale)
        picture = run(alone, x[:, :, middle(shape[1])].to(device), sigmas, seed=seed)
        fps = float(torch.as_tensor(cond.get("fps", DEFAULT_FPS)).flatten()[0])
        told = around.told(picture / float(sigmas[-1] ** 2 + 1) ** 0.5, shape[1], fps, seed, start is None)
        guided.tell(**told)
        if windows is not None and "moved" in told:
            windows.before_window = _of_windows(guided, windows, told["moved"])
    model = windows if windows is not None else guided
    result = run(model, x.to(device), sigmas, callback=callback, resume=resume, seed=seed)
    return (result[0].float() / float(sigmas[-1] ** 2 + 1) ** 0.5).cpu()
