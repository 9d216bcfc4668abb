"""Captions from a local transformers folder: models of single pictures, of several frames, and those that chat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import DiffilmError
from .describe import merged

ASK = "Say in one plain sentence what this shot of a film shows: who, doing what, where."


class TransformersCaptioner:
    """BLIP, GIT (also its video form), ViT-GPT2 and their like, or a model that chats about pictures.

    Greedy decoding: the same frames give the same words on one machine. Pictures are captioned one by one and the
    caption closest to the others stands for the shot; models that take several frames see them together.
    Raises DiffilmError where the folder cannot be read or its model does not caption.
    """

    def __init__(self, folder: Path, *, device: str | torch.device | None = None, words: int = 40) -> None:
        self.folder = folder
        self.tokens = 2 * words
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        if not (folder / "config.json").is_file():
            raise DiffilmError(
                f"captioner {folder}: no config.json there, expected a folder of a transformers model that captions "
                "pictures, such as BLIP or GIT; download one and name its folder"
            )
        try:
            self.model, self.processor, self.tokenizer = _load(folder)
        except (OSError, ValueError, KeyError, ImportError, RuntimeError, TypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise DiffilmError(
                f"captioner {folder} cannot be loaded ({reason}): expected a whole folder of a transformers model that "
                "captions pictures, such as BLIP or GIT"
            ) from error
        self.model = self.model.to(self.device).eval()
        config = self.model.config
        self.frames_together = int(getattr(config, "num_image_with_embedding", None) or 0)
        self.chats = bool(getattr(self.processor, "chat_template", None))

    @torch.inference_mode()
    def caption(self, frames: Tensor) -> str:
        """Frames `(t, h, w, 3)` of one shot, in [0, 1], in words."""
        pictures = [_picture(frame) for frame in frames]
        if self.chats:
            return self._chat(pictures)
        if self.frames_together:
            spread = [pictures[i * len(pictures) // self.frames_together] for i in range(self.frames_together)]
            pixels = self.processor(images=spread, return_tensors="pt").pixel_values
            return self._words({"pixel_values": pixels[None] if pixels.ndim == 4 else pixels})
        return merged([self._words(self.processor(images=picture, return_tensors="pt")) for picture in pictures])

    def _words(self, inputs: Any, skip: int = 0) -> str:
        values = {key: value.to(self.device) for key, value in inputs.items()}
        made = self.model.generate(**values, max_new_tokens=self.tokens, do_sample=False)
        return self.tokenizer.decode(made[0, skip:], skip_special_tokens=True).strip()

    def _chat(self, pictures: list[Any]) -> str:
        content: list[dict[str, Any]] = [{"type": "image", "image": picture} for picture in pictures]
        messages = [{"role": "user", "content": [*content, {"type": "text", "text": ASK}]}]
        inputs = self.processor.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
        return self._words(inputs, skip=inputs["input_ids"].shape[1])


def _load(folder: Path) -> tuple[Any, Any, Any]:
    """Model, what prepares pictures, and what turns tokens into words."""
    from transformers import (
        AutoConfig,
        AutoImageProcessor,
        AutoModelForImageTextToText,
        AutoProcessor,
        AutoTokenizer,
        VisionEncoderDecoderModel,
    )

    local = {"local_files_only": True, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(folder, **local)
    if config.model_type == "vision-encoder-decoder":
        pair = VisionEncoderDecoderModel.from_pretrained(folder, local_files_only=True)
        return pair, AutoImageProcessor.from_pretrained(folder, **local), AutoTokenizer.from_pretrained(folder, **local)
    model = AutoModelForImageTextToText.from_pretrained(folder, **local)
    processor = AutoProcessor.from_pretrained(folder, **local)
    return model, processor, processor.tokenizer


def _picture(frame: Tensor) -> Any:
    from PIL import Image

    return Image.fromarray(frame.clamp(0, 1).mul(255).round().to(torch.uint8).cpu().numpy())
