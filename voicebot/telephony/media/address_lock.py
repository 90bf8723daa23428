"""Whose packets are listened to: symmetric RTP (RFC 4961) without open doors.

Behind a NAT a peer sends from another address than it signalled, so the first who
speaks is believed; but the address that was signalled always wins, and after a few
packets nobody else is listened to.
"""

from __future__ import annotations

import ipaddress

Address = tuple[str, int]


class AddressLock:
    """Decides by address which packets are the peer's.

    Args:
        signalled: Address and port from the session description; a name never matches.
        after: Packets of one address after which all others are strangers.

    Attributes:
        source: Who is listened to and should be sent to; None before anybody spoke.
    """

    def __init__(self, signalled: Address, after: int) -> None:
        self._signalled = (plain_host(signalled[0]), signalled[1])
        self._after = after
        self._packets = 0
        self.source: Address | None = None

    @property
    def locked(self) -> bool:
        """Whether enough packets came that only the signalled address could still take over."""
        return self._packets >= self._after

    def accepts(self, source: Address) -> bool:
        """Whether a packet that came from there is the peer's."""
        if source == self.source:
            if self._packets < self._after:
                self._packets += 1
            return True
        return self._takes_over(source)

    def reopen(self) -> None:
        """Believe the next who speaks: what was agreed has changed, and the peer may have moved.

        A peer that has not, and speaks on, is within a packet the only one again.
        """
        self._packets = 0

    def _takes_over(self, source: Address) -> bool:
        host = (plain_host(source[0]), source[1])
        if self.source is None or not self._packets or host == self._signalled:
            self.source, self._packets = source, 1
            return True
        # Another port of the signalled machine is likelier the peer than a foreign machine.
        ours = self._signalled[0]
        if not self.locked and host[0] == ours and plain_host(self.source[0]) != ours:
            self.source, self._packets = source, 1
            return True
        return False


def plain_host(host: str) -> str:
    """One spelling for each address: no zone, no IPv4 in IPv6; names as they are."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
