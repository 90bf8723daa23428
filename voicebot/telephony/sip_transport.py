"""Where SIP messages come in and go out: UDP, TCP and TLS."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Hop:
    """The other end of one hop: where a message came from, or where one is sent to."""

    transport: str
    """``udp``, ``tcp`` or ``tls``"""
    host: str
    """IP address, IPv6 without brackets"""
    port: int
    name: str = field(default="", compare=False)
    """the host name that a TLS certificate must carry, where it is known"""
