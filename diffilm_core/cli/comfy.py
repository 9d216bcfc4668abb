"""A client of ComfyUI's HTTP API and websocket."""

from __future__ import annotations

import filecmp
import http.client
import ipaddress
import json
import logging
import os
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import DiffilmError
from .output import CommandFailed, Progress

FIRST_TIMEOUT = 5.0  # seconds that a server has to say that it is there
TIMEOUT = 60.0
POLL = 0.5
CHUNK = 1 << 20
log = logging.getLogger(__name__)


class Refused(Exception):
    """The server answered a request with an error status."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"status {status}")
        self.status = status
        try:
            self.body: Any = json.loads(body)
        except ValueError:
            self.body = None


class Comfy:
    """One server. url: with or without http://. DiffilmError where it cannot be one, or does not answer."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT, first_timeout: float = FIRST_TIMEOUT) -> None:
        self.url = _server_url(url)
        self.timeout = timeout
        self.client = uuid.uuid4().hex
        handlers = [urllib.request.ProxyHandler({})] if _is_local(self.url) else []
        self.opener = urllib.request.build_opener(*handlers)
        answer = self.get("/prompt", first_timeout)
        if not isinstance(answer, dict) or "exec_info" not in answer:
            raise DiffilmError(f"{self.url} answers, but not as ComfyUI does; give the address of a ComfyUI server")

    def get(self, path: str, timeout: float | None = None) -> Any:
        """JSON of a GET. DiffilmError: no connection, no JSON."""
        return self._json(urllib.request.Request(self.url + path), timeout)

    def post(self, path: str, body: Any) -> Any:
        """JSON of a POST (None where the answer has none). Refused with the server's answer on an error status."""
        data = json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        return self._json(urllib.request.Request(self.url + path, data, headers, method="POST"), None)

    def _json(self, request: urllib.request.Request, timeout: float | None) -> Any:
        try:
            with self.opener.open(request, timeout=timeout or self.timeout) as response:
                body = response.read()
        except urllib.error.HTTPError as error:
            if request.data is not None:
                raise Refused(error.code, error.read()) from None
            raise DiffilmError(f"{self.url} answers {request.selector} with {error.code}; is it ComfyUI?") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self.unreachable(error) from None
        if not body:
            return None
        try:
            return json.loads(body)
        except ValueError:
            raise DiffilmError(f"{self.url} answers, but not as ComfyUI does; give the address of one") from None

    def unreachable(self, error: BaseException) -> DiffilmError:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error or type(error).__name__
        return DiffilmError(f"no ComfyUI server at {self.url} ({reason}); start it, or give its address with --server")

    def class_info(self, name: str) -> dict[str, Any] | None:
        """What the server knows of a node class; None where it has none of that name."""
        answer = self.get("/object_info/" + urllib.parse.quote(name, safe=""))
        info = answer.get(name) if isinstance(answer, dict) else None
        return info if isinstance(info, dict) else None

    def queue(self, workflow: dict[str, Any], prompt_id: str) -> tuple[str, dict[str, Any]]:
        """The id under which it runs, and the errors of nodes that will not. Refused where nothing will."""
        answer = self.post("/prompt", {"prompt": workflow, "client_id": self.client, "prompt_id": prompt_id})
        if not isinstance(answer, dict) or not isinstance(answer.get("prompt_id"), str):
            raise DiffilmError(f"{self.url} does not answer /prompt as ComfyUI does; update it")
        errors = answer.get("node_errors")
        return answer["prompt_id"], errors if isinstance(errors, dict) else {}

    def history(self, prompt_id: str) -> dict[str, Any] | None:
        """What became of it; None while it is not done."""
        answer = self.get(f"/history/{prompt_id}")
        entry = answer.get(prompt_id) if isinstance(answer, dict) else None
        return entry if isinstance(entry, dict) else None

    def is_queued(self, prompt_id: str) -> bool:
        """Whether it waits or runs."""
        answer = self.get("/queue")
        lists = (answer.get(key, []) for key in ("queue_running", "queue_pending")) if isinstance(answer, dict) else ()
        return any(isinstance(item, list) and prompt_id in item[:2] for items in lists for item in items)

    def cancel(self, prompt_id: str) -> None:
        """Take it off the queue, or stop it where it runs; what goes wrong is only logged."""
        for path, body in (("/queue", {"delete": [prompt_id]}), ("/interrupt", {"prompt_id": prompt_id})):
            try:
                self.post(path, body)
            except (DiffilmError, Refused) as error:
                log.warning("%s%s: %s", self.url, path, error)

    def events(self, socket: Any, prompt_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """(kind, data) of the messages about this prompt, and ("wait", {}) when there was none for a while. Ends
        when the socket does; without one there is nothing but waiting."""
        import websocket

        while True:
            if socket is None:
                time.sleep(POLL)
                yield "wait", {}
                continue
            try:
                message = socket.recv()
            except websocket.WebSocketTimeoutException:
                yield "wait", {}
                continue
            except (websocket.WebSocketException, OSError) as error:
                log.info("websocket lost (%s), asking instead", error)
                socket = None
                continue
            if message == "":
                socket = None
                continue
            event = _event(message)
            if event is not None and event[1].get("prompt_id", prompt_id) == prompt_id:
                yield event

    def connect(self) -> Any:
        """The websocket, or None where the server has none for us."""
        import websocket

        address = "ws" + self.url.removeprefix("http") + "/ws?clientId=" + self.client
        proxyless: dict[str, Any] = {"http_no_proxy": ["*"]} if _is_local(self.url) else {}
        try:
            socket = websocket.create_connection(address, timeout=FIRST_TIMEOUT, **proxyless)
        except (websocket.WebSocketException, OSError, ValueError) as error:
            log.info("no websocket at %s (%s), asking instead", address, error)
            return None
        socket.settimeout(2.0)
        return socket

    def fetch(self, file: dict[str, str], folder: Path, name: str, progress: Progress) -> Path:
        """Download one output into the folder, under a temporary name until it is whole. Its path: of the name, or of
        a numbered one where another file has it."""
        request = urllib.request.Request(f"{self.url}/view?{urllib.parse.urlencode(file)}")
        part = folder / f".{name}.{os.getpid()}.part"
        try:
            with self.opener.open(request, timeout=self.timeout) as response, part.open("wb") as out:
                total, done = int(response.headers.get("Content-Length") or 0), 0
                while block := response.read(CHUNK):
                    out.write(block)
                    done += len(block)
                    progress(f"fetching {name}", done, total)
            if total and done < total:
                raise CommandFailed(f"{self.url} sent {done} of {total} bytes of {name}; run again")
            target = _free_name(folder / name, part)
            part.replace(target)
            return target
        except urllib.error.HTTPError as error:
            raise CommandFailed(f"{self.url} does not give {file['filename']} (status {error.code})") from None
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
            raise CommandFailed(f"{self.url} broke off while sending {name} ({error}); run again") from None
        except OSError as error:
            raise DiffilmError(f"cannot write {folder / name} ({error.strerror}); choose another folder") from None
        finally:
            part.unlink(missing_ok=True)


def _event(message: str | bytes) -> tuple[str, dict[str, Any]] | None:
    """A text message's kind and data; previews are binary."""
    if isinstance(message, bytes):
        return None
    try:
        event = json.loads(message)
        kind, data = event["type"], event.get("data")
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return str(kind), data if isinstance(data, dict) else {}


def _server_url(url: str) -> str:
    text = url.strip()
    text = (text if "://" in text else f"http://{text}").rstrip("/")
    try:
        parts = urllib.parse.urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 80) > 0
    except ValueError:
        usable = False
    if not usable or any(letter.isspace() for letter in text):
        raise DiffilmError(f"server is {url!r}, expected an address such as http://127.0.0.1:8188")
    return text


def _is_local(url: str) -> bool:
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _free_name(path: Path, new: Path) -> Path:
    """The path, or the next numbered one where a file of other content is there."""
    number, target = 1, path
    while target.exists() and not (target.is_file() and filecmp.cmp(target, new, shallow=False)):
        number += 1
        target = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return target
