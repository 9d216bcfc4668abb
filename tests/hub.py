"""A stand-in for the Hugging Face hub on loopback: HEAD and GET of /REPOSITORY/resolve/REVISION/PATH, with ranges."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "c" * 40


@dataclass
class Hub:
    """Files by `REPOSITORY/PATH`; what was asked; and how it misbehaves.

    cut: bytes of a body after which the connection ends. lies: hash that it gives instead of the right one. cdn: large
    files lie on another host, where the hub points to; tokens: the hosts that were shown one.
    """

    files: dict[str, bytes]
    small: set[str] = field(default_factory=set)  # kept in git: the hash is the blob's SHA-1
    cut: int | None = None
    lies: str | None = None
    gated: bool = False
    ranges: bool = True
    cdn: bool = False
    tokens: set[str] = field(default_factory=set)
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    sent: int = 0
    url: str = ""

    def digest(self, name: str) -> str:
        data = self.files[name]
        if name in self.small:
            return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()
        return hashlib.sha256(data).hexdigest()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *args: Any) -> None: ...

    def do_HEAD(self) -> None:
        self._answer(False)

    def do_GET(self) -> None:
        self._answer(True)

    def _answer(self, body: bool) -> None:
        hub, start = self.hub, 0
        hub.asked.append((self.command, self.path, self.headers.get("Range")))
        if self.headers.get("Authorization"):
            hub.tokens.add(self.headers["Host"].split(":")[0])
        match = re.fullmatch(r"/([^/]+/[^/]+)/resolve/(?:main|" + COMMIT + r")/(.+)", self.path)
        name = f"{match[1]}/{match[2]}" if match else ""
        if hub.gated or name not in hub.files:
            self.send_response(403 if hub.gated else 404)
            self.send_header("X-Error-Code", "GatedRepo" if hub.gated else "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        data = hub.files[name]
        digest = hub.lies or hub.digest(name)
        elsewhere = self.headers["Host"].startswith("localhost")
        if hub.cdn and not elsewhere and name not in hub.small:
            self.send_response(302)
            self.send_header("Location", hub.url.replace("127.0.0.1", "localhost") + self.path)
            self.send_header("X-Linked-Size", str(len(data)))
            self.send_header("X-Linked-Etag", f'"{digest}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if wanted and hub.ranges:
            start = int(wanted[1])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", '"of-the-cdn"' if elsewhere else f'"{digest}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if body:
            rest = data[start : None if hub.cut is None else start + hub.cut]
            hub.sent += len(rest)
            self.wfile.write(rest)
            self.close_connection = self.close_connection or len(rest) < len(data) - start


@contextmanager
def serve(files: dict[str, bytes]) -> Iterator[Hub]:
    """The hub while the block runs; its address is `hub.url`."""
    hub = Hub(files)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
