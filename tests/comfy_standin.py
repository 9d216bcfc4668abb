"""A small ComfyUI on loopback for tests: queue, history, files, and a websocket of its own making."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Message = tuple[str, dict[str, Any]]
CLASSES = {
    "Sampler": {"input": {"required": {"seed": ["INT", {}], "model": ["MODEL"]}, "optional": {"note": ["STRING", {}]}}},
    "Text": {"input": {"required": {"text": ["STRING", {}]}}},
    "Save": {"input": {"required": {"images": ["IMAGE"]}}},
}


class StandIn:
    """What the server knows, what it will answer, and what it was asked."""

    def __init__(self) -> None:
        self.files: dict[tuple[str, str, str], bytes] = {}
        self.outputs: dict[str, Any] = {}
        self.messages: list[Message] = []  # of the run, sent and kept in the history
        self.refusal: dict[str, Any] | None = None
        self.node_errors: dict[str, Any] = {}
        self.websocket = True
        self.hang = False
        self.cut_files = False
        self.seconds = 0.0
        self.posts: list[tuple[str, Any]] = []
        self.history: dict[str, Any] = {}
        self.running: list[str] = []
        self.sockets: list[Any] = []
        self.url = ""

    def asked(self, path: str) -> list[Any]:
        return [body for at, body in self.posts if at == path]

    def send(self, kind: str, data: dict[str, Any]) -> None:
        payload = json.dumps({"type": kind, "data": data}).encode()
        head = b"\x81" + (bytes([len(payload)]) if len(payload) < 126 else b"\x7e" + struct.pack(">H", len(payload)))
        for out in list(self.sockets):
            with suppress(OSError, ValueError):
                out.write(b"\x82\x03abc")  # a preview
                out.write(head + payload)
                out.flush()

    def execute(self, prompt_id: str) -> None:
        for kind, data in [("execution_start", {}), *self.messages]:
            self.send(kind, {**data, "prompt_id": prompt_id})
            time.sleep(self.seconds)
        if self.hang:
            return
        kept = [[kind, {**data, "prompt_id": prompt_id}] for kind, data in self.messages]
        failed = any(kind in ("execution_error", "execution_interrupted") for kind, _ in self.messages)
        status = {"status_str": "error" if failed else "success", "completed": not failed, "messages": kept}
        self.history[prompt_id] = {"outputs": self.outputs, "status": status}
        self.running.remove(prompt_id)
        self.send("executing", {"node": None, "prompt_id": prompt_id})


def handler(state: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None: ...

        def answer(self, body: Any, status: int = 200) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if state.cut_files and isinstance(body, bytes) else data)

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
            if parts.path == "/ws":
                self.upgrade()
            elif parts.path == "/prompt":
                self.answer({"exec_info": {"queue_remaining": 0}})
            elif parts.path == "/queue":
                self.answer({"queue_running": [[0, name] for name in state.running], "queue_pending": []})
            elif parts.path.startswith("/object_info/"):
                name = unquote(parts.path.removeprefix("/object_info/"))
                self.answer({name: CLASSES[name]} if name in CLASSES else {})
            elif parts.path.startswith("/history/"):
                name = parts.path.removeprefix("/history/")
                self.answer({name: state.history[name]} if name in state.history else {})
            elif parts.path == "/view":
                data = state.files.get((query["type"], query["subfolder"], query["filename"]))
                self.answer(data if data is not None else {}, 200 if data is not None else 404)
            else:
                self.answer({}, 404)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.posts.append((self.path, body))
            if self.path != "/prompt":
                self.answer(b"")
            elif state.refusal is not None:
                self.answer(state.refusal, 400)
            else:
                state.running.append(body["prompt_id"])
                self.answer({"prompt_id": body["prompt_id"], "number": 1, "node_errors": state.node_errors})
                threading.Thread(target=state.execute, args=(body["prompt_id"],), daemon=True).start()

        def upgrade(self) -> None:
            if not state.websocket:
                self.answer({}, 403)
                return
            key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
            self.protocol_version = "HTTP/1.1"
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())
            self.end_headers()
            self.wfile.flush()
            state.sockets.append(self.wfile)
            self.rfile.read(1)  # the client's closing frame, or its end
            state.sockets.remove(self.wfile)

    return Handler


@contextmanager
def serve() -> Iterator[StandIn]:
    """A running stand-in; its `url` is where."""
    state = StandIn()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(state))
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
