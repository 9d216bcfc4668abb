"""Text encoders: prompts to the context that the UNet attends to."""

from __future__ import annotations

from .clip import TextEncoder
from .windows import PromptTokenizer

__all__ = ["PromptTokenizer", "TextEncoder"]
