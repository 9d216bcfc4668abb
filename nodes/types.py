"""Names that several nodes share."""

from __future__ import annotations

from comfy_api.latest import io

CATEGORY = "Diffilm"

Storyboard = io.Custom("DIFFILM_STORYBOARD")

PHRASING_TIP = "How prompts are worded: plain for the model that ships, sentence for ModelScope, tags for SD 1.5."
