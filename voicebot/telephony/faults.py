"""Faults that come from the network: counted always, logged now and then."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog

_QUIET_SECONDS: Final = 10.0
"""s between two log lines of the same fault"""
_log = structlog.get_logger(__name__)


class Faults:
    """Counts faults by name; a peer that repeats one fills no log.

    Args:
        gateway: Named in every line.
        clock: Seconds that only go forward.
    """

    def __init__(self, gateway: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.counters: Counter[str] = Counter()
        self.gateway = gateway
        self._clock = clock
        self._logged: dict[str, tuple[float, int]] = {}

    def count(self, name: str, **fields: object) -> None:
        """Count one fault, and log it unless it was just logged.

        Args:
            name: One of a fixed set, such as ``audiosocket_truncated``: never from the network.
            **fields: For the log line; no phone numbers.
        """
        self.counters[name] += 1
        now = self._clock()
        last = self._logged.get(name)
        if last is not None and now - last[0] < _QUIET_SECONDS:
            return
        more = self.counters[name] - (last[1] if last else 0) - 1
        self._logged[name] = (now, self.counters[name])
        _log.warning(name, gateway=self.gateway, unlogged=more, **fields)
