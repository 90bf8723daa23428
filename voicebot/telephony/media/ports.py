"""A range of UDP ports, given out in pairs: an even one for RTP, the next for RTCP."""

from __future__ import annotations

import errno
import ipaddress
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from voicebot.telephony.line import LineError

_RECEIVE_BUFFER: Final = 256 * 1024
"""bytes; holds a second of 50 packets even where the kernel counts 2 KiB for each"""
_TAKEN: Final = (errno.EADDRINUSE, errno.EACCES)


class NoPortError(LineError):
    """Every pair of the range is in use.  For SIP: 503."""


@dataclass(frozen=True, slots=True, eq=False)
class PortPair:
    """Two bound, non-blocking sockets.  Give them back by :meth:`PortPool.release`."""

    rtp: socket.socket
    rtcp: socket.socket
    port: int
    """of RTP; RTCP has the next"""


class PortPool:
    """Gives out port pairs, each new call another one.

    The search goes on where it ended last time, so a port rests as long as the range allows and
    late packets of a call that has ended do not reach the next.  A pair that another program
    holds is passed over.

    Args:
        low: First port; an odd one is passed over.  0: the system chooses (for tests).
        high: Last port that may be used.
        host: Address to bind, IPv4 or IPv6.
    """

    def __init__(self, low: int, high: int, host: str = "127.0.0.1") -> None:
        self._host = host
        self._first = low + low % 2
        self._pairs = max((high - self._first + 1) // 2, 0)
        self._any = low == 0
        self._next = 0
        self._out: set[int] = set()
        try:
            version = ipaddress.ip_address(host).version
        except ValueError:
            raise LineError(f"{host}: not an IP address", "bind media to an address") from None
        self._family = socket.AF_INET6 if version == 6 else socket.AF_INET
        if not self._any and not self._pairs:
            raise LineError(f"ports {low}-{high}: no even port followed by an odd one", "widen it")

    @property
    def in_use(self) -> int:
        """Pairs given out and not yet back."""
        return len(self._out)

    def take(self) -> PortPair:
        """Bind the next free pair.

        Raises:
            NoPortError: none is free.
            LineError: the address is not one of this machine.
        """
        if self._any:
            return self._take_any()
        for step in range(self._pairs):
            number = (self._next + step) % self._pairs
            port = self._first + 2 * number
            if port in self._out:
                continue
            pair = self._bind(port)
            if pair is not None:
                self._next = (number + 1) % self._pairs
                return pair
        raise NoPortError(
            f"media ports {self._first}-{self._first + 2 * self._pairs - 1}: all in use",
            "widen the range of media ports, or take fewer calls",
        )

    def release(self, pair: PortPair) -> None:
        """Close a pair; may be called twice."""
        if pair.rtp.fileno() >= 0:  # else the port may be another call's by now
            self._out.discard(pair.port)
        pair.rtp.close()
        pair.rtcp.close()

    def _take_any(self) -> PortPair:
        for _ in range(200):
            probe = self._open(0)
            if probe is None:
                continue
            port = int(probe.getsockname()[1])
            probe.close()
            pair = self._bind(port - port % 2)
            if pair is not None:
                return pair
        raise NoPortError("no free pair of media ports", "close other programs")

    def _bind(self, port: int) -> PortPair | None:
        rtp = self._open(port)
        if rtp is None:
            return None
        try:
            rtcp = self._open(port + 1)
        except BaseException:
            rtp.close()
            raise
        if rtcp is None:
            rtp.close()
            return None
        self._out.add(port)
        return PortPair(rtp, rtcp, port)

    def _open(self, port: int) -> socket.socket | None:
        try:
            sock = socket.socket(self._family, socket.SOCK_DGRAM)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise NoPortError(
                    "no file descriptor left for a media socket", "raise the limit (ulimit -n)"
                ) from None
            raise LineError(f"media socket: {error.strerror}") from None
        try:
            sock.setblocking(False)
            sock.bind((self._host, port))
        except OSError as error:
            sock.close()
            if error.errno in _TAKEN:
                return None
            raise LineError(
                f"{self._host}: cannot bind media there: {error.strerror}",
                "name an address of this machine",
            ) from None
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        return sock
