"""A web server for tests: ranges, counts, and every way of going wrong that is asked for.

`Web` serves a folder. `faults` has, by path, what happens to its next requests, one after the other, and `always` what
happens to all of them. Every request is in `log`.
"""

from __future__ import annotations

import io
import json
import re
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import unquote, urlsplit

from weightlint.outputs.json import OUTPUT
from weightlint.synth import synth

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from weightlint.finding import Report

    Fault = Callable[["Handler"], bool]
    """What happens to a request instead of an answer, or False to answer it all the same."""


class Request(NamedTuple):
    """One request, and how many bytes of a file were sent for it."""

    path: str
    span: str | None
    status: int
    sent: int
    headers: dict[str, str]


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    server: _Server
    status = 0
    sent = 0

    def do_GET(self) -> None:
        web = self.server.web
        self.status, self.sent = 0, 0
        with web.lock:
            web.now += 1
            web.peak = max(web.peak, web.now)
        try:
            time.sleep(web.latency)
            self._answer(web)
        finally:
            with web.lock:
                web.now -= 1
                span = self.headers.get("Range")
                headers = {key.title(): value for key, value in self.headers.items()}
                web.log.append(Request(self.name, span, self.status, self.sent, headers))

    @property
    def name(self) -> str:
        return unquote(urlsplit(self.path).path).lstrip("/")

    def _answer(self, web: Web) -> None:
        with web.lock:
            waiting = web.faults.get(self.name)
            fault = waiting.pop(0) if waiting else web.always.get(self.name)
        if fault is not None and fault(self):
            return
        for prefix, route in web.routes.items():
            if self.name.startswith(prefix):
                route(self)
                return
        self.serve(web.root / self.name)

    def serve(self, file: Path) -> None:
        """Send a file, or the part of it that is asked for."""
        if not file.is_file():
            self.reply(404, b"not found")
            return
        size = file.stat().st_size
        start, stop = self.span(size)
        if start >= size:
            self.reply(416, b"", **{"Content-Range": f"bytes */{size}"})
            return
        headers = {"ETag": f'"{size:x}-{file.stat().st_mtime_ns:x}"'}
        if "Range" in self.headers:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        self.head(206 if "Range" in self.headers else 200, stop - start, **headers)
        with file.open("rb") as stream:
            stream.seek(start)
            while start < stop:
                piece = stream.read(min(1 << 20, stop - start))
                self.body(piece)
                start += len(piece)

    def span(self, size: int) -> tuple[int, int]:
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        return (int(match[1]), min(int(match[2]) + 1, size)) if match else (0, size)

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.head(status, len(body), **headers)
        self.body(body)

    def head(self, status: int, length: int | None, **headers: str) -> None:
        self.status = status
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()

    def body(self, data: bytes) -> None:
        try:
            self.wfile.write(data)
            self.sent += len(data)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the name that http.server has
        """Say nothing: `Web.log` has it."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    web: Web

    def process_request(self, request: Any, client_address: Any) -> None:
        self.web.sockets.append(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that hang up are what is tested."""


@dataclass
class Web:
    """A server on a port of its own, from `with` to its end."""

    root: Path
    latency: float = 0.0
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    always: dict[str, Fault] = field(default_factory=dict)
    routes: dict[str, Callable[[Handler], object]] = field(default_factory=dict)
    log: list[Request] = field(default_factory=list)
    sockets: list[socket.socket] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stop: threading.Event = field(default_factory=threading.Event)
    now: int = 0
    peak: int = 0

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.web = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for each in self.sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def bytes(self) -> int:
        return sum(request.sent for request in self.log)

    def requests(self, suffix: str = "") -> Counter[str]:
        """Count the requests by path, of files that were there."""
        return Counter(
            request.path
            for request in self.log
            if request.status in {200, 206} and request.path.endswith(suffix)
        )


def status(code: int, **headers: str) -> Fault:
    """Answer with a status."""

    def fault(handler: Handler) -> bool:
        handler.reply(code, b"no", **headers)
        return True

    return fault


def short(length: int) -> Fault:
    """Break off after some bytes of the body."""

    def fault(handler: Handler) -> bool:
        file = handler.server.web.root / handler.name
        size = file.stat().st_size
        start, stop = handler.span(size)
        tag = f'"{size:x}-{file.stat().st_mtime_ns:x}"'
        handler.head(206, stop - start, ETag=tag, **{"Content-Range": f"bytes {start}-{stop - 1}/{size}"})
        with file.open("rb") as stream:
            stream.seek(start)
            handler.body(stream.read(min(length, stop - start)))
        handler.close_connection = True
        return True

    return fault


def whole(handler: Handler) -> bool:
    """Ignore the range."""
    del handler.headers["Range"]
    return False


def redirect(to: str, code: int = 302) -> Fault:
    """Send the client elsewhere."""
    return status(code, Location=to)


def answer(code: int, body: bytes, headers: dict[str, str], length: int | None = None) -> Fault:
    """Answer with these headers and bytes, whatever they are worth."""

    def fault(handler: Handler) -> bool:
        handler.head(code, len(body) if length is None else length, **headers)
        handler.body(body)
        handler.close_connection = True
        return True

    return fault


def model(factory: pytest.TempPathFactory, *, shards: int) -> Path:
    """Return the folder of a small DeepSeek-V3."""
    made = factory.mktemp("model")
    synth(made, arch="deepseek_v3", tiny=True, shards=shards)
    return made


def told(report: Report) -> dict[str, Any]:
    """Return a report as JSON values, without what differs from place to place and run to run."""
    stream = io.StringIO()
    OUTPUT(report, stream)
    table: dict[str, Any] = json.loads(stream.getvalue())
    del table["target"], table["summary"]["seconds"]
    return table
