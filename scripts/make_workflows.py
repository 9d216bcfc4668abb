"""Write workflows/*.json (for the canvas) and workflows/api/*.json (for HTTP) from scripts/workflows/NAME.py.

Each of those has `describe() -> Workflow`. The types of inputs and outputs come from a running ComfyUI that has the
pack; without names, every workflow is written:
    python scripts/make_workflows.py --server http://127.0.0.1:8188 text_to_clip
"""

from __future__ import annotations

import argparse
import importlib
import json
import urllib.request
import uuid
from pathlib import Path
from typing import Any

from workflow_parts import Node, Workflow

ROOT = Path(__file__).resolve().parents[1]
NAMES = sorted(path.stem for path in (ROOT / "scripts" / "workflows").glob("[!_]*.py"))
WIDGETS = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
COLOURS = {"story": "#3f789e", "film": "#a1309b", "finish": "#88aa88", "model": "#b58b2a"}


def api_form(flow: Workflow) -> dict[str, Any]:
    """`{node id: {class_type, inputs, _meta}}`, what /prompt takes."""
    out = {}
    for name, node in flow.nodes.items():
        inputs = {
            key: [str(flow.ids[value[0]]), value[1]] if isinstance(value, tuple) else value
            for key, value in node.inputs.items()
        }
        title = {"title": node.title or node.kind}
        out[str(flow.ids[name])] = {"class_type": node.kind, "inputs": inputs, "_meta": title}
    return out


def ui_form(flow: Workflow, info: dict[str, Any]) -> dict[str, Any]:
    """What the canvas saves."""
    links: list[list[Any]] = []
    nodes = []
    for name, node in flow.nodes.items():
        nodes.append(_ui_node(flow, name, node, info[node.kind], links, info))
    for link in links:
        source = nodes[link[1] - 1]["outputs"][link[2]]
        source["links"] = [*(source["links"] or []), link[0]]
    x, y, width, height = flow.note_box
    nodes.append(
        {
            "id": len(nodes) + 1, "type": "MarkdownNote", "pos": [x, y], "size": [width, height], "flags": {},
            "order": 0, "mode": 0, "inputs": [], "outputs": [], "properties": {}, "widgets_values": [flow.note],
            "color": "#432", "bgcolor": "#653",
        }
    )  # fmt: skip
    groups = [
        {"id": number, "title": title, "bounding": list(box), "color": COLOURS[colour], "font_size": 24, "flags": {}}
        for number, (title, colour, box) in enumerate(flow.groups, start=1)
    ]
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"diffilm/{flow.name}")), "revision": 0,
        "last_node_id": len(nodes), "last_link_id": len(links), "nodes": nodes, "links": links, "groups": groups,
        "config": {}, "extra": {"ds": {"scale": 0.75, "offset": [40, 40]}}, "version": 0.4,
    }  # fmt: skip


def _ui_node(
    flow: Workflow, name: str, node: Node, info: dict[str, Any], links: list[list[Any]], every: dict[str, Any]
) -> dict[str, Any]:
    inputs, values = [], []
    declared = {**info["input"].get("required", {}), **info["input"].get("optional", {})}
    for slot, (key, spec) in enumerate(sort_sockets(declared)):
        kind = "COMBO" if isinstance(spec[0], list) else spec[0]
        given = node.inputs.get(key)
        link = None
        if isinstance(given, tuple):
            link = len(links) + 1
            source = every[flow.nodes[given[0]].kind]["output"][given[1]]
            links.append([link, flow.ids[given[0]], given[1], flow.ids[name], slot, source])
        entry: dict[str, Any] = {"name": key, "type": kind}
        if kind in WIDGETS:
            entry["widget"] = {"name": key}
        inputs.append({**entry, "link": link})
    for key, spec in declared.items():
        kind = "COMBO" if isinstance(spec[0], list) else spec[0]
        if kind not in WIDGETS:
            continue
        given = node.inputs.get(key)
        options = spec[1] if len(spec) > 1 else {}
        values.append(options.get("default", "") if given is None or isinstance(given, tuple) else given)
        if options.get("control_after_generate"):
            values.append("fixed")
    outputs = [
        {"name": label, "type": kind, "links": None, **({"shape": 6} if is_list else {})}
        for label, kind, is_list in zip(info["output_name"], info["output"], info["output_is_list"], strict=True)
    ]
    return {
        "id": flow.ids[name], "type": node.kind, "pos": list(node.pos), "size": list(node.size), "flags": {},
        "order": flow.ids[name], "mode": 0, "inputs": inputs, "outputs": outputs,
        **({"title": node.title} if node.title else {}),
        "properties": {"Node name for S&R": node.kind}, "widgets_values": values,
    }  # fmt: skip


def sort_sockets(declared: dict[str, Any]) -> list[tuple[str, Any]]:
    """Plain sockets first, then the sockets of widgets, as the canvas numbers them."""

    def is_widget(spec: Any) -> bool:
        return isinstance(spec[0], list) or spec[0] in WIDGETS

    plain = [(key, spec) for key, spec in declared.items() if not is_widget(spec)]
    return plain + [(key, spec) for key, spec in declared.items() if is_widget(spec)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--server", default="http://127.0.0.1:8188")
    args = parser.parse_args()
    with urllib.request.urlopen(f"{args.server}/object_info") as reply:
        info = json.load(reply)
    for name in args.names or NAMES:
        flow: Workflow = importlib.import_module(f"workflows.{name}").describe()
        for path, data in (
            (ROOT / "workflows" / f"{flow.name}.json", ui_form(flow, info)),
            (ROOT / "workflows" / "api" / f"{flow.name}.json", api_form(flow)),
        ):
            path.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
