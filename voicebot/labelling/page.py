"""The page on which calls are labelled, served to this machine alone.

The server listens on the loopback address only, and its address holds a random
token, so that no other user or web page can reach the calls.  Every change is
saved at once; a page that was closed or a server that was stopped loses nothing.

====== ======================= ===================================================
GET    ``/TOKEN/``             the page
GET    ``/TOKEN/calls``        how far the rater is, call by call
GET    ``/TOKEN/call/N``       outline, speech and labels of a call
GET    ``/TOKEN/audio/N``      its sound as WAV (ranges are served)
PUT    ``/TOKEN/call/N``       ``{"spans": [[start, end, label]], "heard", "revision"}``
POST   ``/TOKEN/closed``       the page was closed
====== ======================= ===================================================
"""

from __future__ import annotations

import base64
import io
import json
import re
import secrets
import sys
import time
import wave
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from typing import Any, Final

import numpy as np

from voicebot.closing import Closing
from voicebot.errors import LabelError, OutputError, VoicebotError
from voicebot.events import Leg
from voicebot.labelling.calls import CallAudio, loudness
from voicebot.labelling.session import LabelSession, revision_of
from voicebot.labelling.spans import Label, Span, paint
from voicebot.labelling.store import Rating
from voicebot.plain import to_plain

HOST: Final = "127.0.0.1"
_POINTS_A_SECOND: Final = 50
_MAX_POINTS: Final = 200_000
_MAX_BODY: Final = 2**20
_CLOSED_SECONDS: Final = 2.0
"""s without a request after which a closed page was not merely loaded again"""
_POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class LabelPage(Closing):
    """Serves one session until it is closed.

    Args:
        session: What is labelled, and by whom.
        port: To listen on; 0 for any that is free.
        notice: Told what the rater should know, a sentence each.

    Raises:
        LabelError: the port cannot be had.
    """

    def __init__(
        self, session: LabelSession, *, port: int = 0, notice: Callable[[str], None]
    ) -> None:
        self._token = secrets.token_urlsafe(18)
        try:
            self._server = _Server((HOST, port), _handler(session, self._token))
        except OSError as err:
            raise LabelError(
                f"port {port}: cannot be had: {err.strerror or err}",
                "name another with --port, or leave it out for any that is free",
            ) from None
        self._server.notice = notice

    @property
    def url(self) -> str:
        """The address of the page, with its token."""
        return f"http://{HOST}:{self._server.server_address[1]}/{self._token}/"

    def serve(self) -> None:
        """Serve until :meth:`stop` is called from another thread, or a signal raises."""
        self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """Let :meth:`serve` return; to be called from another thread."""
        self._server.shutdown()

    def close(self) -> None:
        """Let go of the port."""
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    """Notices when the page was closed."""

    daemon_threads = True  # a browser may hold a connection open for as long as it likes
    allow_reuse_address = True
    notice: Callable[[str], None]
    closed_at: float | None = None

    def service_actions(self) -> None:
        """Called about every 0.1 s by serve_forever."""
        if self.closed_at is not None and time.monotonic() - self.closed_at > _CLOSED_SECONDS:
            self.closed_at = None
            self.notice(
                "the page was closed; all that was marked is saved (open it again, or stop)"
            )

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say what went wrong; a browser that hangs up in the middle of a sound is nothing."""
        fault = sys.exception()
        if not isinstance(fault, ConnectionError | TimeoutError):
            self.notice(f"internal error: {type(fault).__name__}: {fault} (please report it)")


def _handler(session: LabelSession, token: str) -> type[BaseHTTPRequestHandler]:
    """The class that answers requests for one session."""

    class Handler(BaseHTTPRequestHandler):
        server: _Server
        timeout = 60

        def log_message(self, format: str, *args: object) -> None:
            """The address holds the token: it goes into no log."""

        def do_GET(self) -> None:
            self._answer(self._get)

        def do_PUT(self) -> None:
            self._answer(self._put)

        def do_POST(self) -> None:
            self._answer(self._post)

        def _answer(self, act: Callable[[str], None]) -> None:
            _, given, path = (*self.path.split("?")[0].split("/", 2), "", "")[:3]
            # compare_digest takes any bytes, but only ASCII strings
            if not secrets.compare_digest(given.encode(), token.encode()):
                self._send(HTTPStatus.NOT_FOUND, b"", "text/plain")
                return
            try:
                act(path)
            except VoicebotError as err:
                status = HTTPStatus.CONFLICT
                if isinstance(err, OutputError):
                    status = HTTPStatus.INSUFFICIENT_STORAGE
                self._json({"what": err.what, "mend": err.mend}, status)

        def _get(self, path: str) -> None:
            self.server.closed_at = None
            if path == "":
                page = files("voicebot").joinpath("assets/label.html").read_bytes()
                self._send(HTTPStatus.OK, page, "text/html; charset=utf-8")
            elif path == "calls":
                overview = [to_plain(status) for status in session.overview()]
                self._json({"rater": session.rater, "calls": overview, "next": session.next_open()})
            elif (call := self._call(path, "call")) is not None:
                self._json(_call_view(session.rating(call), session.audio(call)))
            elif (call := self._call(path, "audio")) is not None:
                self._sound(_wav(session.audio(call)))
            else:
                self._send(HTTPStatus.NOT_FOUND, b"", "text/plain")

        def _put(self, path: str) -> None:
            self.server.closed_at = None
            length = self.headers.get("Content-Length", "")
            call = self._call(path, "call")
            if call is None or not length.isdigit() or int(length) > _MAX_BODY:
                self._send(HTTPStatus.BAD_REQUEST, b"", "text/plain")
                return
            try:
                spans, heard, revision = _parse(self.rfile.read(int(length)))
            except (ValueError, KeyError, TypeError) as err:
                self._json(
                    {"what": f"cannot be understood: {err}", "mend": "load the page again"},
                    HTTPStatus.BAD_REQUEST,
                )
                return
            saved = session.save(call, spans, heard, revision=revision)
            self._json({"revision": revision_of(saved), "done": saved.done})

        def _post(self, path: str) -> None:
            if path == "closed":
                self.server.closed_at = time.monotonic()
                self._send(HTTPStatus.NO_CONTENT, b"", "text/plain")
            else:
                self._send(HTTPStatus.NOT_FOUND, b"", "text/plain")

        def _call(self, path: str, kind: str) -> str | None:
            """The call that ``kind/N`` means."""
            found = re.fullmatch(rf"{kind}/([0-9]{{1,6}})", path)
            number = int(found[1]) if found else len(session.names)
            return session.names[number] if number < len(session.names) else None

        def _json(self, content: object, status: HTTPStatus = HTTPStatus.OK) -> None:
            body = json.dumps(content, ensure_ascii=False).encode(errors="backslashreplace")
            self._send(status, body, "application/json")

        def _sound(self, body: bytes) -> None:
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if asked is None:
                self._send(HTTPStatus.OK, body, "audio/wav", {"Accept-Ranges": "bytes"})
                return
            start = int(asked[1])
            stop = min(int(asked[2]) + 1 if asked[2] else len(body), len(body))
            if start >= stop:
                span = {"Content-Range": f"bytes */{len(body)}"}
                self._send(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b"", "audio/wav", span)
                return
            span = {"Content-Range": f"bytes {start}-{stop - 1}/{len(body)}"}
            self._send(HTTPStatus.PARTIAL_CONTENT, body[start:stop], "audio/wav", span)

        def _send(
            self, status: HTTPStatus, body: bytes, kind: str, more: dict[str, str] | None = None
        ) -> None:
            self.send_response(status)
            for name, value in {
                "Content-Type": kind,
                "Content-Length": str(len(body)),
                "Cache-Control": "no-store",
                "Content-Security-Policy": _POLICY,
                "Referrer-Policy": "no-referrer",
                "X-Content-Type-Options": "nosniff",
                **(more or {}),
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _call_view(rating: Rating, audio: CallAudio) -> dict[str, Any]:
    """What the page needs to draw a call."""
    points = min(_MAX_POINTS, max(1, round(audio.seconds * _POINTS_A_SECOND)))
    return {
        "call": rating.call,
        "seconds": rating.seconds,
        "heard": rating.seconds if rating.heard is None else rating.heard,
        "done": rating.done,
        "revision": revision_of(rating),
        "speech": to_plain(rating.speech or ()),
        "spans": [[s.start, s.end, s.label.value] for s in rating.spans],
        "warnings": list(audio.warnings),
        "outline": {
            leg.value: base64.b64encode(
                bytes(min(255, round(v * 255)) for v in loudness(pcm, points))
            ).decode()
            for leg, pcm in audio.legs.items()
        },
    }


def _wav(audio: CallAudio) -> bytes:
    """The call as 16-bit WAV, the caller on the left."""
    legs = [audio.caller, *([audio.legs[Leg.AGENT]] if Leg.AGENT in audio.legs else [])]
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(len(legs))
        file.setsampwidth(2)
        file.setframerate(audio.rate)
        file.writeframes(np.stack(legs, axis=1).astype("<i2").tobytes())
    return out.getvalue()


def _parse(body: bytes) -> tuple[tuple[Span, ...], float | None, str]:
    """Read what the page sends.

    Raises:
        ValueError, KeyError, TypeError: it is not what the page would send.
    """
    data = json.loads(body)
    spans: tuple[Span, ...] = ()
    for start, end, label in data["spans"]:
        spans = paint(spans, Span(round(float(start), 4), round(float(end), 4), Label(label)))
    heard = data["heard"]
    return spans, None if heard is None else max(0.0, float(heard)), str(data["revision"])
