"""A motion prior: the movement of a clip, drawn from its picture by diffusion over optical flow.

That a picture's movement is drawn first and the picture then moved is Motion-I2V's way (Shi et al. 2024) and that of
latent flow diffusion (Ni et al. 2023); that each place's way through the clip is a few numbers is Generative Image
Dynamics' (Li et al. 2024), which has frequencies where this has the principal components of the data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import DiffilmError
from .blocks import sinusoidal
from .unet import UNet, UNetConfig

CELL = 8
"""Pixels along a side of the square that moves as one."""
SEEN = 4
"""Pixels along the side of a cell of the picture as the network sees it: half its size."""
FARTHEST = 5.0
"""Where a coefficient ends, in `asinh`: 74 times the unit in which it is squeezed."""


@dataclass(frozen=True)
class MotionPriorConfig:
    """`coefficients`: numbers that say a cell's way through a clip of `frames`, at most two for each frame but the
    middle one. `prediction`: what the network says of noisy ones, "x0" or, in files that do not name it, "v". The
    others: see `UNetConfig`. Raises DiffilmError for more."""

    frames: int = 16
    coefficients: int = 16
    model_channels: int = 48
    channel_mult: tuple[int, ...] = (1, 2, 2)
    transformer_depth: tuple[int, ...] = (0, 1, 0)
    head_dim: int = 24
    prediction: str = "x0"

    def __post_init__(self) -> None:
        if not 1 <= self.coefficients <= (most := 2 * (self.frames - 1)):
            raise DiffilmError(f"coefficients {self.coefficients}: a way through {self.frames} frames has 1 to {most}")

    @classmethod
    def of_clips(cls, frames: int) -> MotionPriorConfig:
        """The usual one for clips of this length."""
        return cls(frames=frames, coefficients=min(cls.coefficients, 2 * (frames - 1)))

    @property
    def unet(self) -> UNetConfig:
        return UNetConfig(
            self.coefficients + 3 * SEEN**2, self.coefficients, self.model_channels, self.channel_mult, 1,
            self.transformer_depth, context_dim=self.model_channels, head_dim=self.head_dim, use_linear=True,
        )  # fmt: skip

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MotionPriorConfig:
        lists: dict[str, Any] = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
        return cls(**{"prediction": "v", **values, **lists})


class MotionPrior(nn.Module):
    """Denoiser of coefficients `(b, k, h, w)`, one vector for each cell of CELL x CELL pixels.

    `flow(coefficients)` are the ways that they stand for, `coefficients(flow)` the other direction: flow
    `(b, t, 2, h, w)`, x then y, in pixels, says where in the middle frame a cell of frame t is looked up. Coefficients
    are squeezed by asinh, since most of a picture stands still and some of it goes far, and have unit size.

    The network says the clean coefficients (`prediction` "x0"). Fields as smooth as these have few degrees of freedom,
    and noise has all; a small network has no room to pass it on, which a prediction of noise or velocity needs (Li and
    He 2025), and what it could not pass made neighbouring cells go different ways.
    """

    basis: Tensor
    scale: Tensor
    norm: Tensor

    def __init__(self, config: MotionPriorConfig) -> None:
        super().__init__()
        self.config = config
        self.unet = UNet(config.unet)
        self.register_buffer("basis", torch.zeros(config.coefficients, config.frames, 2))
        self.register_buffer("scale", torch.ones(config.coefficients))
        self.register_buffer("norm", torch.ones(config.coefficients))

    def fit(self, flow: Tensor) -> None:
        """Take the principal components of these ways `(n, t, 2, h, w)` as the basis, not centred, so that rest is 0.

        Raises DiffilmError for clips of other lengths and where nothing moves.
        """
        if flow.shape[1] != self.config.frames:
            raise DiffilmError(f"flow of clips of {flow.shape[1]} frames: expected {self.config.frames}")
        ways = flow.permute(0, 3, 4, 1, 2).reshape(-1, flow.shape[1] * 2).double()
        vectors = torch.linalg.eigh(ways.T @ ways / len(ways)).eigenvectors
        first = vectors.flip(1)[:, : self.config.coefficients]
        raw = ways @ first
        size = raw.square().mean(0).sqrt()
        if not float(size.max()) > 0:
            raise DiffilmError("nothing moves in these clips: there is no movement to learn from; give clips that move")
        scale = size.clamp(min=1e-4 * float(size.max())) / 2  # what never happens stays small
        self.basis.copy_(first.T.reshape_as(self.basis))
        self.scale.copy_(scale)
        self.norm.copy_((raw / scale).asinh().square().mean(0).sqrt().clamp(min=1e-4))

    @property
    def importance(self) -> Tensor:
        """How much each coefficient's error counts `(k, 1, 1)`, 1 on average: half-way, in its logarithm, between the
        same for all and as far as it moves things."""
        root = self.scale.sqrt().view(-1, 1, 1)
        return root / root.mean()

    def coefficients(self, flow: Tensor) -> Tensor:
        raw = torch.einsum("btdhw,ktd->bkhw", flow, self.basis)
        return (raw / self.scale.view(-1, 1, 1)).asinh() / self.norm.view(-1, 1, 1)

    def flow(self, coefficients: Tensor) -> Tensor:
        raw = (coefficients * self.norm.view(-1, 1, 1)).clamp(-FARTHEST, FARTHEST).sinh() * self.scale.view(-1, 1, 1)
        return torch.einsum("bkhw,ktd->btdhw", raw, self.basis)

    def forward(self, x: Tensor, timesteps: Tensor, picture: Tensor, fps: Tensor) -> Tensor:
        """What the network predicts of noisy coefficients x `(b, k, h, w)`, of a picture `(b, 3, H, W)` in [-1, 1]
        whose clip has `fps` `(b,)` frames a second."""
        h, w = x.shape[-2:]
        seen = F.pixel_unshuffle(F.interpolate(picture, (h * SEEN, w * SEEN), mode="area"), SEEN)
        rate = sinusoidal(fps * 60, self.config.model_channels).to(x.dtype)[:, None]
        made: Tensor = self.unet(torch.cat([x, seen.to(x.dtype)], 1)[:, :, None], timesteps, rate)
        return made[:, :, 0]
