"""Writes docs/storyboard.schema.json from the storyboard's dataclasses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from diffilm_core.story.schema import storyboard_schema  # noqa: E402

text = json.dumps(storyboard_schema(), indent=2) + "\n"
(ROOT / "docs" / "storyboard.schema.json").write_text(text, encoding="utf-8")
