"""`diffilm run`: a workflow on a ComfyUI server, from queueing to the files it made."""

from __future__ import annotations

import argparse
import re
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import DiffilmError
from .comfy import Comfy, Refused
from .output import CommandFailed, Progress, say
from .workflow import apply_change, label, parse_change, read_workflow, title

ENDED = ("execution_success", "execution_error", "execution_interrupted")
LONGEST = 600  # characters of a server's message
LOST = 6  # questions without an answer about a job before it counts as gone

Workflow = dict[str, dict[str, Any]]


def run(arguments: argparse.Namespace) -> int:
    workflow = read_workflow(arguments.workflow)
    changes = [parse_change(workflow, text) for text in arguments.changes]
    server = Comfy(arguments.server)
    infos = {name: server.class_info(name) for name in sorted({node["class_type"] for node in workflow.values()})}
    for node in workflow:
        if infos[workflow[node]["class_type"]] is None:
            raise DiffilmError(
                f"{server.url} has no node class {workflow[node]['class_type']!r} ({label(workflow, node)}); "
                "install the pack that has it on the server"
            )
    for change in changes:
        apply_change(workflow, change, infos[workflow[change.node]["class_type"]] or {})
    folder = _writable_folder(arguments.output)
    with Progress() as progress:
        entry, skipped = _execute(server, workflow, progress)
        files = list(_files(entry.get("outputs")))
        paths = [server.fetch(file, folder, _local_name(file), progress) for file in files]
    for path in paths:
        say(str(path))
    if skipped:
        raise CommandFailed(f"a part of the workflow did not run: {skipped}")
    if not paths:
        say("diffilm: the workflow is done; it made no files", error=True)
    return 0


def _execute(server: Comfy, workflow: Workflow, progress: Progress) -> tuple[dict[str, Any], str]:
    """Queue it and wait. The history entry, and what the server refused of it ("" where nothing).

    DiffilmError where the server refuses all of it, CommandFailed where a node fails; Ctrl-C stops it on the server.
    """
    prompt_id = str(uuid.uuid4())
    socket = server.connect()
    try:
        prompt_id, errors = server.queue(workflow, prompt_id)
        entry = _wait(server, socket, workflow, prompt_id, progress)
    except Refused as refusal:
        raise DiffilmError(_refusal(workflow, refusal)) from None
    except BaseException as error:
        if not isinstance(error, CommandFailed):
            server.cancel(prompt_id)
        raise
    finally:
        if socket is not None:
            socket.close()
    _check(workflow, entry)
    return entry, _node_errors(workflow, errors)


def _wait(server: Comfy, socket: Any, workflow: Workflow, prompt_id: str, progress: Progress) -> dict[str, Any]:
    """The history entry, once there is one; meanwhile the bar follows the server's messages."""
    watch = _Watch(workflow, progress)
    missing = 0
    for kind, data in server.events(socket, prompt_id):
        watch.see(kind, data)
        ended = kind in ENDED or (kind == "executing" and data.get("node") is None and "prompt_id" in data)
        if not ended and kind != "wait":
            continue
        try:
            entry = server.history(prompt_id)
            if entry is not None:
                watch.finish()
                return entry
            missing = 0 if server.is_queued(prompt_id) else missing + 1
        except DiffilmError as error:  # a busy server may be late with an answer
            missing += 1
            if missing >= LOST:
                raise CommandFailed(f"the server went away while it worked: {error}") from None
        if missing >= LOST:
            break
    raise CommandFailed(f"{server.url} no longer has the job: it was taken off the queue, or the server restarted")


class _Watch:
    """Turns messages into a bar: one step a node, the running node and its own steps beside it."""

    def __init__(self, workflow: Workflow, progress: Progress) -> None:
        self.workflow = workflow
        self.progress = progress
        self.done: set[str] = set()
        self.running = ""
        self.succeeded = False

    def see(self, kind: str, data: dict[str, Any]) -> None:
        message = ""
        if kind == "execution_cached":
            self.done |= {str(node) for node in data.get("nodes") or ()}
        elif kind == "executing" and data.get("node") is not None:
            node = str(data.get("display_node") or data["node"])
            if self.running and node != self.running:
                self.done.add(self.running)
            self.running = node
        elif kind == "progress" and data.get("max"):
            message = f" {data.get('value')}/{data['max']}"
        elif kind in ENDED:
            self.succeeded = kind == "execution_success"
            return
        name = title(self.workflow, self.running) if self.running in self.workflow else "queued"
        total = len(self.workflow)
        self.progress("running", min(len(self.done & self.workflow.keys()), total - 1), total, name + message)

    def finish(self) -> None:
        """The last step; a job that failed keeps its bar where it was."""
        if self.succeeded:
            self.progress("running", len(self.workflow), len(self.workflow), "done")
        self.progress.close()


def _check(workflow: Workflow, entry: Mapping[str, Any]) -> None:
    """CommandFailed with the node's own words where the run did not succeed."""
    status = entry.get("status") or {}
    for message in status.get("messages") or ():
        if not isinstance(message, (list, tuple)) or len(message) != 2:
            continue
        kind, data = message
        if kind == "execution_error":
            node = str(data.get("node_id"))
            name = label(workflow, node) if node in workflow else f"node {node} ({data.get('node_type')})"
            words = data.get("exception_message") or data.get("exception_type") or "it gave no message"
            raise CommandFailed(f"{name} failed: {_short(words)}")
        if kind == "execution_interrupted":
            raise CommandFailed(f"the job was stopped on the server, at {label(workflow, str(data.get('node_id')))}")
    if status.get("status_str") == "error":
        raise CommandFailed("the server says that the job failed, without saying why; look into its log")


def _refusal(workflow: Workflow, refusal: Refused) -> str:
    """What the server found wrong before running anything."""
    body = refusal.body if isinstance(refusal.body, dict) else {}
    nodes = body.get("node_errors")
    words = _node_errors(workflow, nodes if isinstance(nodes, dict) else {})
    if words:
        return words
    error = body.get("error")
    if isinstance(error, dict):
        parts = (str(error.get(key) or "") for key in ("message", "details"))
        return _short(": ".join(part for part in parts if part) or "the server refuses the workflow")
    return f"the server refuses the workflow (status {refusal.status}){': ' + _short(error) if error else ''}"


def _node_errors(workflow: Workflow, errors: Mapping[str, Any]) -> str:
    """Each node's errors, in the server's words."""
    out = []
    for node, found in errors.items():
        for error in found.get("errors") or () if isinstance(found, dict) else ():
            message, details = str(error.get("message") or ""), str(error.get("details") or "")
            out.append(f"{label(workflow, node)}: {_short(': '.join(p for p in (message, details) if p))}")
    return "; ".join(out)


def _short(words: object) -> str:
    text = " ".join(str(words).split())
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def _files(value: Any) -> Iterator[dict[str, str]]:
    """Every file named anywhere in the outputs, each once."""
    seen: set[tuple[str, ...]] = set()
    stack = [value]
    while stack:
        item = stack.pop(0)
        if isinstance(item, dict) and isinstance(item.get("filename"), str):
            file = {key: str(item.get(key) or "") for key in ("filename", "subfolder", "type")}
            file["type"] = file["type"] or "output"
            if tuple(file.values()) not in seen:
                seen.add(tuple(file.values()))
                yield file
        elif isinstance(item, dict):
            stack = [*item.values(), *stack]
        elif isinstance(item, list):
            stack = [*item, *stack]


def _local_name(file: Mapping[str, str]) -> str:
    """A plain file name, whatever the server says: no folders, no control characters, not hidden."""
    name = re.split(r"[\\/]", file["filename"])[-1]
    name = re.sub(r'[\x00-\x1f<>:"|?*]', "_", name).strip(" .")
    return name or "output"


def _writable_folder(folder: str) -> Path:
    """The folder, made where it is not there. DiffilmError where nothing can be written into it."""
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DiffilmError(f"cannot write into {folder} ({reason}); give -o a folder that can be written") from None
    return path
