"""Every layout that is known, the most specific first."""

from __future__ import annotations

from . import animatediff, modelscope, sd, svd, vdm
from .layout import Layout

LAYOUTS: list[Layout] = [*animatediff.LAYOUTS, *modelscope.LAYOUTS, *vdm.LAYOUTS, *svd.LAYOUTS, *sd.LAYOUTS]
