"""Proves that the UI workflows open on the canvas in Chromium: all nodes known, all links alive, all values kept.

Needs node, Chromium and the npm package playwright-core (`NODE_PATH` names the node_modules that has it).
DIFFILM_PICTURES names a folder that keeps a picture of each workflow.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hostkit import PACK, Server, api_workflow

NAMES = sorted(path.stem for path in (PACK / "workflows").glob("*.json"))


@pytest.fixture(scope="session")
def reports(server: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    browser = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    if shutil.which("node") is None or not Path(browser).exists():
        pytest.skip("needs node and Chromium (CHROMIUM names the browser)")
    if subprocess.run(["node", "-e", "require('playwright-core')"], capture_output=True).returncode:
        pytest.skip("needs the npm package playwright-core (NODE_PATH names the node_modules that has it)")
    pictures = os.environ.get("DIFFILM_PICTURES") or str(tmp_path_factory.mktemp("pictures"))
    files = [str(PACK / "workflows" / f"{name}.json") for name in NAMES]
    script = str(Path(__file__).parent / "canvas.js")
    done = subprocess.run(["node", script, server.url, pictures, *files], capture_output=True, text=True, timeout=900)
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(found) == len(NAMES), done.stdout[-2000:] + done.stderr[-3000:]
    return {report["name"]: report for report in found}


@pytest.mark.parametrize("name", NAMES)
def test_workflow_opens_on_the_canvas(reports: dict[str, dict], name: str) -> None:
    report = reports[name]
    assert report["unknown"] == [] and report["broken"] == [] and report["unwired"] == []
    assert report["changed"] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_canvas_queues_the_api_form(reports: dict[str, dict], name: str) -> None:
    """What Run sends is the file in workflows/api."""
    sent = {key: (node["class_type"], node["inputs"]) for key, node in reports[name]["api"].items()}
    assert sent == {key: (node["class_type"], node["inputs"]) for key, node in api_workflow(name).items()}
