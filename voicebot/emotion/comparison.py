"""How a candidate's scores differ from the active model's, in numbers that can be added up.

A :class:`Comparison` holds sums only, so those of several calls, processes and
days are joined without keeping a single score: means and sums of squares by the
pairwise update of T. Chan, G. Golub and R. LeVeque, "Updating formulae and a
pairwise algorithm for computing sample variances", 1979.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Final

LATENCY_EDGES: Final = tuple(0.5 * 2 ** (k / 2) for k in range(25))
"""ms; upper edges of the latency histogram's bins, the last bin has none."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Of pairs of logits: the active model's and the candidate's, in nats."""

    n: int = 0
    active: float = 0.0
    """nats, mean"""
    candidate: float = 0.0
    """nats, mean"""
    active_ss: float = 0.0
    """nats², sum of squared deviations from the mean"""
    candidate_ss: float = 0.0
    """nats², the same of the candidate"""
    both_ss: float = 0.0
    """nats², sum of the products of the deviations"""

    def plus(self, other: Moments) -> Moments:
        """The moments of both samples together."""
        n = self.n + other.n
        if n == 0:
            return self
        da, dc = other.active - self.active, other.candidate - self.candidate
        share, cross = other.n / n, self.n * other.n / n
        return Moments(
            n,
            self.active + da * share,
            self.candidate + dc * share,
            self.active_ss + other.active_ss + da * da * cross,
            self.candidate_ss + other.candidate_ss + dc * dc * cross,
            self.both_ss + other.both_ss + da * dc * cross,
        )

    @property
    def difference(self) -> float:
        """Nats; mean of candidate less active."""
        return self.candidate - self.active

    @property
    def difference_sd(self) -> float | None:
        """Nats; sample standard deviation of candidate less active, None of fewer than two."""
        if self.n < 2:
            return None
        return math.sqrt(
            max(0.0, self.active_ss + self.candidate_ss - 2 * self.both_ss) / (self.n - 1)
        )

    @property
    def correlation(self) -> float | None:
        """Pearson's; None where one of them never varied."""
        scale = math.sqrt(self.active_ss * self.candidate_ss)
        return max(-1.0, min(1.0, self.both_ss / scale)) if scale > 0.0 else None


@dataclass(frozen=True, slots=True)
class Latency:
    """What scoring an utterance cost the candidate, in CPU time."""

    total_ms: float = 0.0
    longest_ms: float = 0.0
    bins: tuple[int, ...] = (0,) * (len(LATENCY_EDGES) + 1)
    """utterances by :data:`LATENCY_EDGES`"""

    @classmethod
    def of(cls, ms: float) -> Latency:
        """Of one utterance."""
        index = next((i for i, edge in enumerate(LATENCY_EDGES) if ms <= edge), len(LATENCY_EDGES))
        return cls(ms, ms, tuple(int(i == index) for i in range(len(LATENCY_EDGES) + 1)))

    def plus(self, other: Latency) -> Latency:
        """Of the utterances of both."""
        return Latency(
            self.total_ms + other.total_ms,
            max(self.longest_ms, other.longest_ms),
            tuple(a + b for a, b in zip(self.bins, other.bins, strict=True)),
        )

    @property
    def mean_ms(self) -> float | None:
        """Per utterance; None of none."""
        n = sum(self.bins)
        return self.total_ms / n if n else None

    @property
    def p95_ms(self) -> float | None:
        """Upper edge of the bin in which the 95th percentile lies; None of none."""
        n, below = sum(self.bins), 0
        for count, edge in zip(self.bins, (*LATENCY_EDGES, self.longest_ms), strict=True):
            below += count
            if n and below >= 0.95 * n:
                return min(edge, self.longest_ms)
        return None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A candidate beside the active model, over any number of utterances and calls."""

    scored: Moments = field(default_factory=Moments)
    """anger logits of utterances that both scored"""
    only_active: int = 0
    """utterances from which the candidate alone abstained"""
    only_candidate: int = 0
    """utterances from which the active model alone abstained"""
    missed: int = 0
    """utterances that there was no time to try the candidate on"""
    angry_active: int = 0
    """utterances with a probability of at least 0.5 by the active model alone"""
    angry_candidate: int = 0
    """the same by the candidate alone"""
    calls: int = 0
    """heard by both from beginning to end"""
    alerts_both: int = 0
    """calls in which the evidence of either would have alerted; rules left aside"""
    alerts_active: int = 0
    """calls in which only the active model's would have"""
    alerts_candidate: int = 0
    """calls in which only the candidate's would have"""
    lead_seconds: float = 0.0
    """s, by how much the candidate would have alerted earlier, sum over ``alerts_both``"""
    peak_active: float = 0.0
    """nats, the calls' highest evidence, sum over ``calls``"""
    peak_candidate: float = 0.0
    """nats, the same with the candidate"""
    latency: Latency = field(default_factory=Latency)
    since: str = ""
    """ISO 8601, UTC, of the first"""
    until: str = ""
    """ISO 8601, UTC, of the last"""
    off: str = ""
    """why the candidate was last switched off; empty if it was not"""

    def plus(self, other: Comparison) -> Comparison:
        """Both together."""
        added = {name: getattr(self, name) + getattr(other, name) for name in _SUMS}
        return replace(
            self,
            **added,
            scored=self.scored.plus(other.scored),
            latency=self.latency.plus(other.latency),
            since=min(filter(None, (self.since, other.since)), default=""),
            until=max(self.until, other.until),
            off=other.off or self.off,
        )

    @property
    def disagreement(self) -> float | None:
        """0-1, share of the utterances that one calls angry and the other does not."""
        n = self.scored.n
        return (self.angry_active + self.angry_candidate) / n if n else None


_SUMS: Final = (
    "only_active", "only_candidate", "missed", "angry_active", "angry_candidate", "calls",
    "alerts_both", "alerts_active", "alerts_candidate", "lead_seconds", "peak_active",
    "peak_candidate",
)  # fmt: skip


def utterance(active: float | None, candidate: float | None, ms: float) -> Comparison:
    """Of one utterance.

    Args:
        active: Nats, the active model's anger logit; None if it abstained.
        candidate: Nats, the candidate's.
        ms: What the candidate's scoring cost.
    """
    if active is None or candidate is None:
        return Comparison(
            only_active=int(active is not None),
            only_candidate=int(candidate is not None),
            latency=Latency.of(ms),
        )
    return Comparison(
        scored=Moments(1, active, candidate),
        angry_active=int(active >= 0.0 > candidate),
        angry_candidate=int(candidate >= 0.0 > active),
        latency=Latency.of(ms),
    )


def call(
    active_alert: float | None,
    candidate_alert: float | None,
    active_peak: float,
    candidate_peak: float,
) -> Comparison:
    """Of one whole call.

    Args:
        active_alert: s, audio clock, when the evidence of the active model would have alerted;
            None if never.
        candidate_alert: s, the same of the candidate.
        active_peak: Nats, its highest evidence.
        candidate_peak: Nats, the same of the candidate.
    """
    both = active_alert is not None and candidate_alert is not None
    return Comparison(
        calls=1,
        alerts_both=int(both),
        alerts_active=int(active_alert is not None and not both),
        alerts_candidate=int(candidate_alert is not None and not both),
        lead_seconds=(active_alert or 0.0) - (candidate_alert or 0.0) if both else 0.0,
        peak_active=active_peak,
        peak_candidate=candidate_peak,
    )


def summary(total: Comparison) -> dict[str, float | int | str | None]:
    """What a reader wants to know, by name with its unit."""
    n, calls = total.scored.n, total.calls

    def per(value: float, count: int) -> float | None:
        return value / count if count else None

    return {
        "utterances": n,
        "only_active_scored": total.only_active,
        "only_candidate_scored": total.only_candidate,
        "missed": total.missed,
        "difference_mean_nats": total.scored.difference if n else None,
        "difference_sd_nats": total.scored.difference_sd,
        "correlation": total.scored.correlation,
        "disagreement_share": total.disagreement,
        "only_active_angry": total.angry_active,
        "only_candidate_angry": total.angry_candidate,
        "calls": calls,
        "calls_both_alert": total.alerts_both,
        "calls_only_active_alerts": total.alerts_active,
        "calls_only_candidate_alerts": total.alerts_candidate,
        "candidate_earlier_mean_seconds": per(total.lead_seconds, total.alerts_both),
        "peak_evidence_active_mean_nats": per(total.peak_active, calls),
        "peak_evidence_candidate_mean_nats": per(total.peak_candidate, calls),
        "candidate_cpu_mean_ms": total.latency.mean_ms,
        "candidate_cpu_p95_ms": total.latency.p95_ms,
        "candidate_cpu_longest_ms": total.latency.longest_ms,
        "since": total.since,
        "until": total.until,
        "switched_off": total.off,
    }
