"""How far the hearing lags behind the line, lately."""

from __future__ import annotations

import math
import threading
from collections import deque
from typing import Final

_BINS: Final = 64
_SMALLEST: Final = 0.001
_RATIO: Final = 1.2
"""of the edges of two neighbouring bins: a percentile is right to within a fifth"""


class RecentLag:
    """A histogram of the last few seconds; any thread may add to it.

    Args:
        seconds: How far back it looks.
    """

    def __init__(self, seconds: int = 10) -> None:
        self._lock = threading.Lock()
        self._seconds = seconds
        self._slots: deque[tuple[int, list[int]]] = deque(maxlen=seconds + 1)

    def add(self, lag: float, now: float) -> None:
        """Take the lag of one block of audio.

        Args:
            lag: s, from its arrival to when everything about it was decided.
            now: s, by any steady clock.
        """
        position = math.log(max(lag, _SMALLEST) / _SMALLEST, _RATIO)
        with self._lock:
            if not self._slots or self._slots[-1][0] != int(now):
                self._slots.append((int(now), [0] * _BINS))
            self._slots[-1][1][min(_BINS - 1, int(position))] += 1

    def percentile(self, share: float, now: float) -> float:
        """The lag that this share of the blocks did not exceed, in seconds; 0 without any.

        Args:
            share: 0-1; 0.95 for the usual p95.
            now: s, by the same clock.
        """
        with self._lock:
            recent = [bins for at, bins in self._slots if at > now - self._seconds - 1]
            total = [sum(column) for column in zip(*recent, strict=True)]
        wanted = share * sum(total)
        if wanted == 0:
            return 0.0
        reached = 0
        for number, count in enumerate(total):
            reached += count
            if reached >= wanted:
                return float(_SMALLEST * _RATIO ** (number + 1))
        raise AssertionError("unreachable")
