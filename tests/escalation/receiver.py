"""A web server that receives webhooks and misbehaves as it is told."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from voicebot.escalation.webhook import verify

SECRET = "correct horse battery staple"


@dataclass(frozen=True)
class Got:
    """One request as it came."""

    body: bytes
    headers: dict[str, str]
    status: int | str
    genuine: bool

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]

    @property
    def data(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """Answers each request by the next step of ``script``, and 200 when that is over.

    A step is a status, or ``hang`` (no answer), ``drip`` (headers a byte at a time, for ever),
    ``half`` (200, but dies in the middle of the body) or ``drop`` (closes without an answer).
    """

    script: list[int | str] = field(default_factory=list)
    extra: dict[str, str] = field(default_factory=dict)
    port: int = 0
    certificate: Path | None = None
    """PEM of a certificate and its key; None for plain HTTP"""
    got: list[Got] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._leaving = threading.Event()
        self._arrived = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver._answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        if self.certificate:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(self.certificate)
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    @property
    def url(self) -> str:
        base = "https://localhost" if self.certificate else "http://127.0.0.1"
        return f"{base}:{self.port}/hook"

    def wait_for(self, count: int, seconds: float = 10.0) -> None:
        with self._arrived:
            assert self._arrived.wait_for(lambda: len(self.got) >= count, seconds), self.got

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        body = handler.rfile.read(int(headers["content-length"]))
        with self._arrived:
            step = self.script.pop(0) if self.script else 200
            genuine = verify(
                SECRET, headers["x-voicebot-timestamp"], body, headers["x-voicebot-signature"]
            )
            self.got.append(Got(body, headers, step, genuine))
            self._arrived.notify_all()
        handler.close_connection = True
        if step == "hang":
            self._leaving.wait()
        elif step == "drip":
            while not self._leaving.wait(0.05):
                try:
                    handler.wfile.write(b"H")
                except OSError:
                    return
        elif step == "half":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)
        elif step == "drop":
            handler.connection.shutdown(socket.SHUT_RDWR)
        else:
            handler.send_response(int(step))
            for name, value in self.extra.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", "2")
            handler.end_headers()
            handler.wfile.write(b"ok")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._leaving.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def free_port() -> int:
    """A port on which nobody listens, for now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


def wait_until(condition: Any, seconds: float = 10.0) -> None:
    """Wait for something another thread does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)
