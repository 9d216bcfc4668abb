"""How well frames match their words: the cosine of CLIP's embeddings (CLIPSIM, Wu et al. 2021). None ships.

Any CLIP in a folder as transformers keeps it (config.json, weights, tokenizer); published figures are ViT-B/32's, so
figures of another are not comparable with them, and the result names it. (Diffilm's own text encoder was trained
beside a picture tower that does not ship, so it cannot measure this.)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import DiffilmError
from ..sampling.image_to_video import CLIP_MEAN, CLIP_STD


class Clip:
    """Embeddings of unit length, of frames and of texts."""

    def __init__(self, folder: str | Path, device: torch.device | str = "cpu") -> None:
        """Raises DiffilmError for a folder that is missing or holds no whole CLIP."""
        from transformers import AutoTokenizer, CLIPModel

        folder = Path(folder)
        if not is_clip(folder):
            raise DiffilmError(f"{folder} holds no CLIP: give a folder of transformers (config.json of a CLIPModel, "
                               "model.safetensors, tokenizer)")  # fmt: skip
        try:
            model: Any = CLIPModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            raise DiffilmError(f"{folder}: its CLIP cannot be loaded ({str(error).splitlines()[0]})") from error
        self.model = model.eval().requires_grad_(False).to(device)
        config = self.model.config
        self.side, self.length = config.vision_config.image_size, config.text_config.max_position_embeddings
        self.name = f"{folder.name} (patches of {config.vision_config.patch_size}, {config.projection_dim} numbers)"
        self.mean, self.std = _normalisation(folder)

    @torch.inference_mode()
    def frames(self, frames: Tensor) -> Tensor:
        """Frames `(t, h, w, 3)` in [0, 1] to `(t, d)`: the shorter side scaled (bicubic), the middle cut."""
        x = frames.permute(0, 3, 1, 2).to(self.model.device, torch.float32)
        scale = self.side / min(x.shape[2:])
        size = [max(self.side, int(side * scale)) for side in x.shape[2:]]
        x = F.interpolate(x, size, mode="bicubic", antialias=True).clamp(0, 1) if size != list(x.shape[2:]) else x
        top, left = (size[0] - self.side) // 2, (size[1] - self.side) // 2
        x = x[:, :, top : top + self.side, left : left + self.side]
        x = (x - x.new_tensor(self.mean)[:, None, None]) / x.new_tensor(self.std)[:, None, None]
        seen = self.model.vision_model(pixel_values=x).pooler_output
        return F.normalize(self.model.visual_projection(seen), dim=-1)

    @torch.inference_mode()
    def texts(self, texts: list[str]) -> Tensor:
        """`(n, d)`; longer ones are cut at the model's length."""
        tokens = self.tokenizer(texts, padding=True, truncation=True, max_length=self.length, return_tensors="pt")
        read = self.model.text_model(**tokens.to(self.model.device)).pooler_output
        return F.normalize(self.model.text_projection(read), dim=-1)

    def similarity(self, frames: Tensor, text: str) -> float:
        """The mean cosine of a clip's frames with its words, -1 to 1."""
        return float((self.frames(frames) @ self.texts([text]).T).mean())


def is_clip(folder: Path) -> bool:
    """Whether a folder's config.json is of transformers' CLIP, text and vision both."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(config, dict) and "CLIPModel" in (config.get("architectures") or [])


def _normalisation(folder: Path) -> tuple[Any, Any]:
    try:
        found = json.loads((folder / "preprocessor_config.json").read_text(encoding="utf-8"))
        return tuple(found["image_mean"]), tuple(found["image_std"])
    except (OSError, ValueError, KeyError, TypeError):
        return CLIP_MEAN, CLIP_STD
