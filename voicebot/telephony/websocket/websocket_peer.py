"""One WebSocket connection as an endpoint sees it, and what a listener asks of endpoints."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from voicebot.params import Params, key
from voicebot.telephony.faults import Faults


class ListenerParams(Params):
    """The listener; the forks behind it each have a section of their own."""

    host: str = key("127.0.0.1", "Address to listen on; 0.0.0.0 for every one of this machine.")
    port: int = key(8080, "TCP port; 0 lets the system choose.", ge=0, le=65535)
    public_url: str = key(
        "",
        "How peers reach this listener, such as wss://voice.example.com, where a proxy or a NAT "
        "lies between. Signatures are made over it; empty takes the Host that peers name.",
    )
    tls_cert: str = key("", "PEM file with the certificate and its chain; empty for no TLS.")
    tls_key: str = key("", "PEM file with the key; empty if it lies in the certificate's file.")
    max_connections: int = key(200, "Connections at once; more get 503.", ge=1, le=100_000)
    max_message_bytes: int = key(
        262_144,
        "A longer message ends the connection (1009).",
        unit="bytes",
        ge=4096,
        le=16_777_216,
    )
    handshake_seconds: float = key(
        10.0, "A connection must be upgraded so soon, and closed so soon.", unit="s", gt=0, le=60
    )
    start_seconds: float = key(
        10.0, "The first call data must follow the upgrade so soon.", unit="s", gt=0, le=300
    )
    idle_seconds: float = key(
        60.0,
        "A peer that sends nothing for so long is given up. A paused fork sends nothing either.",
        unit="s", gt=0, le=3600,
    )  # fmt: skip
    send_seconds: float = key(
        5.0, "A peer that does not read for so long is given up.", unit="s", gt=0, le=60
    )


@dataclass(frozen=True, slots=True)
class Handshake:
    """The request that asks for a WebSocket."""

    target: str
    """path and query, as received"""
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """names in lower case; repeated ones joined by a comma (RFC 9110 section 5.3)"""
    peer: str
    """``host:port``"""
    endpoint: str = ""
    """path of what answers, for logs: what lies below it may be a secret"""


@dataclass(frozen=True, slots=True)
class Answer:
    """A plain HTTP answer instead of an upgrade."""

    status: HTTPStatus
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Denial:
    """A request is not let in."""

    status: HTTPStatus
    counter: str
    """as in :meth:`Faults.count`"""
    fields: Mapping[str, str] = field(default_factory=dict)
    """for the log line"""


class ProtocolFault(Exception):
    """A peer does what its protocol does not allow; the connection is closed.

    Args:
        counter: As in :meth:`Faults.count`.
        code: WebSocket close code.
        reason: Told to the peer; at most 123 bytes of ASCII (RFC 6455 section 5.5).
    """

    def __init__(self, counter: str, code: int, reason: str) -> None:
        super().__init__(reason)
        self.counter = counter
        self.code = code
        self.reason = reason


class PeerGone(Exception):
    """The connection is over.

    Args:
        clean: Whether it was closed with a handshake and a code that means no error.
    """

    def __init__(self, clean: bool) -> None:
        super().__init__("closed" if clean else "lost")
        self.clean = clean


class Peer:
    """One connection, as endpoints see it."""

    def __init__(
        self, socket: ServerConnection, handshake: Handshake, params: ListenerParams, faults: Faults
    ) -> None:
        self.handshake = handshake
        self._socket = socket
        self._params = params
        self._faults = faults

    async def receive(self, seconds: float) -> str | bytes:
        """Wait for the next message.

        Raises:
            PeerGone: there will be none.
            ProtocolFault: it took longer than ``seconds``.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._socket.recv()
        except TimeoutError:
            raise ProtocolFault("websocket_idle", 1008, f"nothing for {seconds:g} s") from None
        except ConnectionClosed as err:
            if err.sent is not None and err.sent.code == 1009:
                self._faults.count("websocket_too_big", path=self.handshake.endpoint)
            clean = err.rcvd is not None and err.rcvd.code in (1000, 1001, 1005)
            raise PeerGone(clean) from None

    async def send(self, message: str | bytes) -> None:
        """Send a message; returns when there is room for the next.

        Raises:
            PeerGone: the connection is over, or is given up because the peer does not read.
        """
        try:
            async with asyncio.timeout(self._params.send_seconds):
                await self._socket.send(message)
        except TimeoutError:
            self._faults.count("websocket_slow_reader", path=self.handshake.endpoint)
            self._socket.transport.abort()
            raise PeerGone(False) from None
        except ConnectionClosed:
            raise PeerGone(False) from None

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection; never raises, and takes no longer than a handshake may."""
        with contextlib.suppress(Exception):
            await self._socket.close(code, reason.encode("ascii", "replace")[:123].decode())


class Session(Protocol):
    """One connection's way through the protocol of its endpoint."""

    @property
    def started(self) -> bool:
        """Whether the call has begun; until then the peer must be quicker."""
        ...

    async def text(self, message: str) -> None:
        """Take a text message.

        Raises:
            ProtocolFault: it has no place here.
            RefusedError: the call is not taken.
            PeerGone: while answering.
        """
        ...

    async def binary(self, message: bytes) -> None:
        """Take a binary message; raises as :meth:`text`."""
        ...

    async def reject(self, code: int, reason: str) -> None:
        """Say farewell in the manner of the protocol, and close."""
        ...

    def ended(self, reason: str) -> None:
        """Nothing more comes from this connection.  May be called twice."""
        ...


class Endpoint(Protocol):
    """What lies behind one path."""

    @property
    def path(self) -> str:
        """Such as ``/media/twilio``; everything below it is the endpoint's too."""
        ...

    def admit(self, handshake: Handshake) -> Denial | None:
        """Say whether this request may become a connection; None lets it in."""
        ...

    def hook(self, handshake: Handshake) -> Answer | None:
        """Answer a plain GET that is not for a WebSocket; None if there is nothing to say."""
        ...

    def open(self, peer: Peer) -> Session:
        """Begin with a connection that was let in."""
        ...

    def close(self) -> None:
        """End what outlives connections.  May be called twice."""
        ...
