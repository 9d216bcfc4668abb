"""Ray, where filming and curation are spread over many machines."""

from __future__ import annotations

import logging
import os
import socket
from typing import Any

from .errors import DiffilmError

POLL_SECONDS = 0.5
"""How long Ctrl-C and Cancel may wait."""
CONNECT_SECONDS = 5.0


def connected(address: str) -> Any:
    """The module ray, on the cluster at `address`: "auto" (the one that this machine belongs to), a head's host:port,
    or "local" (this machine alone). Raises DiffilmError where Ray is not installed or not reached."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
    try:
        import ray
    except ImportError as error:
        raise DiffilmError(f"ray {address}: Ray cannot be imported ({error}): pip install ray") from error
    local: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    try:
        host, colon, port = address.rpartition(":")
        if colon:  # Ray itself would try for minutes
            socket.create_connection((host.removeprefix("ray://"), int(port)), timeout=CONNECT_SECONDS).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **local)
    except (OSError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DiffilmError(
            f"ray {address}: no cluster is reached ({reason}): expected auto, local, or host:port of a head that "
            "`ray start --head` made"
        ) from error
    return ray
