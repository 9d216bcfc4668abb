"""A real ComfyUI for the tests: find it, start it with the pack in custom_nodes, talk to it over HTTP."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACK = Path(__file__).absolute().parents[2]
"""The pack's folder, not resolved: the one that pytest was started in."""
START_SECONDS = 300


def host_folder() -> Path | None:
    """COMFYUI_PATH, or the ComfyUI whose custom_nodes the pack is installed in."""
    named = os.environ.get("COMFYUI_PATH")
    if named:
        return Path(named)
    for parent in PACK.parents:
        if parent.name == "custom_nodes" and (parent.parent / "main.py").is_file():
            return parent.parent
    return None


def host_python(folder: Path) -> str:
    """COMFYUI_PYTHON, the venv in ComfyUI's folder, or the interpreter that runs the tests."""
    named = os.environ.get("COMFYUI_PYTHON")
    if named:
        return named
    venvs = [folder / name / "bin/python" for name in ("venv", ".venv")]
    return str(next((path for path in venvs if path.is_file()), sys.executable))


@dataclass
class Server:
    """A running ComfyUI: its address, base directory, log file and process."""

    url: str
    base: Path
    log: Path
    process: subprocess.Popen

    @property
    def output(self) -> Path:
        return self.base / "output"

    def call(self, path: str, data: Any = None) -> Any:
        """JSON from GET, or from POST of `data`. The host's own words are in the error."""
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                text = reply.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.code} {error.read().decode()[:3000]}") from error
        return json.loads(text) if text.strip() else None

    def status(self, path: str) -> int:
        try:
            with urllib.request.urlopen(self.url + path, timeout=60) as reply:
                return reply.status
        except urllib.error.HTTPError as error:
            return error.code

    def queue(self, graph: dict, client: str = "tests") -> str:
        return self.call("/prompt", {"prompt": graph, "client_id": client})["prompt_id"]

    def wait(self, prompt: str, seconds: float = 900) -> dict:
        """The history entry of a prompt, once it is there."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.call(f"/history/{prompt}")
            if prompt in found:
                return found[prompt]
            assert self.process.poll() is None, f"ComfyUI died:\n{self.log_text()[-3000:]}"
            time.sleep(0.1)
        raise AssertionError(f"prompt not done after {seconds} s")

    def run(self, graph: dict, seconds: float = 900) -> dict:
        """The outputs by node of a graph that must succeed."""
        entry = self.wait(self.queue(graph), seconds)
        assert entry["status"]["status_str"] == "success", error_of(entry)
        return entry["outputs"]

    def fails(self, graph: dict) -> str:
        """The message of the node that must fail."""
        entry = self.wait(self.queue(graph))
        assert entry["status"]["status_str"] == "error", entry["status"]
        return error_of(entry)

    def files(self, outputs: dict) -> list[Path]:
        """The files that the output nodes name."""
        found = []
        for output in outputs.values():
            for item in [*output.get("images", []), *output.get("video", []), *output.get("gifs", [])]:
                assert item["type"] == "output", item
                found.append(self.output / item["subfolder"] / item["filename"])
        return found

    def log_text(self) -> str:
        return re.sub(r"\x1b\[[0-9;]*m", "", self.log.read_text("utf-8", "replace"))


def run_inside(host_path: Path, script: str, *arguments: str) -> dict:
    """What a script of this folder, run in ComfyUI's process with `HOST PACK ARGUMENT ...`, printed behind FIGURES."""
    done = subprocess.run(
        [host_python(host_path), str(Path(__file__).parent / script), str(host_path), str(PACK), *arguments],
        cwd=host_path, capture_output=True, text=True, timeout=3000, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    line = next((line for line in done.stdout.splitlines() if line.startswith("FIGURES ")), None)
    assert line is not None, done.stdout[-3000:] + done.stderr[-5000:]
    return json.loads(line.removeprefix("FIGURES "))


def error_of(entry: dict) -> str:
    for kind, message in entry["status"]["messages"]:
        if kind == "execution_error":
            return f"{message['node_type']}: {message['exception_message']}\n{''.join(message['traceback'])[-3000:]}"
    return str(entry["status"])


def start(folder: Path, base: Path, *, pack: bool = True) -> Server:
    """ComfyUI on the CPU with an empty base directory that has the pack, and nothing else, in custom_nodes."""
    for name in ("custom_nodes", "user", "models", "input", "output", "temp"):
        (base / name).mkdir(parents=True, exist_ok=True)
    if pack:
        (base / "custom_nodes" / "diffilm").symlink_to(PACK, target_is_directory=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = base / "log.txt"
    command = [
        host_python(folder), "main.py", "--cpu", "--port", str(port), "--base-directory", str(base),
        "--database-url", "sqlite:///:memory:", "--preview-method", "auto",
    ]  # fmt: skip
    with log.open("w") as sink:
        process = subprocess.Popen(command, cwd=folder, stdout=sink, stderr=subprocess.STDOUT)
    server = Server(f"http://127.0.0.1:{port}", base, log, process)
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            server.call("/system_stats")
            return server
        except (OSError, AssertionError):
            time.sleep(0.3)
    process.kill()
    raise AssertionError(f"ComfyUI did not start:\n{server.log_text()[-4000:]}")


def stop(server: Server) -> None:
    server.process.terminate()
    try:
        server.process.wait(20)
    except subprocess.TimeoutExpired:
        server.process.kill()


def api_workflow(name: str, **changes: Any) -> dict:
    """workflows/api/NAME.json with inputs replaced: `Class_input=value` for every node of that class."""
    graph = json.loads((PACK / "workflows/api" / f"{name}.json").read_text("utf-8"))
    for change, value in changes.items():
        kind, key = change.split("__", 1)
        nodes = [node for node in graph.values() if node["class_type"] == kind]
        assert nodes and all(key in node["inputs"] for node in nodes), f"{name} has no {change}"
        for node in nodes:
            node["inputs"][key] = value
    return graph


def listen(
    server: Server, client: str, seen: Callable[[str, dict], bool], seconds: float = 300,
    binary: Callable[[bytes], object] = len,
) -> None:  # fmt: skip
    """The server's messages to `client`, until `seen(type, data)` says True; pictures and words go to `binary`."""
    import websocket

    address = f"{server.url.replace('http', 'ws')}/ws?clientId={client}"
    connection = websocket.create_connection(address, timeout=seconds)
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            message = connection.recv()
            if isinstance(message, str):
                parsed = json.loads(message)
                if seen(parsed["type"], parsed["data"]):
                    return
            else:
                binary(message)
        raise AssertionError(f"nothing of it in {seconds} s")
    finally:
        connection.close()
