"""Our own model as a sampler of shots, with the key of what it makes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..errors import DiffilmError
from ..frames.write import Progress
from ..story import Shot
from .store import digest_key

if TYPE_CHECKING:
    from ..bundle import VideoModel


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

    def frames(self, shot: Shot) -> int:
        return max(1, round(Fraction(shot.duration).limit_denominator(100_000) * self.fps))


class ModelSampler:
    """`sampler(shot) -> latents (c, t, h, w)` with a loaded model; `key(shot)` is their key.

    Shots longer than the model was trained on are sampled in overlapping windows. Raises DiffilmError when made with
    settings that the model or the samplers do not take. `progress("sample", steps done, steps of all shots, message)`
    is called after each step but the last, which the caller reports once the shot is stored: a cancel never costs a
    finished shot.
    """

    def __init__(
        self, model: VideoModel, settings: SampleSettings, shots: int, progress: Progress | None = None
    ) -> None:
        from ..sampling import sampler_for, sigmas_for

        self.model, self.settings, self.shots, self.progress = model, settings, shots, progress
        multiple = int(getattr(model, "size_multiple", 32))
        if min(settings.width, settings.height) < 1 or settings.width % multiple or settings.height % multiple:
            fit = [max(1, round(side / multiple)) * multiple for side in (settings.width, settings.height)]
            raise DiffilmError(
                f"size {settings.width}x{settings.height}: expected width and height divisible by {multiple}, as this "
                f"model needs; use {fit[0]}x{fit[1]}"
            )
        sampler_for(settings.sampler)
        self.steps = len(sigmas_for(model.schedule, settings.steps, settings.spacing)) - 1
        weight = next(model.unet.parameters())
        self.form = {"device": weight.device.type, "dtype": str(weight.dtype)}
        self.guidance = "two_pass" if weight.device.type == "cpu" else "batched"
        self.window = getattr(model, "window", None)

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
        context = model.text.encode([shot.prompt, self.negative(shot)])
        fps = torch.tensor([float(settings.fps)])
        scale = int(model.vae.downscale)
        shape = (
            int(model.unet.config.out_channels),
            settings.frames(shot),
            settings.height // scale,
            settings.width // scale,
        )

        def callback(step: int, steps: int, *_: Any) -> None:
            if step + 1 < steps:
                self.report(shot, step + 1)

        self.report(shot, 0)
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
        )

    def report(self, shot: Shot, step: int) -> None:
        """Tells `progress` that `step` steps of this shot are done."""
        if self.progress is not None:
            message = f"shot {shot.index + 1} of {self.shots}: {shot.prompt}"
            self.progress("sample", shot.index * self.steps + step, self.shots * self.steps, message)
