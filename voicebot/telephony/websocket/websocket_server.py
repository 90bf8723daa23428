"""One WebSocket listener for every fork, which it tells apart by their path.

Who may speak is settled on the request, before the upgrade and so before any
audio is read.  What a message means is the endpoint's business; how many
connections there are, how large a message is and how long a peer may be silent
or slow is settled here, alike for all (RFC 6455; close codes are those of its
section 7.4.1, and 1013 of the IANA registry).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import structlog
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from voicebot.telephony.faults import Faults
from voicebot.telephony.line import LineError, RefusedError
from voicebot.telephony.websocket.websocket_peer import (
    Answer,
    Endpoint,
    Handshake,
    ListenerParams,
    Peer,
    PeerGone,
    ProtocolFault,
    Session,
)

_SPARE_SOCKETS: Final = 32
"""connections beyond the maximum that may be told so; more are dropped unheard"""
_QUERY_FIELDS: Final = 32
_log = structlog.get_logger(__name__)
# The library tells of every broken handshake with a traceback; here it is counted instead.
_silent = logging.getLogger("voicebot.websocket.wire")
_silent.setLevel(logging.CRITICAL + 1)


class WebSocketServer:
    """The listener (a :class:`voicebot.telephony.line.Gateway`).

    Args:
        params: See there.
        endpoints: What is served; none has a path within another's.
        faults: Counts everything that peers do wrong, here and in the endpoints.
    """

    def __init__(
        self, params: ListenerParams, endpoints: Sequence[Endpoint], faults: Faults
    ) -> None:
        self._params = params
        self._endpoints = tuple(endpoints)
        self._faults = faults
        self._server: Server | None = None
        self._sockets: set[ServerConnection] = set()
        self._sessions: set[Session] = set()
        self._admitted: dict[ServerConnection, tuple[Endpoint, Handshake]] = {}

    @property
    def name(self) -> str:
        """As a gateway; offers name the fork instead."""
        return "websocket"

    @property
    def counters(self) -> Mapping[str, int]:
        """What was refused or dropped, by name."""
        return self._faults.counters

    @property
    def port(self) -> int:
        """The TCP port that is open; 0 before :meth:`start`."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server else 0

    @property
    def connections(self) -> int:
        """How many connections are open and upgraded."""
        return len(self._sessions)

    async def start(self) -> None:
        """Open the listener.

        Raises:
            LineError: the port is taken or forbidden, or the certificate is unreadable.
        """
        p = self._params
        server = self

        class Counted(ServerConnection):
            """A connection that is counted from its first packet: an unfinished request too."""

            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                server._sockets.add(self)
                super().connection_made(transport)
                if len(server._sockets) > p.max_connections + _SPARE_SOCKETS:
                    server._faults.count("websocket_flood")
                    self.transport.abort()

            def connection_lost(self, exc: Exception | None) -> None:
                server._sockets.discard(self)
                server._admitted.pop(self, None)
                super().connection_lost(exc)

        try:
            self._server = await serve(
                self._run, p.host, p.port,
                ssl=_tls(p),
                process_request=self._request,
                subprotocols=(),
                select_subprotocol=lambda _, offered: _first(offered),
                compression=None,  # audio does not shrink, but a bomb would grow
                server_header="voicebot",
                open_timeout=p.handshake_seconds,
                close_timeout=p.handshake_seconds,
                ping_interval=None,  # audio shows that a peer lives; the idle limit, that not
                max_size=p.max_message_bytes,
                logger=_silent,
                create_connection=Counted,
            )  # fmt: skip
        except OSError as err:
            raise LineError(
                f"websocket: cannot listen on {p.host}:{p.port}: {err.strerror or err}",
                "choose another websocket.port or websocket.host, or stop what listens there",
            ) from None
        _log.info("websocket_listening", host=p.host, port=self.port, tls=bool(p.tls_cert))

    async def close(self) -> None:
        """Close the listener, and end the calls that are left."""
        server, self._server = self._server, None
        if server is not None:
            for session in tuple(self._sessions):
                session.ended("shutdown")
            server.close(code=1001, reason="shutting down")
            # A peer that has gone deaf must not keep us from ending.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2 * self._params.handshake_seconds):
                    await server.wait_closed()
            for socket in tuple(self._sockets):
                socket.transport.abort()
        for endpoint in self._endpoints:
            endpoint.close()

    def _request(self, socket: ServerConnection, request: Request) -> Response | None:
        try:
            handshake = _handshake(socket, request)
        except ValueError:
            self._faults.count("websocket_malformed")
            return _respond(Answer(HTTPStatus.BAD_REQUEST))
        endpoint = next((e for e in self._endpoints if _is_below(handshake.path, e.path)), None)
        if endpoint is None:
            self._faults.count("websocket_unknown_path")
            return _respond(Answer(HTTPStatus.NOT_FOUND))
        handshake = replace(handshake, endpoint=endpoint.path)
        if (answer := endpoint.hook(handshake)) is not None:
            return _respond(answer)
        if (denial := endpoint.admit(handshake)) is not None:
            self._faults.count(denial.counter, peer=handshake.peer, **denial.fields)
            return _respond(Answer(denial.status))
        if len(self._admitted) >= self._params.max_connections:
            self._faults.count("websocket_full", most=self._params.max_connections)
            return _respond(Answer(HTTPStatus.SERVICE_UNAVAILABLE))
        self._admitted[socket] = endpoint, handshake
        return None

    async def _run(self, socket: ServerConnection) -> None:
        endpoint, handshake = self._admitted[socket]
        peer = Peer(socket, handshake, self._params, self._faults)
        session = endpoint.open(peer)
        self._sessions.add(session)
        try:
            await self._converse(session, peer)
        finally:
            self._sessions.discard(session)
            session.ended("line_lost")

    async def _converse(self, session: Session, peer: Peer) -> None:
        p = self._params
        try:
            while True:
                wait = p.idle_seconds if session.started else p.start_seconds
                message = await peer.receive(wait)
                if isinstance(message, str):
                    await session.text(message)
                else:
                    await session.binary(message)
        except PeerGone as gone:
            session.ended("hangup" if gone.clean else "line_lost")
        except RefusedError as refused:
            self._faults.count("websocket_refused", why=refused.what)
            await session.reject(1013, refused.what)
        except ProtocolFault as fault:
            self._faults.count(fault.counter, path=peer.handshake.endpoint, why=fault.reason)
            idle = fault.counter == "websocket_idle"
            session.ended("line_lost" if idle else "line_error")
            await session.reject(fault.code, fault.reason)
        except Exception:  # a defect of ours must not take the other calls with it
            self._faults.count("websocket_defect")
            _log.exception("websocket_defect", path=peer.handshake.endpoint)
            session.ended("line_error")
            await peer.close(1011, "internal error")


def _handshake(socket: ServerConnection, request: Request) -> Handshake:
    """Read the request.

    Raises:
        ValueError: a target that is no path, or a query of absurd length.
    """
    parts = urlsplit(request.path)
    if not request.path.startswith("/"):
        raise ValueError("not a path")
    headers: dict[str, str] = {}
    for name, value in request.headers.raw_items():
        name = name.lower()
        headers[name] = f"{headers[name]}, {value.strip()}" if name in headers else value.strip()
    host, port = (socket.remote_address or ("", 0))[:2]
    query = dict(parse_qsl(parts.query, keep_blank_values=True, max_num_fields=_QUERY_FIELDS))
    return Handshake(request.path, parts.path, query, headers, f"{host}:{port}")


def _respond(answer: Answer) -> Response:
    body = answer.body.encode() or answer.status.phrase.encode()
    headers = Headers(
        [
            ("Connection", "close"),
            ("Content-Length", str(len(body))),
            ("Content-Type", answer.content_type),
        ]
    )
    if answer.status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "10"
    if answer.status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(answer.status.value, answer.status.phrase, headers, body)


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root + "/")


def _first(offered: Sequence[Subprotocol]) -> Subprotocol | None:
    # Names such as audio.jambonz.org can be configured at the peer, and tell us nothing.
    return offered[0] if offered else None


def _tls(params: ListenerParams) -> ssl.SSLContext | None:
    if not params.tls_cert:
        return None
    context: Any = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(
            Path(params.tls_cert).expanduser(),
            Path(params.tls_key).expanduser() if params.tls_key else None,
        )
    except (OSError, ssl.SSLError) as err:
        raise LineError(
            f"websocket.tls_cert: {params.tls_cert}: {err.strerror or err}",
            "name PEM files that this user may read, the key belonging to the certificate",
        ) from None
    out: ssl.SSLContext = context
    return out
