"""A discriminator as a part of a loss: real pictures and those that came back of an autoencoder are told apart patch by
patch (Isola et al. 2017) with a hinge loss, and its say is balanced against the other losses by their gradients, as in
VQGAN (Esser et al. 2021, eq. 7) and the autoencoders of latent diffusion (Rombach et al. 2022, app. G).

Two differences: norms are of groups, not of batches, so that processes agree; and gradients are compared at the
picture, not at the decoder's last layer.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

GROUPS = 8
WARMUP = 200
"""Calls over which the discriminator's say grows to its full weight."""


def _layer(cin: int, cout: int, stride: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(cin, cout, 4, stride, 1), nn.GroupNorm(GROUPS, cout), nn.LeakyReLU(0.2)


class Discriminator(nn.Module):
    """Pixels `(b, 3, h, w)` in [-1, 1] to logits `(b, 1, h / 4 - 2, w / 4 - 2)`, above 0 for real; each sees a patch of
    34x34 pixels."""

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1),
            nn.LeakyReLU(0.2),
            *_layer(width, 2 * width, 2),
            *_layer(2 * width, 4 * width, 1),
            nn.Conv2d(4 * width, 1, 4, 1, 1),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.layers(pixels)
        return logits


class Adversary(nn.Module):
    """What a discriminator adds to a loss; trained by the same step, as each half sends gradients its own way. weight:
    the length of its gradient at the picture, as a share of the other losses'."""

    calls: Tensor

    def __init__(self, weight: float, discriminator: Discriminator | None = None) -> None:
        super().__init__()
        self.weight, self.judge = weight, discriminator or Discriminator()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, got: Tensor, want: Tensor, other: Tensor) -> Tensor:
        """The sum of both halves, a scalar: what pictures `got` `(b, 3, h, w)` in [-1, 1] lose by being told from
        `want`, weighed against `other`, a loss of `got`; and what the discriminator loses by not telling them. 0 where
        no gradients are wanted. Not for torch.compile together with what makes `got` and `other`: between two results
        of one compiled graph there is no gradient."""
        if not torch.is_grad_enabled():
            return torch.zeros((), device=got.device)
        fixed = {name: each.detach() for name, each in self.judge.named_parameters()}
        told: Tensor = -functional_call(self.judge, fixed, (got,)).mean()
        judged = 0.5 * (F.relu(1 - self.judge(want)).mean() + F.relu(1 + self.judge(got.detach())).mean())
        say = self.weight * balance(told, other, got) * (self.calls / WARMUP).clamp(max=1)
        self.calls += 1
        return say * told + judged


def balance(one: Tensor, other: Tensor, at: Tensor) -> Tensor:
    """What makes the gradient of the loss `one` at a tensor as long as the other's; at most 1e4."""
    gradients = (torch.autograd.grad(each, at, retain_graph=True)[0].float().norm() for each in (one, other))
    mine, others = gradients
    return (others / (mine + 1e-8)).clamp(max=1e4).detach()
