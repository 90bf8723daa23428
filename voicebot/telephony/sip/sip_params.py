"""Parameters of the SIP base: listeners, limits, timers."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

from pydantic import field_validator

from voicebot.params import Params, key

TRANSPORTS = ("udp", "tcp", "tls")


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

    @property
    def reliable(self) -> bool:
        """Whether the transport itself repeats what is lost."""
        return self.transport != "udp"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport}:{host}:{self.port}"


def is_address(host: str) -> bool:
    """Whether a host is an IP address, not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def parse_listen(text: str) -> Hop:
    """Read ``udp:127.0.0.1:5060`` or ``tls:[::1]:5061``; port 0 lets the system choose.

    Raises:
        ValueError: It is neither; the text says what is expected.
    """
    transport, _, rest = text.partition(":")
    host, _, port = rest.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        if transport not in TRANSPORTS or not 0 <= int(port) < 65536:
            raise ValueError
        ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(f"{text!r} is not like udp:127.0.0.1:5060 or tls:[::1]:5061") from None
    return Hop(transport, host, int(port))


class SipParams(Params):
    """How SIP messages come in and go out."""

    listen: list[str] = key(
        ["udp:127.0.0.1:5060", "tcp:127.0.0.1:5060"],
        "Where SIP is listened for: transport (udp, tcp, tls), IP address and port of each.",
    )
    advertise: str = key(
        "",
        "Host that Via and Contact name, such as the public address behind a NAT; empty: the "
        "address that is used towards each peer.",
    )
    allow: list[str] = key(
        ["127.0.0.0/8", "::1/128"],
        "Networks whose messages are looked at, besides the peers that requests are sent to; all "
        "others are dropped unseen, and counted.",
    )
    tls_certificate: str = key("", "PEM file with our certificate and its chain; tls wants one.")
    tls_key: str = key("", "PEM file with its key; empty: it is in the certificate's file.")
    tls_ca: str = key(
        "", "PEM file with the authorities that peers are checked against; empty: the system's."
    )
    tls_verify_clients: bool = key(
        False, "Whether who connects to us by TLS must show a certificate of tls_ca."
    )
    tls_verify_servers: bool = key(
        True, "Whether the certificates of those we connect to by TLS are checked."
    )
    max_requests_per_second: float = key(
        50.0,
        "Requests outside of calls that one source may send; those within calls have a limit 20 "
        "times as high.",
        unit="1/s",
        gt=0,
    )
    max_requests_per_second_in_all: float = key(
        200.0, "The same of all sources together.", unit="1/s", gt=0
    )
    max_transactions: int = key(
        10_000, "Transactions at once; further requests get 503.", ge=10, le=1_000_000
    )
    max_connections: int = key(256, "TCP and TLS connections that others may hold.", ge=1, le=65536)
    max_header_bytes: int = key(
        32_768, "Longest start line and headers over TCP and TLS.", unit="bytes", ge=1024
    )
    max_body_bytes: int = key(262_144, "Longest body over TCP and TLS.", unit="bytes", ge=1024)
    idle_seconds: float = key(
        1800.0, "A connection on which nothing came for so long is closed.", unit="s", gt=0
    )
    partial_seconds: float = key(
        10.0, "A message that has begun must be complete within this time.", unit="s", gt=0
    )
    connect_seconds: float = key(
        5.0, "How long a connection of ours may take to open.", unit="s", gt=0
    )
    large_requests_over_tcp: bool = key(
        True, "Whether requests too long for a datagram try TCP first (RFC 3261 section 18.1.1)."
    )
    t1_seconds: float = key(0.5, "Round trip: first retransmission after it.", unit="s", gt=0)
    t2_seconds: float = key(4.0, "Longest interval between retransmissions.", unit="s", gt=0)
    t4_seconds: float = key(5.0, "How long a message stays in the network.", unit="s", gt=0)

    @field_validator("listen")
    @classmethod
    def _listens(cls, value: list[str]) -> list[str]:
        for text in value:
            parse_listen(text)
        return value

    @field_validator("allow")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for text in value:
            ipaddress.ip_network(text)
        return value
