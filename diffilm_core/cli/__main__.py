"""`python -m diffilm_core.cli` is the command too."""

from __future__ import annotations

import sys

from .main import main

sys.exit(main())
