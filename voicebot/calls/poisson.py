"""How sure a rate is that was counted: exact limits of a Poisson count.

Source: F. Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28, 1936.
The limits for ``n`` events are half the quantiles of a chi-square with ``2 n`` and
``2 n + 2`` degrees of freedom, or, which is the same, those of a gamma of shape ``n`` and
``n + 1``; they are found here from the tail sums of the Poisson itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Rate:
    """Events over a stretch of time."""

    events: int
    hours: float
    confidence: float = CONFIDENCE
    """of the interval, two-sided, 0-1"""

    @property
    def per_hour(self) -> float:
        """Events per hour; NaN without any time."""
        return self.events / self.hours if self.hours > 0 else math.nan

    @property
    def low(self) -> float:
        """Lower limit, per hour."""
        if self.hours <= 0:
            return 0.0
        return lower_limit(self.events, (1 - self.confidence) / 2) / self.hours

    @property
    def high(self) -> float:
        """Upper limit, per hour; infinite without any time."""
        if self.hours <= 0:
            return math.inf
        return upper_limit(self.events, (1 - self.confidence) / 2) / self.hours


def upper_limit(events: int, tail: float) -> float:
    """Mean at which so few events have just the probability ``tail``.

    Example:
        >>> round(upper_limit(0, 0.025), 3)
        3.689
    """
    return _solve(lambda mean: at_most(events, mean) - tail, events)


def lower_limit(events: int, tail: float) -> float:
    """Mean at which so many events have just the probability ``tail``; 0 for none.

    Example:
        >>> round(lower_limit(10, 0.025), 3)
        4.795
    """
    if events == 0:
        return 0.0
    return _solve(lambda mean: at_most(events - 1, mean) - (1 - tail), events)


def hours_needed(per_hour: float, confidence: float = CONFIDENCE, events: int = 0) -> float:
    """Hours with no more than so many events that show a rate to be below a limit, one-sided.

    Example:
        >>> round(hours_needed(0.1), 1)
        30.0
    """
    return upper_limit(events, 1 - confidence) / per_hour


def at_most(events: int, mean: float) -> float:
    """Probability of at most so many events."""
    if mean <= 0:
        return 1.0
    logs = [n * math.log(mean) - mean - math.lgamma(n + 1) for n in range(events + 1)]
    top = max(logs)
    return min(1.0, math.exp(top) * math.fsum(math.exp(x - top) for x in logs))


def _solve(falling: Callable[[float], float], events: int) -> float:
    """Root of a function that falls with the mean, by bisection."""
    low, high = 0.0, events + 10.0
    while falling(high) > 0:
        high *= 2
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return (low + high) / 2
