"""Names that several nodes share."""

from __future__ import annotations

from comfy_api.latest import io

CATEGORY = "Diffilm"

Storyboard = io.Custom("DIFFILM_STORYBOARD")
