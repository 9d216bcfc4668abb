"""Tests against a real ComfyUI: `COMFYUI_PATH=/path/to/ComfyUI pytest tests/host` (COMFYUI_PYTHON: its interpreter)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import hostkit


@pytest.fixture(scope="session")
def host_path() -> Path:
    folder = hostkit.host_folder()
    if folder is None:
        pytest.skip("no ComfyUI: set COMFYUI_PATH to its folder (and COMFYUI_PYTHON to its interpreter)")
    assert (folder / "main.py").is_file(), f"COMFYUI_PATH={folder} holds no ComfyUI (main.py)"
    return folder


@pytest.fixture(scope="session")
def server(host_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[hostkit.Server]:
    running = hostkit.start(host_path, tmp_path_factory.mktemp("comfyui"))
    yield running
    hostkit.stop(running)
