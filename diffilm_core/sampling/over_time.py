"""A clip around its picture: the image model makes the middle frame, the layers over time what is before and after."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from .guidance import Scale
from .mover import Mover
from .schedules import NoiseSchedule


def middle(frames: int) -> slice:
    """The frame of a clip that is its picture."""
    return slice(frames // 2, frames // 2 + 1)


class OverTime:
    """What a UNet with layers over time asks before each call (`UNet.over_time`).

    With the condition `picture`, x0 of the middle frame `(b, c, 1, h, w)`, that frame is known, and the layers over
    time see it without noise and make the others around it; they are trained so. Text decides what is to be seen, as
    in a picture, and they need only say how it goes on: image-to-video (Blattmann et al. 2023) from a picture that the
    image model has made of the same noise before (`sample_clip`). Above the noise level `high` every frame is the
    picture, where the condition `still` says so (the default): what moves there these layers cannot tell, and
    SDEdit (Meng et al. 2022) of a clip that stands still begins so. With a `mover` the condition `moved`, x0 of the
    whole clip `(b, c, t, h, w)`, says it instead: the picture moved as the motion prior has drawn it, whose middle
    frame is then the one that is known; that holds down to the mover's own, lower level `below`. Without a picture the
    layers work as in any other model; one frame alone is the image model's. `cfg`: the guidance of the frames around
    the picture, which says by itself what is to be seen; None: that of the picture. docs/training-log.md, runs 16 to
    20 and 23, says what this is worth.
    """

    def __init__(
        self,
        schedule: NoiseSchedule,
        prediction: str,
        high: float,
        cfg: float | None = None,
        mover: Mover | None = None,
    ) -> None:
        self.schedule = schedule
        self.prediction = prediction
        self.high = high
        self.cfg = cfg
        self.mover = mover

    def everywhere(self) -> OverTime:
        """The same at every noise level, as layers over time are trained, and seen: nothing is moved."""
        return OverTime(self.schedule, self.prediction, math.inf, self.cfg, self.mover)

    def unmoved(self) -> OverTime:
        """The same without a mover, for layers over time that learned a movement of their own."""
        return OverTime(self.schedule, self.prediction, self.high, self.cfg)

    def told(self, picture: Tensor, frames: int, fps: float, seed: int, still: bool) -> dict[str, Any]:
        """The conditions of a clip of `frames` around this picture `(1, c, 1, h, w)`; `still`: it begins as noise."""
        if not still or self.mover is None or not math.isfinite(self.high):
            return {"picture": picture, "still": still}
        return {"moved": self.mover(picture, frames, fps, seed)}

    def guidance(self, cfg: Scale) -> Scale:
        """The guidance of the frames around a picture that has `cfg`: never more than that. Two numbers, which grow
        over the frames, stay."""
        return cfg if self.cfg is None or isinstance(cfg, tuple) else min(cfg, self.cfg)

    def __call__(
        self,
        network: Callable[..., Tensor],
        x: Tensor,
        timesteps: Tensor,
        context: Tensor,
        conditions: Mapping[str, Any],
    ) -> Tensor:
        """The network's output for x `(b, c, t, h, w)`, timesteps `(b,)`."""
        others = {key: value for key, value in conditions.items() if key not in ("picture", "still", "moved")}
        moved, frames = conditions.get("moved"), x.shape[2]
        picture = conditions.get("picture") if moved is None else moved[:, :, middle(frames)]
        if picture is None or frames == 1:
            return network(x, timesteps, context, enable_time=frames > 1, **others)
        sigma = self.schedule.sigma(timesteps)
        high = self.high if moved is None or self.mover is None else self.mover.below
        if conditions.get("still", True) and bool((sigma > high).all()):
            return self.known(x, (picture if moved is None else moved).to(x), sigma)
        at, alpha = middle(frames), 1 / (1 + sigma.view(-1, 1, 1, 1, 1) ** 2).sqrt()
        seen = x.clone()
        seen[:, :, at] = (alpha * picture.to(x)).to(x)
        out = network(seen, timesteps, context, enable_time=True, **others).clone()
        out[:, :, at] = self.known(x[:, :, at], picture.to(x), sigma).to(out)
        return out

    def known(self, x: Tensor, picture: Tensor, sigma: Tensor) -> Tensor:
        """What the network says of frames x whose x0 is `picture`."""
        if self.prediction == "x0":
            return picture.to(x)
        s = sigma.view(-1, 1, 1, 1, 1)
        root = (s**2 + 1).sqrt()
        if self.prediction == "eps":
            return ((x.float() * root - picture.float()) / s).to(x)
        return ((x.float() - picture.float() * root) / s).to(x)
