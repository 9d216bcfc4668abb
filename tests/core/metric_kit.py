"""Small networks with random weights, in the files that metrics read, and small sets of clips."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from diffilm_core.bundle import TOKENIZER
from diffilm_core.frames import from_tensor, write


class TinyI3D(nn.Module):
    """Called as the laboratories' i3d_torchscript.pt is; a matrix of means over blocks instead of its layers."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(3 * 3 * 4 * 4, 400, generator=generator))

    def forward(self, x: Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False) -> Tensor:
        if rescale or resize or not return_features:
            raise RuntimeError("called otherwise")
        return torch.nn.functional.adaptive_avg_pool3d(x, (3, 4, 4)).flatten(1) @ self.weight


def tiny_i3d(path: Path) -> Path:
    torch.jit.script(TinyI3D()).save(str(path))
    return path


def tiny_clip(folder: Path) -> Path:
    """A CLIP of 32 x 32 pixels with Diffilm's own tokenizer."""
    from transformers import CLIPConfig, CLIPModel, CLIPTextConfig, CLIPVisionConfig

    from diffilm_core.text.clip import load_tokenizer

    tokenizer = load_tokenizer(TOKENIZER)
    first, last = tokenizer("")["input_ids"]
    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = CLIPTextConfig(**small, vocab_size=len(tokenizer), max_position_embeddings=32, bos_token_id=first,
                          eos_token_id=last, pad_token_id=last)  # fmt: skip
    vision = CLIPVisionConfig(**small, image_size=32, patch_size=8)
    torch.manual_seed(0)
    config = CLIPConfig(text_config=text.to_dict(), vision_config=vision.to_dict(), projection_dim=24)
    CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def clips(folder: Path, count: int, seed: int, *, speed: float = 0.05, frames: int = 16, alike: bool = False) -> Path:
    """`count` lossless clips of 32 x 24 pixels, waves of other colours (all `alike`: the same) that move."""
    folder.mkdir(parents=True, exist_ok=True)
    dice = torch.Generator().manual_seed(seed)
    x, y = torch.arange(32) / 32, torch.arange(24)[:, None] / 24
    for at in range(count):
        if at == 0 or not alike:
            turn, colour = torch.rand(2, generator=dice) * 9, torch.rand(3, generator=dice)
        wave = torch.stack([torch.sin(turn[0] * x + turn[1] * y - 7 * speed * t) / 2 + 0.5 for t in range(frames)])
        write(from_tensor(wave[..., None] * colour, 8), folder / f"{at:03d}.mkv")
    return folder
