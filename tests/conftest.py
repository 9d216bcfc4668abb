"""One thread for every test and the processes that tests start: tiny networks gain nothing from more, and on a busy
machine threads that wait for each other make a second into a minute."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported
