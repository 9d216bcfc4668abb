"""The picture of a clip before the clip, in whatever sampler of the host: for networks with `OverTime`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from ..diffilm_core.sampling.over_time import middle
from ..diffilm_core.sampling.run import DEFAULT_FPS

TOLD = "diffilm_over_time"
"""What a call of the network is told beside its conditioning, in `transformer_options`: `alone`, that each row is a
picture of its own, or what `OverTime.told` says of the clip."""


def picture_first(
    execute: Callable[..., Tensor], guider: Any, sigmas: Tensor, extra: dict[str, Any], callback: Any, noise: Tensor,
    latents: Tensor | None = None, mask: Tensor | None = None, *rest: Any,
) -> Tensor:  # fmt: skip
    """Wraps the host's SAMPLER_SAMPLE: samples the middle frame as a picture, then the clip around it. A conditioning
    with a text a frame, or of pictures, is sampled as it is."""
    frames = noise.shape[0]
    if frames < 2 or not all(_one_text(each) for conds in guider.conds.values() for each in conds or ()):
        return execute(guider, sigmas, extra, callback, noise, latents, mask, *rest)
    at, options = middle(frames), extra["model_options"]

    def told(what: dict[str, Any], **instead: Any) -> dict[str, Any]:
        network = {**options.get("transformer_options", {}), **instead, TOLD: what}
        return {**extra, "model_options": {**options, "transformer_options": network}}

    def of_middle(tensor: Tensor | None) -> Tensor | None:
        return tensor[at] if tensor is not None and tensor.shape[0] == frames else tensor

    alone = told({"alone": True}, wrappers={})  # caches of the host's keep what they saw for one size
    picture = execute(guider, sigmas, alone, None, noise[at], of_middle(latents), of_middle(mask), True)
    still = latents is None or not bool(latents.any())
    around = guider.inner_model.diffusion_model.over_time
    clip = around.told(picture[:, :, None], frames, _rate(guider), int(extra.get("seed") or 0), still)
    with _guided_around(guider):
        return execute(guider, sigmas, told(clip), callback, noise, latents, mask, *rest)


@contextmanager
def _guided_around(guider: Any) -> Iterator[None]:
    """The guider with the guidance of the frames around the picture."""
    cfg = guider.cfg
    guider.cfg = guider.inner_model.diffusion_model.over_time.guidance(cfg)
    try:
        yield
    finally:
        guider.cfg = cfg


def _rate(guider: Any) -> float:
    """Frames a second, as the conditioning has them."""
    for cond in (each for conds in guider.conds.values() for each in conds or ()):
        if (rate := cond.get("model_conds", {}).get("diffilm_fps")) is not None:
            return float(rate.cond.flatten()[0])
    return DEFAULT_FPS


def _one_text(cond: Any) -> bool:
    words = cond.get("cross_attn")
    return (words is None or words.shape[0] == 1) and "diffilm_enable_time" not in cond.get("model_conds", {})
