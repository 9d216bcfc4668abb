"""Diffilm in ComfyUI's custom_nodes: the nodes, and where the web front end finds their help pages.

Outside ComfyUI (under pytest, say) importing this does nothing; the library is the package `diffilm_core`.
"""

from __future__ import annotations

from importlib.util import find_spec

WEB_DIRECTORY = "./web"
__all__ = ["WEB_DIRECTORY"]

if __package__ and find_spec("comfy_api") is not None and find_spec("folder_paths") is not None:
    from .nodes import comfy_entrypoint

    __all__ += ["comfy_entrypoint"]
