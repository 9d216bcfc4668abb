"""Every layout that is known, the most specific first."""

from __future__ import annotations

from . import animatediff, modelscope, own_motion, sd, svd, text, vae, vdm
from .layout import Layout

LAYOUTS: list[Layout] = [
    layout for module in (animatediff, own_motion, modelscope, vdm, svd, sd, vae, text) for layout in module.LAYOUTS
]
