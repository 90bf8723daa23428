"""Sums of two scorers: what numpy says of the scores themselves, however they were split."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.emotion import comparison
from voicebot.emotion.comparison import LATENCY_EDGES, Comparison, Latency, call, summary, utterance
from voicebot.plain import from_plain

nats = st.floats(-8, 8, allow_nan=False)


def total(parts: list[Comparison]) -> Comparison:
    return reduce(Comparison.plus, parts, Comparison())


@given(st.lists(st.tuples(nats, nats), min_size=2, max_size=40), st.integers(0, 40))
def test_moments_are_those_of_the_pairs_however_they_are_split(
    pairs: list[tuple[float, float]], cut: int
) -> None:
    parts = [utterance(a, c, 1.0) for a, c in pairs]
    whole = total([total(parts[:cut]), total(parts[cut:])])
    a, c = np.array(pairs).T
    assert whole.scored.n == len(pairs)
    assert whole.scored.difference == pytest.approx(float(np.mean(c - a)), abs=1e-9)
    assert whole.scored.difference_sd == pytest.approx(float(np.std(c - a, ddof=1)), abs=1e-6)
    if np.std(a) > 1e-3 and np.std(c) > 1e-3:
        assert whole.scored.correlation == pytest.approx(float(np.corrcoef(a, c)[0, 1]), abs=1e-6)
    disagree = np.mean((a >= 0) != (c >= 0))
    assert whole.disagreement == pytest.approx(float(disagree))


def test_nothing_is_said_of_nothing() -> None:
    empty = Comparison()
    assert empty.disagreement is None
    assert empty.scored.difference_sd is None
    assert empty.scored.correlation is None
    assert empty.latency.p95_ms is None
    told = summary(empty)
    assert told["difference_mean_nats"] is None
    assert told["candidate_cpu_mean_ms"] is None
    assert told["utterances"] == told["calls"] == 0
    assert utterance(1.0, 1.0, 1.0).scored.correlation is None, "of one pair there is none"


def test_who_abstained_is_counted_apart() -> None:
    whole = total([utterance(1.0, None, 1.0), utterance(None, 1.0, 1.0), utterance(None, None, 1.0),
                   utterance(1.0, -1.0, 1.0), utterance(-1.0, 0.0, 1.0)])  # fmt: skip
    assert (whole.only_active, whole.only_candidate, whole.scored.n) == (1, 1, 2)
    assert (whole.angry_active, whole.angry_candidate) == (1, 1)


def test_calls_are_counted_by_who_would_have_alerted() -> None:
    both = [call(30.0, 20.0, 5.0, 6.0), call(30.0, 34.0, 5.0, 5.0)]
    one = [call(None, 9.0, 1.0, 4.5), call(9.0, None, 4.5, 1.0)]
    whole = total([*both, *one, call(None, None, 0.5, 0.5)])
    told = summary(whole)
    assert told["calls"] == 5
    assert told["calls_both_alert"] == 2
    assert told["calls_only_active_alerts"] == 1
    assert told["calls_only_candidate_alerts"] == 1
    assert told["candidate_earlier_mean_seconds"] == pytest.approx(3.0)
    assert told["peak_evidence_active_mean_nats"] == pytest.approx(16.0 / 5)
    assert told["peak_evidence_candidate_mean_nats"] == pytest.approx(17.0 / 5)


def test_an_alert_at_the_first_moment_counts() -> None:
    assert call(0.0, 2.0, 4.0, 4.0).alerts_both == 1
    assert call(0.0, 2.0, 4.0, 4.0).lead_seconds == -2.0


@given(st.lists(st.floats(0.01, 5000), min_size=1, max_size=60))
def test_latency_is_right_within_a_bin(ms: list[float]) -> None:
    whole = reduce(Latency.plus, map(Latency.of, ms), Latency())
    assert whole.mean_ms == pytest.approx(np.mean(ms))
    assert whole.longest_ms == max(ms)
    true = float(np.quantile(ms, 0.95, method="inverted_cdf"))
    assert whole.p95_ms is not None
    assert true - 1e-9 <= whole.p95_ms
    assert whole.p95_ms <= max(true * 2**0.5 + 1e-9, LATENCY_EDGES[0]) or true > LATENCY_EDGES[-1]


def test_times_and_reasons_of_the_sum() -> None:
    early, late = Comparison(since="1", until="2", off="why"), Comparison(since="2", until="3")
    for whole in (early.plus(late), late.plus(early)):
        assert (whole.since, whole.until, whole.off) == ("1", "3", "why")
    assert Comparison().plus(late).since == "2"


def test_it_survives_json() -> None:
    whole = total([utterance(0.3, -0.7, 12.5), call(None, 9.0, 1.0, 4.5)])
    assert from_plain(Comparison, json.loads(json.dumps(asdict(whole)))) == whole


def test_every_field_is_added() -> None:
    """A field that is forgotten in the sum would be lost without a word."""
    ones: dict[str, Any] = dict.fromkeys(comparison._SUMS, 1)
    one = Comparison(**ones)
    two = one.plus(one)
    assert all(getattr(two, name) == 2 for name in comparison._SUMS)
    others = {"scored", "latency", "since", "until", "off"}
    assert set(Comparison.__dataclass_fields__) == set(comparison._SUMS) | others
