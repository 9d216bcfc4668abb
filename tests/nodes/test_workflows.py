"""Proves that every workflow file fits the nodes' schemas, and that the canvas and the HTTP form are one workflow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).absolute().parents[2]
HERE = Path(__file__).parent
SCHEMAS: dict[str, Any] = {
    **json.loads((HERE / "schemas.json").read_text("utf-8")),
    **json.loads((HERE / "host_schemas.json").read_text("utf-8")),
}
NAMES = sorted(path.stem for path in (ROOT / "workflows").glob("*.json"))
WIDGETS = {"INT": int, "FLOAT": (int, float), "STRING": str, "BOOLEAN": bool, "COMBO": str}


def ui(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "workflows" / f"{name}.json").read_text("utf-8"))


def api(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "workflows/api" / f"{name}.json").read_text("utf-8"))


def widgets(kind: str) -> list[str]:
    """Names of the values that the canvas saves for a node, in its order."""
    names = []
    for entry in SCHEMAS[kind]["inputs"]:
        if entry["type"] in WIDGETS:
            names.append(entry["name"])
            if entry.get("control_after_generate"):
                names.append("control_after_generate")
    return names


def check_value(kind: str, entry: dict[str, Any], value: Any) -> None:
    where = f"{kind}.{entry['name']} = {value!r}"
    assert entry["type"] in WIDGETS, f"{where}: must be wired"
    assert isinstance(value, WIDGETS[entry["type"]]), where
    assert "min" not in entry or value >= entry["min"], where
    assert "max" not in entry or value <= entry["max"], where
    assert "options" not in entry or value in entry["options"], where


def fits(output: str, wanted: str) -> bool:
    """Whether an output may be wired to an input, which may take several types, or any."""
    return wanted == "*" or output in wanted.split(",")


def test_there_are_both_forms_and_a_thumbnail_of_each() -> None:
    assert sorted(path.stem for path in (ROOT / "scripts/workflows").glob("[!_]*.py")) == NAMES
    assert sorted(path.stem for path in (ROOT / "workflows/api").glob("*.json")) == NAMES
    assert sorted(path.stem for path in (ROOT / "workflows").glob("*.jpg")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_api_form_fits_the_schemas(name: str) -> None:
    graph = api(name)
    for node in graph.values():
        kind = node["class_type"]
        schema = {entry["name"]: entry for entry in SCHEMAS[kind]["inputs"]}
        needed = {key for key, entry in schema.items() if not entry.get("optional")}
        assert needed <= set(node["inputs"]) <= set(schema)
        for key, value in node["inputs"].items():
            if isinstance(value, list):
                source = SCHEMAS[graph[value[0]]["class_type"]]["outputs"][value[1]]
                assert fits(source["type"], schema[key]["type"]), f"{kind}.{key}"
            else:
                check_value(kind, schema[key], value)
    assert any(SCHEMAS[node["class_type"]]["output_node"] for node in graph.values())


@pytest.mark.parametrize("name", NAMES)
def test_canvas_form_is_whole(name: str) -> None:
    flow = ui(name)
    nodes = {node["id"]: node for node in flow["nodes"]}
    assert len(nodes) == len(flow["nodes"]) and max(nodes) <= flow["last_node_id"]
    links = {link[0]: link for link in flow["links"]}
    assert len(links) == len(flow["links"]) and max(links, default=0) <= flow["last_link_id"]
    for number, source, slot, target, place, kind in links.values():
        assert number in nodes[source]["outputs"][slot]["links"]
        assert nodes[target]["inputs"][place]["link"] == number
        assert nodes[source]["outputs"][slot]["type"] == kind
        assert fits(kind, nodes[target]["inputs"][place]["type"])
    for node in nodes.values():
        used = {entry["link"] for entry in node["inputs"]} | {n for out in node["outputs"] for n in out["links"] or []}
        assert used <= {None, *links}
        if node["type"] == "MarkdownNote":
            continue
        assert len(node["widgets_values"]) == len(widgets(node["type"])), node["type"]
        assert [out["type"] for out in node["outputs"]] == [out["type"] for out in SCHEMAS[node["type"]]["outputs"]]
        names = {entry["name"] for entry in SCHEMAS[node["type"]]["inputs"]}
        assert {entry["name"] for entry in node["inputs"]} == names
    assert any(node["type"] == "MarkdownNote" for node in nodes.values()) and flow["groups"]


@pytest.mark.parametrize("name", NAMES)
def test_both_forms_are_the_same_workflow(name: str) -> None:
    flow, graph = ui(name), api(name)
    links = {link[0]: link for link in flow["links"]}
    found = {}
    for node in flow["nodes"]:
        if node["type"] == "MarkdownNote":
            continue
        values = dict(zip(widgets(node["type"]), node["widgets_values"], strict=True))
        values.pop("control_after_generate", None)
        inputs: dict[str, Any] = dict(values)
        for entry in node["inputs"]:
            if entry["link"] is not None:
                inputs[entry["name"]] = [str(links[entry["link"]][1]), links[entry["link"]][2]]
        found[str(node["id"])] = {"class_type": node["type"], "inputs": inputs}
    assert found == {key: {k: v for k, v in node.items() if k != "_meta"} for key, node in graph.items()}


@pytest.mark.parametrize("name", NAMES)
def test_nodes_lie_apart_and_inside_their_groups(name: str) -> None:
    flow = ui(name)
    boxes = {node["id"]: (*node["pos"], *node["size"]) for node in flow["nodes"]}
    title = 30
    for a, (ax, ay, aw, ah) in boxes.items():
        for b, (bx, by, bw, bh) in boxes.items():
            apart = ax + aw <= bx or bx + bw <= ax or ay + ah <= by - title or by + bh <= ay - title
            assert a == b or apart, f"{name}: nodes {a} and {b} overlap"
    for node in flow["nodes"]:
        x, y, width, height = boxes[node["id"]]
        inside = any(
            gx <= x and gy <= y - title and x + width <= gx + gw and y + height <= gy + gh
            for gx, gy, gw, gh in (group["bounding"] for group in flow["groups"])
        )
        assert inside or node["type"] == "MarkdownNote", f"{name}: {node['type']} is in no group"
