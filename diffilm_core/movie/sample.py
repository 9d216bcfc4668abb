"""Our own model as a sampler of shots, with the key of what it makes."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import Cancelled, DiffilmError
from ..frames import as_fps
from ..frames.progress import Progress
from ..story import Shot
from .steps import SavedSteps
from .store import ShotStore, digest_key

if TYPE_CHECKING:
    from ..bundle import VideoModel


Size = str | tuple[int, int]


def parse_size(size: Size | None) -> tuple[int, int] | None:
    """`"WxH"` or `(w, h)` as two numbers. Raises DiffilmError unless both are whole and above 0."""
    if size is None:
        return None
    sides: tuple = tuple(re.split("[xX×*]", size)) if isinstance(size, str) else tuple(size)
    try:
        width, height = (int(side) for side in sides)
    except (TypeError, ValueError):
        width = height = 0
    if width < 1 or height < 1:
        raise DiffilmError(f"size {size!r}: expected WIDTHxHEIGHT in pixels, such as 128x128; give two whole numbers")
    return width, height


@dataclass(frozen=True)
class SampleSettings:
    """What decides a shot's latents besides the model and the shot. Sizes in pixels."""

    width: int
    height: int
    fps: Fraction
    steps: int
    cfg: float
    sampler: str
    spacing: str
    negative: str = ""

    @classmethod
    def for_model(
        cls,
        model: VideoModel,
        *,
        size: Size | None = None,
        fps: float | Fraction | None = None,
        steps: int | None = None,
        cfg: float | None = None,
        sampler: str | None = None,
        spacing: str | None = None,
        negative: str | None = None,
    ) -> SampleSettings:
        """The model's own defaults where a value is None."""
        own = model.defaults
        width, height = parse_size(size) or (own.width, own.height)
        return cls(
            width=width,
            height=height,
            fps=as_fps(own.fps if fps is None else fps),
            steps=own.steps if steps is None else steps,
            cfg=own.cfg if cfg is None else cfg,
            sampler=own.sampler if sampler is None else sampler,
            spacing=own.spacing if spacing is None else spacing,
            negative=own.negative if negative is None else negative,
        )

    def frames(self, shot: Shot) -> int:
        return max(1, round(Fraction(shot.duration).limit_denominator(100_000) * self.fps))


def check_settings(model: VideoModel, settings: SampleSettings) -> int:
    """The sampler's steps. Raises DiffilmError for settings that the model or the samplers do not take."""
    from ..sampling import sampler_for, sigmas_for

    multiple = model.size_multiple
    if min(settings.width, settings.height) < 1 or settings.width % multiple or settings.height % multiple:
        fit = [max(1, round(side / multiple)) * multiple for side in (settings.width, settings.height)]
        raise DiffilmError(
            f"size {settings.width}x{settings.height}: expected width and height divisible by {multiple}, as this "
            f"model needs; use {fit[0]}x{fit[1]}"
        )
    sampler_for(settings.sampler)
    return len(sigmas_for(model.schedule, settings.steps, settings.spacing)) - 1


class ModelSampler:
    """`sampler(shot) -> latents (c, t, h, w)` with a loaded model; `key(shot)` is their key.

    Shots longer than the model was trained on are sampled in overlapping windows. Raises DiffilmError when made with
    settings that the model or the samplers do not take. `progress("sample", steps done, steps of all shots, message)`
    is called after each step but the last, which the caller reports once the shot is stored, so that a cancel never
    costs a finished shot; in long shots also between windows. With a `store`, the state of a shot in the making is kept
    there, and sampling goes on from it.
    """

    def __init__(
        self,
        model: VideoModel,
        settings: SampleSettings,
        shots: int,
        progress: Progress | None = None,
        store: ShotStore | None = None,
    ) -> None:
        self.model, self.settings, self.shots, self.progress, self.store = model, settings, shots, progress, store
        self.steps = check_settings(model, settings)
        weight = next(model.unet.parameters())
        self.form = {"device": weight.device.type, "dtype": str(weight.dtype)}
        self.guidance = "two_pass" if weight.device.type == "cpu" else "batched"
        self.window = model.window

    def negative(self, shot: Shot) -> str:
        return shot.negative or self.settings.negative

    def about(self, shot: Shot) -> dict[str, Any]:
        """All that decides the shot's latents, as plain values: with the model it makes them again."""
        settings = {**asdict(self.settings), "fps": str(self.settings.fps), "negative": self.negative(shot)}
        return {
            **settings,
            **self.form,
            "model": self.model.fingerprint,
            "prompt": shot.prompt,
            "seed": shot.seed,
            "frames": self.settings.frames(shot),
            "guidance": self.guidance,
            "window": self.window,
        }

    def key(self, shot: Shot) -> str:
        return digest_key({"kind": "latents", "version": 2, **self.about(shot)})

    def __call__(self, shot: Shot) -> Tensor:
        from ..sampling import sample_clip

        model, settings = self.model, self.settings
        prompts = [shot.prompt, self.negative(shot)]
        fps = torch.tensor([float(settings.fps)])
        scale = int(model.vae.downscale)
        shape = (
            int(model.unet.config.out_channels),
            settings.frames(shot),
            settings.height // scale,
            settings.width // scale,
        )

        saved = None if self.store is None else SavedSteps(self.store, self.key(shot))
        resume = None if saved is None else saved.state
        done = 0 if resume is None else resume.step

        def callback(step: int, steps: int, x: Tensor, denoised: Tensor) -> None:
            nonlocal done
            done = step + 1
            if saved is not None:
                saved(step, steps, x, denoised)
            if done < steps:
                self.report(shot, done)

        def before_window(index: int, count: int) -> None:
            if index:
                self.report(shot, done)

        self.report(shot, done)
        try:
            context = model.text.encode(prompts)
            return sample_clip(
                model.unet,
                model.schedule,
                model.prediction,
                {"context": context[:1], "fps": fps},
                {"context": context[1:], "fps": fps},
                shape=shape,
                seed=shot.seed,
                steps=settings.steps,
                cfg=settings.cfg,
                sampler=settings.sampler,
                spacing=settings.spacing,
                window=self.window,
                guidance=self.guidance,
                callback=callback,
                resume=resume,
                before_window=before_window,
            )
        except (Cancelled, KeyboardInterrupt):
            if saved is not None:
                saved.keep()
            raise
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise DiffilmError(
                f"shot {shot.index + 1} has {shape[1]} frames of {settings.width}x{settings.height}, more than the "
                f"memory of {model.device} takes: use a smaller size or fewer frames"
            ) from error

    def report(self, shot: Shot, step: int) -> None:
        """Tells `progress` that `step` steps of this shot are done."""
        if self.progress is not None:
            message = f"shot {shot.index + 1} of {self.shots}: {shot.prompt}"
            self.progress("sample", shot.index * self.steps + step, self.shots * self.steps, message)


def window_frames(sampler: ModelSampler, shot: Shot) -> int:
    """Frames that the network sees at each step of a shot, those where windows overlap counted each time."""
    from ..sampling import window_ranges

    frames = sampler.settings.frames(shot)
    length = min(sampler.window, frames)
    return len(window_ranges(frames, length, length // 2)) * length


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch could not get memory; on a CPU it says so in words alone."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "DefaultCPUAllocator" in str(error)
