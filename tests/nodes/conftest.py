"""Tests of the pack without a ComfyUI: schemas, workflow files, and node bodies on a small stand-in for the host."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
