"""A small HTTP server that misbehaves as told, for the download tests."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Mirror:
    """What the server has and how it behaves; tests change the fields as they go."""

    files: dict[str, bytes] = field(default_factory=dict)
    """by path, without the leading slash"""
    cut_after: list[int] = field(default_factory=list)
    """bytes after which the next, the second, ... answer breaks off"""
    statuses: list[int] = field(default_factory=list)
    """errors to answer with first"""
    ranges: bool = True
    etags: bool = True
    announce: int | None = None
    """Content-Length instead of the true one"""
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    """path and Range header of each request"""
    url: str = ""


@contextmanager
def serve(mirror: Mirror) -> Iterator[Mirror]:
    """Run the server while the block runs; ``mirror.url`` is its address, with a ``/``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            path = self.path.lstrip("/")
            asked = self.headers.get("Range")
            mirror.requests.append((path, asked))
            self.close_connection = True
            if mirror.statuses:
                self.send_error(mirror.statuses.pop(0))
                return
            if path not in mirror.files:
                self.send_error(404)
                return
            body = mirror.files[path]
            etag = f'"{hashlib.md5(body).hexdigest()}"'
            begin = 0
            if asked and mirror.ranges and self.headers.get("If-Range") in (None, etag):
                begin = int(asked.removeprefix("bytes=").removesuffix("-"))
                if begin >= len(body):
                    self.send_error(416)
                    return
            self.send_response(206 if begin else 200)
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
            if mirror.etags:
                self.send_header("ETag", etag)
            rest = body[begin:]
            self.send_header("Content-Length", str(mirror.announce or len(rest)))
            self.send_header("Connection", "close")
            self.end_headers()
            if mirror.cut_after:
                rest = rest[: mirror.cut_after.pop(0)]
            self.wfile.write(rest)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    mirror.url = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        yield mirror
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
