"""How near films are to the true one, pixel by pixel, and how steady: frames are `(t, h, w, 3)`, RGB in [0, 1]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

from ..errors import DiffilmError


def psnr(made: Tensor, truth: Tensor) -> float:
    """The mean over the frames of their peak signal-to-noise ratios, in dB; equal frames count as 100."""
    _same(made, truth)
    error = (made.double() - truth.double()).square().mean((1, 2, 3))
    return float((-10 * torch.log10(error.clamp(min=1e-10))).mean())


def ssim(made: Tensor, truth: Tensor) -> float:
    """Mean structural similarity (Wang et al. 2004): 11 x 11 Gaussian of 1.5 pixels, each channel, no borders."""
    _same(made, truth)
    line = torch.exp(-0.5 * ((torch.arange(11, dtype=torch.float32) - 5) / 1.5) ** 2)
    line = line / line.sum()

    def local(x: Tensor) -> Tensor:
        x = F.conv2d(x, line.view(1, 1, 1, 11))
        return F.conv2d(x, line.view(1, 1, 11, 1))

    found = []
    for one, other in zip(made, truth, strict=True):
        a, b = (rearrange(x.float(), "h w c -> c 1 h w") for x in (one, other))
        mean_a, mean_b = local(a), local(b)
        var_a, var_b = local(a * a) - mean_a**2, local(b * b) - mean_b**2
        both = local(a * b) - mean_a * mean_b
        c1, c2 = 0.01**2, 0.03**2
        value = (2 * mean_a * mean_b + c1) * (2 * both + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
        found.append(float(value.mean()))
    return sum(found) / len(found)


def flicker(made: Tensor, truth: Tensor) -> float:
    """The mean difference, in 8-bit levels, of each frame and its neighbour carried along the true film's motion.

    Where the true frames themselves do not follow their flow (occlusion), nothing is counted.
    """
    from ..frames.steady import carried, flow, trust

    _same(made, truth)
    total = weight = 0.0
    for at in range(1, len(truth)):
        before, here = truth[at - 1].numpy(), truth[at].numpy()
        back = flow(here, before)
        share = trust(before, here, back, flow(before, here))
        change = abs(carried(made[at - 1].numpy(), back) - made[at].numpy()).mean(-1)
        total += float((share * change).sum())
        weight += float(share.sum())
    return 255 * total / max(weight, 1e-6)


def motion(frames: Tensor) -> float:
    """The mean absolute difference of neighbouring frames, in 8-bit levels; 0 for a single frame."""
    return 255 * float((frames[1:] - frames[:-1]).abs().mean()) if len(frames) > 1 else 0.0


def _same(made: Tensor, truth: Tensor) -> None:
    if made.shape != truth.shape or made.ndim != 4 or made.shape[-1] != 3:
        raise DiffilmError(
            f"frames of shapes {tuple(made.shape)} and {tuple(truth.shape)}: expected two of one shape (t, h, w, 3); "
            "compare films of one size and length"
        )
