"""Proves that the pack's root can be imported with no ComfyUI around, and that the core never asks for one."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).absolute().parents[2]
HOST_MODULES = {"comfy", "comfy_api", "comfy_execution", "folder_paths", "server", "nodes", "latent_preview"}
INTERNALS = HOST_MODULES - {"comfy_api"}


def imported(path: Path) -> set[str]:
    """Top-level names of the absolute imports of a file, lazy ones too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_the_root_is_harmless_without_a_host() -> None:
    assert not {"comfy", "folder_paths"} & sys.modules.keys()
    spec = importlib.util.spec_from_file_location(
        "pack_without_host", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    assert module.__all__ == ["WEB_DIRECTORY"]
    assert (ROOT / module.WEB_DIRECTORY / "docs").is_dir()


@pytest.mark.parametrize("path", sorted((ROOT / "diffilm_core").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_the_core_imports_no_host(path: Path) -> None:
    assert not imported(path) & HOST_MODULES


@pytest.mark.parametrize("path", sorted((ROOT / "nodes").glob("*.py")), ids=lambda p: p.name)
def test_only_the_host_files_touch_the_hosts_internals(path: Path) -> None:
    if not path.name.startswith("host"):
        assert not imported(path) & INTERNALS
    assert "diffilm_core" not in imported(path), "the pack is a sub-package in ComfyUI: import the core relatively"
