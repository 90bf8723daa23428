"""One TCP or TLS connection that carries SIP."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from typing import cast

from voicebot.telephony.sip.sip_framing import PING, PONG, Framer, FramingError
from voicebot.telephony.sip.sip_params import Hop, SipParams

MAX_UNSENT = 1 << 20
"""bytes that a peer may leave unread before it is cut off"""


class Connection(asyncio.Protocol):
    """Frames what comes in, bounds what goes out, ends what idles.

    Args:
        transport_name: ``tcp`` or ``tls``.
        params: Caps and times.
        receive: Called with each message.
        opened: Called when connected; False refuses the connection.
        lost: Called once it is closed, if it was accepted.
        counters: ``sip_bad_framing``, ``sip_idle_closed``, ``sip_slow_peers``, ``sip_keepalives``.
    """

    def __init__(
        self,
        transport_name: str,
        params: SipParams,
        receive: Callable[[bytes, Connection], None],
        opened: Callable[[Connection], bool],
        lost: Callable[[Connection], None],
        counters: Counter[str],
    ) -> None:
        self.hop = Hop(transport_name, "", 0)
        self.local = Hop(transport_name, "", 0)
        self.alive = False
        self._params = params
        self._receive = receive
        self._opened = opened
        self._lost = lost
        self._counters = counters
        self._framer = Framer(params.max_header_bytes, params.max_body_bytes)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._partial = False
        self._last = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn who it is."""
        self._transport = cast(asyncio.Transport, transport)
        peer, here = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if not peer or not here:
            self._transport.abort()
            return
        self.hop = Hop(self.hop.transport, peer[0], peer[1])
        self.local = Hop(self.hop.transport, here[0], here[1])
        raw = transport.get_extra_info("socket")
        if raw is not None:
            # Finds peers that vanished without a word, long before idle_seconds.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.alive = True
        if not self._opened(self):
            self.alive = False
            self._transport.abort()
            return
        self._arm()

    def data_received(self, data: bytes) -> None:
        """Cut into messages."""
        if not self.alive:
            return
        try:
            messages = self._framer.feed(data)
        except FramingError:
            self._counters["sip_bad_framing"] += 1
            self.abort()
            return
        for message in messages:
            if message is PING:
                self._counters["sip_keepalives"] += 1
                self.send(PONG)
            else:
                self._receive(message, self)
            if not self.alive:
                return
        partial = self._framer.partial
        loop = asyncio.get_running_loop()
        self._last = loop.time()
        if partial and (messages or not self._partial):
            self._arm(self._params.partial_seconds)
        elif not partial and self._partial:
            self._arm()
        self._partial = partial

    def _arm(self, seconds: float | None = None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._last = loop.time()
        self._timer = loop.call_later(
            self._params.idle_seconds if seconds is None else seconds, self._expired
        )

    def _expired(self) -> None:
        loop = asyncio.get_running_loop()
        due = self._last + self._params.idle_seconds
        if not self._partial and due > loop.time() + 0.001:
            self._timer = loop.call_at(due, self._expired)
            return
        self._counters["sip_idle_closed"] += 1
        self.abort()

    def send(self, data: bytes, port: int = 0) -> bool:
        """Send; False if the connection is gone.  A port means nothing here."""
        if not self.alive or self._transport is None or self._transport.is_closing():
            return False
        if self._transport.get_write_buffer_size() > MAX_UNSENT:
            self._counters["sip_slow_peers"] += 1
            self.abort()
            return False
        self._transport.write(data)
        return True

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()
        self._gone()

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side closed it, or it broke."""
        self._gone()

    def _gone(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.alive:
            self.alive = False
            self._lost(self)
