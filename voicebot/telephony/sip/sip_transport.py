"""Where SIP messages come in and go out: UDP, TCP and TLS (RFC 3261 section 18).

Responses go back the way the request came; requests to a hop reuse a connection that is open to
it, whoever opened it (RFC 5923), or open one.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Protocol

from voicebot.tasks import Tasks
from voicebot.telephony.line import LineError
from voicebot.telephony.sip.sip_connection import Connection
from voicebot.telephony.sip.sip_flood import Gate
from voicebot.telephony.sip.sip_params import Hop, SipParams, is_address, parse_listen
from voicebot.telephony.sip.sip_tls import client_context, server_context
from voicebot.telephony.sip.sip_udp import Endpoint

__all__ = ["Carrier", "Flow", "Hop", "SipParams", "SipTransport"]

MAX_WAITING = 64
"""messages for one hop while a connection to it opens"""
MAX_ROUTES = 256
RECEIVE_BUFFER = 1 << 20
"""bytes; a burst of datagrams must outlast a busy moment of the loop"""


class Flow(Protocol):
    """The way a message came, and an answer goes back."""

    @property
    def hop(self) -> Hop:
        """Who sent it."""
        ...

    def send(self, data: bytes, port: int = 0) -> bool:
        """Send back; False if the way is closed.

        Args:
            data: One message.
            port: Over UDP, another port of the same host.
        """
        ...


class Carrier(Protocol):
    """What carries messages for the transactions; tests put a lossy pipe here."""

    @property
    def listeners(self) -> tuple[Hop, ...]:
        """What is listened at."""
        ...

    async def start(self) -> None:
        """Open the listeners."""
        ...

    async def close(self) -> None:
        """Close all."""
        ...

    def sent_by(self, hop: Hop) -> tuple[str, int]:
        """Our host (IPv6 in brackets) and port, as Via and Contact name them towards a hop."""
        ...

    def send(
        self, hop: Hop, data: bytes, failed: Callable[[], None], within: float | None = None
    ) -> None:
        """Send; ``failed`` is called later, never from inside, if that proves impossible."""
        ...


class SipTransport:
    """All sockets of one SIP endpoint.

    Args:
        params: Listeners, caps, certificates.
        receive: Called with each message or datagram and the way it came.
        gate: Says who may connect.
        counters: What went wrong, by name.
    """

    def __init__(
        self,
        params: SipParams,
        receive: Callable[[bytes, Flow], None],
        gate: Gate,
        counters: Counter[str],
    ) -> None:
        self._params = params
        self._receive = receive
        self._gate = gate
        self._counters = counters
        self._endpoints: list[tuple[Endpoint, asyncio.DatagramTransport]] = []
        self._listening: list[tuple[Hop, socket.socket]] = []
        self._connections: dict[Hop, Connection] = {}
        self._waiting: dict[Hop, list[tuple[bytes, Callable[[], None]]]] = {}
        self._tasks = Tasks("sip")
        self._opening = 0
        self._accepted = 0
        self._routes: OrderedDict[str, str] = OrderedDict()
        self._client_context: ssl.SSLContext | None = None
        self._closed = False

    @property
    def listeners(self) -> tuple[Hop, ...]:
        """What is listened at, with the ports that were really taken."""
        return tuple(
            [endpoint.local for endpoint, _ in self._endpoints]
            + [hop for hop, _ in self._listening]
        )

    @property
    def connections(self) -> tuple[Hop, ...]:
        """The other ends of the connections that are open."""
        return tuple(self._connections)

    async def start(self) -> None:
        """Open the listeners, all or none.

        Raises:
            LineError: A port is taken, an address is not ours, a certificate cannot be read.
        """
        try:
            for text in self._params.listen:
                await self._listen(parse_listen(text))
        except BaseException:
            await self.close()
            raise

    async def _listen(self, hop: Hop) -> None:
        loop = asyncio.get_running_loop()
        context = server_context(self._params) if hop.transport == "tls" else None
        family = socket.AF_INET6 if ":" in hop.host else socket.AF_INET
        datagrams = hop.transport == "udp"
        kind = socket.SOCK_DGRAM if datagrams else socket.SOCK_STREAM
        sock = socket.socket(family, kind)
        try:
            sock.setblocking(False)
            if datagrams:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            else:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((hop.host, hop.port))
            if not datagrams:
                sock.listen(64)
        except OSError as error:
            sock.close()
            raise LineError(
                f"{hop}: {error.strerror or error}",
                "another program may hold the port: choose another one in listen",
            ) from error
        if datagrams:
            transport, endpoint = await loop.create_datagram_endpoint(
                lambda: Endpoint(sock, self._receive, self._counters), sock=sock
            )
            self._endpoints.append((endpoint, transport))
            return
        here = sock.getsockname()
        bound = Hop(hop.transport, here[0], here[1])
        self._listening.append((bound, sock))
        self._tasks.spawn(self._accept(bound, sock, context))

    async def _accept(
        self, bound: Hop, sock: socket.socket, context: ssl.SSLContext | None
    ) -> None:
        """Take connections; who may not connect never gets as far as a TLS handshake."""
        loop = asyncio.get_running_loop()
        while not self._closed:
            try:
                accepted, address = await loop.sock_accept(sock)
            except OSError:
                # Out of file descriptors, or gone again: try later, do not spin.
                self._counters["sip_accept_errors"] += 1
                await asyncio.sleep(0.1)
                continue
            if not self._gate.allows(address[0]):
                accepted.close()
            elif self._accepted + self._opening >= self._params.max_connections:
                self._counters["sip_too_many_connections"] += 1
                accepted.close()
            else:
                self._opening += 1
                self._tasks.spawn(self._greet(bound, accepted, context))

    async def _greet(self, bound: Hop, sock: socket.socket, context: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(
                lambda: self._connection(bound.transport, incoming=True),
                sock,
                ssl=context,
                ssl_handshake_timeout=self._params.connect_seconds if context else None,
            )
        except (OSError, TimeoutError):
            # ssl.SSLError is an OSError: a stranger, a wrong version, no certificate.
            self._counters["sip_bad_handshakes"] += 1
        finally:
            self._opening -= 1

    def _connection(self, transport: str, incoming: bool) -> Connection:
        def opened(connection: Connection) -> bool:
            if self._closed:
                return False
            self._accepted += incoming
            self._connections[connection.hop] = connection
            return True

        def lost(connection: Connection) -> None:
            self._accepted -= incoming
            if self._connections.get(connection.hop) is connection:
                del self._connections[connection.hop]

        return Connection(transport, self._params, self._receive, opened, lost, self._counters)

    def sent_by(self, hop: Hop) -> tuple[str, int]:
        """Our host (IPv6 in brackets) and port, as Via and Contact name them towards a hop.

        The port is that of the listener of the same transport, else of any; the host is
        ``advertise``, else the address that the listener is bound to, else the one that the
        system routes from.
        """
        own = [here for here in self.listeners if here.transport == hop.transport]
        here = self._nearest(own or list(self.listeners), hop)
        host = self._params.advertise
        if not host:
            bound = here.host if here is not None else ""
            host = self._route(hop.host) if bound in ("", "0.0.0.0", "::") else bound
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        default = 5061 if hop.transport == "tls" else 5060
        return host, here.port if here is not None else default

    def _nearest(self, candidates: list[Hop], hop: Hop) -> Hop | None:
        """The listener from which a hop is reached: that of the route, else any, else the first."""
        family = [here for here in candidates if (":" in here.host) == (":" in hop.host)]
        if len(family) > 1:
            route = self._route(hop.host)
            exact = [here for here in family if here.host == route]
            wide = [here for here in family if here.host in ("0.0.0.0", "::")]
            return (exact or wide or family)[0]
        if family or candidates:
            return (family or candidates)[0]
        return None

    def _route(self, host: str) -> str:
        """The address that the system would send from, found without sending anything."""
        known = self._routes.get(host)
        if known is not None:
            return known
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.connect((host, 9))
                found = str(sock.getsockname()[0])
        except OSError:
            return host if ipaddress.ip_address(host).is_loopback else "127.0.0.1"
        if len(self._routes) >= MAX_ROUTES:
            self._routes.popitem(last=False)
        self._routes[host] = found
        return found

    def send(
        self, hop: Hop, data: bytes, failed: Callable[[], None], within: float | None = None
    ) -> None:
        """Send a message to a hop, over a connection that is open or that is opened for it.

        Args:
            hop: Where to.
            data: One message.
            failed: Called later, never from inside, if it could not be sent.
            within: How long a new connection may take to open, in s; else ``connect_seconds``.
        """
        loop = asyncio.get_running_loop()
        if not is_address(hop.host):
            # A name would make the socket look it up, and block.
            loop.call_soon(failed)
            return
        if hop.transport == "udp":
            here = self._nearest([endpoint.local for endpoint, _ in self._endpoints], hop)
            endpoint = next((one for one, _ in self._endpoints if one.local == here), None)
            if endpoint is None or not endpoint.send(hop, data):
                loop.call_soon(failed)
            return
        connection = self._connections.get(hop)
        if connection is not None and connection.send(data):
            return
        waiting = self._waiting.get(hop)
        if waiting is None:
            full = len(self._waiting) + len(self._connections) >= 2 * self._params.max_connections
            if self._closed or full:
                loop.call_soon(failed)
                return
            self._waiting[hop] = [(data, failed)]
            self._tasks.spawn(self._connect(hop, within or self._params.connect_seconds))
        elif len(waiting) < MAX_WAITING:
            waiting.append((data, failed))
        else:
            loop.call_soon(failed)

    async def _connect(self, hop: Hop, within: float) -> None:
        loop = asyncio.get_running_loop()
        connection: Connection | None = None
        try:
            context = None
            if hop.transport == "tls":
                if self._client_context is None:
                    self._client_context = client_context(self._params)
                context = self._client_context
            async with asyncio.timeout(within):
                _, connection = await loop.create_connection(
                    lambda: self._connection(hop.transport, incoming=False),
                    hop.host,
                    hop.port,
                    ssl=context,
                    server_hostname=(hop.name or hop.host) if context else None,
                )
        except (OSError, TimeoutError, LineError, ValueError):
            self._counters["sip_unreachable"] += 1
        finally:
            for data, failed in self._waiting.pop(hop, ()):
                if (connection is None or not connection.send(data)) and not self._closed:
                    loop.call_soon(failed)

    async def close(self) -> None:
        """Close every socket.  May be called twice."""
        self._closed = True
        self._tasks.cancel()
        await self._tasks.ended()
        for connection in tuple(self._connections.values()):
            connection.abort()
        for _, transport in self._endpoints:
            transport.close()
        for _, sock in self._listening:
            sock.close()
        self._endpoints.clear()
        self._listening.clear()
        # Transports let go of their sockets one turn of the loop after they are closed.
        await asyncio.sleep(0)
