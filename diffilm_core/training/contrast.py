"""The text encoder's own stage: captions and pictures are brought together (Radford et al. 2021, CLIP)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..bundle import TOKENIZER
from ..text.clip import load_tokenizer


class PictureTower(nn.Module):
    """Small convolutional network: pictures `(b, 3, h, w)` in [-1, 1] to `(b, d)`. Only used in training."""

    def __init__(self, dim: int, widths: tuple[int, ...] = (48, 96, 160, 256), last_stride: int = 2) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        cin = 3
        for width in widths:
            stride = last_stride if width == widths[-1] else 2
            layers += [nn.Conv2d(cin, width, 3, stride=stride, padding=1), nn.GroupNorm(16, width), nn.SiLU()]
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(16, width), nn.SiLU()]
            cin = width
        self.net = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1], dim)

    def features(self, pixels: Tensor) -> Tensor:
        return self.net(pixels).mean(dim=(2, 3))

    def forward(self, pixels: Tensor) -> Tensor:
        return self.head(self.features(pixels))


class Contrast(nn.Module):
    """CLIP's loss over a batch, with a learned temperature."""

    def __init__(self, text: nn.Module, dim: int, end_token: int) -> None:
        super().__init__()
        self.text, self.end_token = text, end_token
        self.pictures = PictureTower(dim)
        self.project = nn.Linear(dim, dim, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(2.65))

    def embed_text(self, tokens: Tensor) -> Tensor:
        """Token ids `(b, l)` to `(b, d)`: the output at the first end token, projected."""
        hidden = self.text(input_ids=tokens).last_hidden_state
        ends = (tokens == self.end_token).int().argmax(dim=1)
        return self.project(hidden[torch.arange(len(tokens), device=tokens.device), ends])

    def forward(self, tokens: Tensor, pixels: Tensor) -> Tensor:
        text = F.normalize(self.embed_text(tokens).float(), dim=-1)
        pictures = F.normalize(self.pictures(pixels).float(), dim=-1)
        logits = self.log_scale.clamp(max=4.6).exp() * text @ pictures.T
        target = torch.arange(len(tokens), device=tokens.device)
        return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def text_fields(shape: Mapping[str, Any]) -> dict[str, Any]:
    """The CLIPTextConfig of a text encoder of this shape that reads Diffilm's own vocabulary."""
    tokenizer = load_tokenizer(TOKENIZER)
    first, last = tokenizer("")["input_ids"]
    return {
        **shape,
        "vocab_size": len(tokenizer),
        "bos_token_id": first,
        "eos_token_id": last,
        "pad_token_id": last,
        "hidden_act": "quick_gelu",
    }


def text_model(config: dict[str, Any]) -> nn.Module:
    """A fresh CLIPTextModel of transformers, initialised as CLIP is."""
    from transformers import CLIPTextConfig, CLIPTextModel

    return CLIPTextModel(CLIPTextConfig(**config))
