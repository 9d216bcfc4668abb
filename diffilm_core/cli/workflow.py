"""An API-format workflow: reading it, finding nodes in it, changing their inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import DiffilmError

MOST_NAMES = 20  # in an error message


@dataclass(frozen=True)
class Change:
    """NODE.INPUT=VALUE as given; the node is found, the input not yet checked."""

    node: str
    input: str
    value: Any
    raw: str
    text: str


def read_workflow(path: str | Path) -> dict[str, dict[str, Any]]:
    """Nodes by id, each with `class_type` and `inputs`. DiffilmError: missing, not JSON, another format."""
    path = Path(path)
    try:
        data = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DiffilmError(f"no workflow at {path}; give the path of an API-format JSON file") from None
    except OSError as error:
        raise DiffilmError(f"workflow {path} cannot be read ({error.strerror}); give a JSON file") from None
    except (ValueError, RecursionError) as error:
        raise DiffilmError(f"workflow {path} is not JSON ({error}); export it again with Export (API)") from None
    if isinstance(data, dict) and isinstance(data.get("prompt"), dict) and "class_type" not in data["prompt"]:
        data = data["prompt"]  # the body of a request
    if isinstance(data, dict) and isinstance(data.get("nodes"), list):
        raise DiffilmError(
            f"workflow {path} is in ComfyUI's UI format, expected the API format; in ComfyUI use Export (API)"
        )
    if not isinstance(data, dict) or not data:
        raise DiffilmError(f"workflow {path} holds no nodes, expected an object of nodes by id; use Export (API)")
    for key, node in data.items():
        if not isinstance(node, dict) or not isinstance(node.get("class_type"), str):
            raise DiffilmError(f"workflow {path}: {key!r} is no node (it has no class_type); use Export (API)")
        if not isinstance(node.setdefault("inputs", {}), dict):
            raise DiffilmError(f"workflow {path}: the inputs of node {key} are no object; use Export (API)")
    return data


def title(workflow: Mapping[str, Mapping[str, Any]], node: str) -> str:
    """The node's title, else its class."""
    meta = workflow[node].get("_meta")
    name = meta.get("title") if isinstance(meta, dict) else None
    return name if isinstance(name, str) and name else str(workflow[node]["class_type"])


def label(workflow: Mapping[str, Mapping[str, Any]], node: str) -> str:
    """How messages name a node."""
    if node not in workflow:
        return f"node {node}"
    kind, name = workflow[node]["class_type"], title(workflow, node)
    return f"node {node} ({kind})" if name == kind else f"node {node} ({kind}, {name!r})"


def find_node(workflow: Mapping[str, Mapping[str, Any]], name: str) -> str | None:
    """The id of the node with that id, else with that title or class; None where there is none. DiffilmError where
    there are several."""
    if name in workflow:
        return name
    same = [node for node in workflow if name in (title(workflow, node), workflow[node]["class_type"])]
    if len(same) > 1:
        raise DiffilmError(f"--set {name}: {len(same)} nodes have that name; use an id: {', '.join(same)}")
    return same[0] if same else None


def parse_change(workflow: Mapping[str, Mapping[str, Any]], text: str) -> Change:
    """NODE.INPUT=VALUE. Titles and inputs may hold dots: of the places to cut, the first that names an input that
    the node has, else the first that names a node."""
    target, equals, raw = text.partition("=")
    if not equals or "." not in target.strip("."):
        raise DiffilmError(f"--set {text!r}, expected NODE.INPUT=VALUE, such as 3.seed=7")
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        value = raw
    found: Change | None = None
    for at in (i for i, letter in enumerate(target) if letter == "."):
        name, field = target[:at].strip(), target[at + 1 :].strip()
        node = find_node(workflow, name) if name and field else None
        if node is None:
            continue
        change = Change(node, field, value, raw, text)
        if field in workflow[node]["inputs"]:
            return change
        found = found or change
    if found is None:
        raise DiffilmError(
            f"--set {text}: no node {target.rpartition('.')[0]!r} in the workflow; it has "
            + _names([label(workflow, node).removeprefix("node ") for node in workflow])
        )
    return found


def apply_change(workflow: dict[str, dict[str, Any]], change: Change, info: Mapping[str, Any]) -> None:
    """Set the input. info: the server's description of the node's class. A text input takes the value as it is
    written. DiffilmError where the node has no such input."""
    inputs = workflow[change.node]["inputs"]
    declared = declared_inputs(info)
    if change.input not in inputs and change.input not in declared:
        known = list(dict.fromkeys([*inputs, *declared]))
        raise DiffilmError(
            f"--set {change.text}: {label(workflow, change.node)} has no input {change.input!r}; it has {_names(known)}"
        )
    plain = not isinstance(change.value, (str, list))
    inputs[change.input] = change.raw if plain and declared.get(change.input) == "STRING" else change.value


def declared_inputs(info: Mapping[str, Any]) -> dict[str, str]:
    """Input names of a class and their types, from /object_info."""
    out: dict[str, str] = {}
    groups = info.get("input")
    for kind in ("required", "optional"):
        fields = groups.get(kind) if isinstance(groups, dict) else None
        for name, declaration in (fields or {}).items() if isinstance(fields, dict) else ():
            first = declaration[0] if isinstance(declaration, list) and declaration else ""
            out[name] = first if isinstance(first, str) else "COMBO"
    return out


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:MOST_NAMES]) or "none"
    return shown if len(names) <= MOST_NAMES else f"{shown} and {len(names) - MOST_NAMES} more"
