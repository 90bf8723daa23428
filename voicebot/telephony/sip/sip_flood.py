"""Who may send us SIP, and how much: decided by address and a glance, before any parsing."""

from __future__ import annotations

import ipaddress
import re
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

KNOWN_CALL_FACTOR = 20.0
"""How many times as much a source may send inside calls as outside of them."""
BURST_SECONDS = 2.0
"""Silence this long saves up the largest burst."""
MAX_SOURCES = 4096
GLANCE = 4096
"""bytes of a message that are searched for a To tag"""

_TO_TAG = re.compile(rb"\n(?:to|t)[ \t]*:[^\n]*;[ \t]*tag[ \t]*=", re.IGNORECASE)


@lru_cache(maxsize=4096)
def _address(host: str) -> Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


class AllowList:
    """The networks whose messages are looked at.

    Args:
        networks: CIDRs, such as ``10.0.0.0/8``.

    Raises:
        ValueError: One is no network; the text says which.
    """

    def __init__(self, networks: Sequence[str]) -> None:
        self._networks: list[Network] = [ipaddress.ip_network(text) for text in networks]
        self._known: OrderedDict[str, bool] = OrderedDict()

    def allows(self, host: str) -> bool:
        """Whether an address is in one of them."""
        known = self._known.get(host)
        if known is None:
            address = _address(host)
            known = address is not None and any(
                address.version == network.version and address in network
                for network in self._networks
            )
            if len(self._known) >= MAX_SOURCES:
                self._known.popitem(last=False)
            self._known[host] = known
        return known


class TokenBucket:
    """So many a second, and a burst of what was saved up.

    Args:
        rate: Tokens per second.
        now: Clock, in s.
    """

    __slots__ = ("_at", "_limit", "_rate", "_tokens")

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._limit = max(1.0, rate * BURST_SECONDS)
        self._tokens = self._limit
        self._at = now

    def take(self, now: float) -> bool:
        """Take a token if there is one."""
        self._tokens = min(self._limit, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


def in_known_call(data: bytes) -> bool:
    """Guess from the bytes whether a message belongs to something that runs already.

    Responses, ACK and CANCEL do, and requests with a To tag.  Who lies gains only the higher limit.
    """
    if data.startswith((b"SIP/", b"ACK ", b"CANCEL ")):
        return True
    return _TO_TAG.search(data, 0, GLANCE) is not None


class Gate:
    """Admits messages by allow-list and rate; what it refuses is counted, never answered.

    Requests that would begin something are limited per source and in all.  What belongs to a
    running call has limits of its own, :data:`KNOWN_CALL_FACTOR` times as high, so that a flood of
    OPTIONS cannot keep a BYE out.

    Args:
        allow: CIDRs.
        per_source: Requests per second outside of calls, of one IPv4 address or IPv6 /64.
        in_all: The same, of all sources.
        counters: ``sip_not_allowed``, ``sip_limited``, ``sip_limited_in_calls`` are counted here.
        clock: In s; for tests.
    """

    def __init__(
        self,
        allow: Sequence[str],
        per_source: float,
        in_all: float,
        counters: Counter[str],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._allow = AllowList(allow)
        self._rates = (per_source, per_source * KNOWN_CALL_FACTOR)
        self._clock = clock
        now = clock()
        self._all = (TokenBucket(in_all, now), TokenBucket(in_all * KNOWN_CALL_FACTOR, now))
        self._sources: OrderedDict[int, tuple[TokenBucket, TokenBucket]] = OrderedDict()
        self._counters = counters
        self._trusted: OrderedDict[str, None] = OrderedDict()

    def trust(self, host: str) -> None:
        """Let a host in that we send requests to: its responses, and the calls that it routes."""
        self._trusted[host] = None
        self._trusted.move_to_end(host)
        if len(self._trusted) > MAX_SOURCES:
            self._trusted.popitem(last=False)

    def allows(self, host: str) -> bool:
        """Whether an address may connect at all; counted if not."""
        if host in self._trusted or self._allow.allows(host):
            return True
        self._counters["sip_not_allowed"] += 1
        return False

    def admits(self, host: str, data: bytes) -> bool:
        """Whether a message is worth parsing."""
        if not self.allows(host):
            return False
        known = in_known_call(data)
        now = self._clock()
        if self._buckets(host, now)[known].take(now) and self._all[known].take(now):
            return True
        self._counters["sip_limited_in_calls" if known else "sip_limited"] += 1
        return False

    def _buckets(self, host: str, now: float) -> tuple[TokenBucket, TokenBucket]:
        address = _address(host)
        number = int(address) if address is not None else 0
        if address is not None and address.version == 6:
            number = -(number >> 64) - 1
        buckets = self._sources.get(number)
        if buckets is None:
            if len(self._sources) >= MAX_SOURCES:
                self._sources.popitem(last=False)
            buckets = (TokenBucket(self._rates[0], now), TokenBucket(self._rates[1], now))
            self._sources[number] = buckets
        else:
            self._sources.move_to_end(number)
        return buckets
