"""A process's own peak of memory, for tests that run one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STATUS = Path("/proc/self/status")
needs_proc = pytest.mark.skipif(not STATUS.is_file(), reason="peaks are read from /proc, which Linux has")


def own_peak() -> int:
    """This process's peak resident bytes. Not `ru_maxrss`: a child's begins at what its parent had when it forked."""
    found = re.search(r"VmHWM:\s+(\d+) kB", STATUS.read_text())
    assert found is not None
    return int(found[1]) * 1024
