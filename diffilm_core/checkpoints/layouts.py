"""Every layout that is known, the most specific first."""

from __future__ import annotations

from . import sd
from .layout import Layout

LAYOUTS: list[Layout] = [*sd.LAYOUTS]
