"""How well frames match their words: the cosine of CLIP's embeddings (CLIPSIM, Wu et al. 2021). None ships.

Any CLIP in a folder as transformers keeps it (config.json, weights, tokenizer); published figures are ViT-B/32's, so
figures of another are not comparable with them, and the result names it. (Diffilm's own text encoder was trained
beside a picture tower that does not ship, so it cannot measure this.)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
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
            raise DiffilmError(
                f"CLIP folder {folder}: expected a folder with a CLIP model as transformers saves it (config.json, "
                "weights, tokenizer)"
            )
        try:
            model: Any = CLIPModel.from_pretrained(folder, local_files_only=True)
            self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise DiffilmError(f"CLIP folder {folder}: it cannot be loaded ({reason}); get it again") from error
        self.model = model.eval().requires_grad_(False).to(device)
        config = self.model.config
        self.side, self.length = config.vision_config.image_size, config.text_config.max_position_embeddings
        self.name = f"{folder.name} (patches of {config.vision_config.patch_size}, {config.projection_dim} numbers)"
        self.mean, self.std = _normalisation(folder)

    @torch.inference_mode()
    def frames(self, frames: Tensor) -> Tensor:
        """Frames `(t, h, w, 3)` in [0, 1] to `(t, d)`: the shorter side scaled by PIL's bicubic, as by CLIP's own
        processor, and the middle cut."""
        x = torch.stack([self._prepared(frame) for frame in frames]).to(self.model.device)
        x = (x - x.new_tensor(self.mean)[:, None, None]) / x.new_tensor(self.std)[:, None, None]
        seen = self.model.vision_model(pixel_values=x).pooler_output
        return F.normalize(self.model.visual_projection(seen), dim=-1)

    def _prepared(self, frame: Tensor) -> Tensor:
        """`(3, side, side)` in [0, 1]."""
        from PIL import Image

        image = Image.fromarray((frame.clamp(0, 1) * 255).round().byte().cpu().numpy())
        short = min(image.size)
        wide, high = (int(self.side * side / short) for side in image.size)
        left, top = (wide - self.side) // 2, (high - self.side) // 2
        scaled = image.resize((wide, high), Image.Resampling.BICUBIC)
        middle = scaled.crop((left, top, left + self.side, top + self.side))
        return torch.from_numpy(np.array(middle)).permute(2, 0, 1).float() / 255

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
