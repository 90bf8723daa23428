"""One UDP socket that carries SIP."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from voicebot.telephony.sip.sip_params import Hop


class Endpoint(asyncio.DatagramProtocol):
    """One UDP socket."""

    def __init__(
        self,
        sock: socket.socket,
        receive: Callable[[bytes, UdpFlow], None],
        counters: Counter[str],
    ) -> None:
        here = sock.getsockname()
        self.local = Hop("udp", here[0], here[1])
        self._sock = sock
        self._receive = receive
        self._counters = counters

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Pass on what came, with the way back."""
        self._receive(data, UdpFlow(Hop("udp", addr[0], addr[1]), self))

    def error_received(self, exc: Exception) -> None:
        """Count what the system says; retransmissions see to the rest."""
        self._counters["sip_udp_errors"] += 1

    def send(self, hop: Hop, data: bytes) -> bool:
        """Send a datagram; False if that is impossible.

        Straight to the socket: asyncio would queue without bounds what does not fit; a datagram
        that is dropped here is repeated like one that the network lost.
        """
        try:
            self._sock.sendto(data, (hop.host, hop.port))
        except BlockingIOError:
            self._counters["sip_udp_unsent"] += 1
        except (OSError, OverflowError):
            self._counters["sip_udp_errors"] += 1
            return False
        return True


@dataclass(frozen=True, slots=True)
class UdpFlow:
    """A peer's address, and the socket that heard from it."""

    hop: Hop
    endpoint: Endpoint

    def send(self, data: bytes, port: int = 0) -> bool:
        """Send back from the same socket, to another port if one is given."""
        return self.endpoint.send(Hop("udp", self.hop.host, port) if port else self.hop, data)
