"""The host's CONDITIONING of several prompts, and between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..diffilm_core.walk import lerp
from . import host


def stacked(clip: Any, prompts: Sequence[str], fps: float | None = None) -> list[tuple[Tensor, dict[str, Any]]]:
    """The context `(1, l, d)` and the other values of each prompt, of one length: shorter ones are filled with the
    empty prompt's tokens."""
    found = [host.encode_text(clip, prompt, fps)[0] for prompt in prompts]
    longest = max(text.shape[1] for text, _ in found)
    if any(text.shape[1] < longest for text, _ in found):
        empty = host.encode_text(clip, "", fps)[0][0]
        empty = empty.repeat(1, -(-longest // empty.shape[1]), 1)
        found = [(torch.cat([text, empty[:, : longest - text.shape[1]]], dim=1), values) for text, values in found]
    return [(text, dict(values)) for text, values in found]


def blended(
    texts: Sequence[tuple[Tensor, dict[str, Any]]], steps: Sequence[tuple[int, int, float]], **values: Any
) -> list:
    """CONDITIONING of one text a frame, `(frames, l, d)`: each lies between two of `texts`."""
    context = torch.cat([lerp(texts[a][0], texts[b][0], share) for a, b, share in steps])
    beside = {**texts[0][1], **values}
    pooled = [each.get("pooled_output") for _, each in texts]
    if all(isinstance(each, Tensor) for each in pooled):
        beside["pooled_output"] = torch.cat([lerp(pooled[a], pooled[b], share) for a, b, share in steps])
    return [[context, beside]]
