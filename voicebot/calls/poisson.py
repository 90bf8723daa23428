"""How sure a rate is that was counted: limits of a Poisson count, exact and Bayesian.

The exact limits for ``n`` events are quantiles of a gamma distribution of shape ``n`` (lower)
and ``n + 1`` (upper), which is the same as half those of a chi-square with ``2 n`` and ``2 n + 2``
degrees of freedom (F. Garwood, "Fiducial limits for the Poisson distribution", Biometrika 28,
1936).  A gamma is also the conjugate prior of a Poisson rate (Gelman et al., "Bayesian Data
Analysis", 3rd ed., section 2.6).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Rate:
    """Events over a stretch of time."""

    events: int
    hours: float

    @property
    def per_hour(self) -> float:
        """Events per hour; NaN without any time."""
        return self.events / self.hours if self.hours > 0 else math.nan

    @property
    def low(self) -> float:
        """Lower limit of the two-sided 95 % interval, per hour."""
        return (
            lower_limit(self.events, (1 - CONFIDENCE) / 2) / self.hours if self.hours > 0 else 0.0
        )

    @property
    def high(self) -> float:
        """Upper limit of the two-sided 95 % interval, per hour; infinite without any time."""
        if self.hours <= 0:
            return math.inf
        return upper_limit(self.events, (1 - CONFIDENCE) / 2) / self.hours

    @property
    def at_most(self) -> float:
        """What the rate is below with 95 % confidence, one-sided, per hour."""
        return upper_limit(self.events, 1 - CONFIDENCE) / self.hours if self.hours > 0 else math.inf


def upper_limit(events: int, tail: float) -> float:
    """Mean at which so few events have just the probability ``tail``.

    Example:
        >>> round(upper_limit(0, 0.025), 3)
        3.689
    """
    return gamma_quantile(events + 1.0, 1.0 - tail)


def lower_limit(events: int, tail: float) -> float:
    """Mean at which so many events have just the probability ``tail``; 0 for none.

    Example:
        >>> round(lower_limit(10, 0.025), 3)
        4.795
    """
    return gamma_quantile(float(events), tail) if events else 0.0


def hours_needed(per_hour: float) -> float:
    """Hours without a single event that show a rate to be below a limit, 95 % one-sided.

    Example:
        >>> round(hours_needed(0.1), 1)
        30.0
    """
    return upper_limit(0, 1 - CONFIDENCE) / per_hour


def gamma_quantile(shape: float, share: float) -> float:
    """Quantile of a gamma distribution of rate 1, by bisection.

    Args:
        shape: Above zero.
        share: Probability below the quantile, 0-1.
    """
    low, high = 0.0, shape + 10.0
    while gamma_below(shape, high) < share:
        high *= 2.0
    for _ in range(100):
        middle = (low + high) / 2.0
        low, high = (middle, high) if gamma_below(shape, middle) < share else (low, middle)
    return (low + high) / 2.0


def gamma_below(shape: float, x: float) -> float:
    """Probability that a gamma variable of rate 1 lies below ``x``.

    The series of Abramowitz and Stegun, "Handbook of mathematical functions", 6.5.29.
    """
    if x <= 0.0:
        return 0.0
    term = total = 1.0
    n = 0
    while term > total * 1e-15:
        n += 1
        term *= x / (shape + n)
        total += term
    return min(1.0, math.exp(shape * math.log(x) - x - math.lgamma(shape + 1.0)) * total)
