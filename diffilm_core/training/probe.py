"""A small classifier that says which object and which place it sees: the judge of generated pictures."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .contrast import PictureTower
from .scenes import plain_words

FIRST, SECOND = 0.25, 0.4
"""How sure the probe must be of a subject, and of a second one as a share of that, to name it."""


class Probe(nn.Module):
    """Pictures `(b, 3, 128, 128)` in [-1, 1] to logits of objects `(b, n)` and places `(b, m)`; halved first.

    Each of 4 x 4 parts of the picture says which object it sees, and the surest of them counts (a log-sum-exp), so that
    a second object does not take from the first.
    """

    def __init__(self, objects: int, places: int) -> None:
        super().__init__()
        widths = (48, 96, 192, 256, 320)
        self.parts = PictureTower(1, widths, last_stride=1)
        self.objects, self.places = nn.Linear(widths[-1], objects), nn.Linear(widths[-1], places)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.parts.net(F.avg_pool2d(pixels, 2)).flatten(2).transpose(1, 2)
        return self.objects(seen).float().logsumexp(1), self.places(seen.mean(1))


def worsen(pixels: Tensor) -> Tensor:
    """Blur, noise and tone changes, a strength a picture, so that the probe looks at shapes and not at sharpness."""
    n = len(pixels)
    amount = torch.rand(n, 1, 1, 1, device=pixels.device)
    soft = F.interpolate(F.avg_pool2d(pixels, 2), scale_factor=2, mode="bilinear")
    pixels = pixels + (soft - pixels) * amount * 0.9
    gain = 1 + 0.2 * (torch.rand(n, 1, 1, 1, device=pixels.device) - 0.5)
    shift = 0.2 * (torch.rand(n, 3, 1, 1, device=pixels.device) - 0.5)
    return pixels * gain + shift + 0.03 * torch.randn_like(pixels)


def probe_loss(model: Probe, pixels: Tensor, objects: Tensor, places: Tensor) -> Tensor:
    """objects `(b, 2)`, -1 for none: of two each is half of what is asked."""
    found, where = model(worsen(pixels))
    named = F.one_hot(objects + 1, found.shape[1] + 1)[..., 1:].sum(1).float()
    return F.cross_entropy(found.float(), named / named.sum(1, keepdim=True), label_smoothing=0.05) + F.cross_entropy(
        where.float(), places, label_smoothing=0.05
    )


@torch.no_grad()
def seen(model: Probe, pixels: Tensor) -> list[str]:
    """What the probe sees in pictures, uint8 `(n, 3, h, w)`, in plain words: one subject or two where both are as good
    as sure, and the place; "" where it is sure of none."""
    device = next(model.parameters()).device
    found, where = zip(*(model(piece.to(device).float() / 127.5 - 1) for piece in pixels.split(64)), strict=True)
    sure, best = torch.cat(found).softmax(1).topk(2)
    best[sure[:, 1] < SECOND * sure[:, 0], 1] = -1
    words = plain_words(best.cpu(), torch.cat(where).argmax(1).cpu())
    return [word if p > FIRST else "" for word, p in zip(words, sure[:, 0].tolist(), strict=True)]


@torch.no_grad()
def judge(model: Probe, pixels: Tensor, objects: Tensor, places: Tensor) -> dict[str, float]:
    """Shares that are right: `place`, `object` (first guess), `object5` (among five); where objects are `(n, 2)`,
    two in each picture, both must be: `object` among the first two guesses. pixels in [-1, 1], on any device."""
    device = next(model.parameters()).device
    found, where = zip(*(model(piece.to(device)) for piece in pixels.split(64)), strict=True)
    objects, places = objects.to(device).reshape(len(pixels), -1), places.to(device)
    best = torch.cat(found).topk(5, dim=1).indices
    hits = best[:, :, None] == objects[:, None]
    return {
        "place": float((torch.cat(where).argmax(1) == places).float().mean()),
        "object": float(hits[:, : objects.shape[1]].any(1).all(1).float().mean()),
        "object5": float(hits.any(1).all(1).float().mean()),
    }
