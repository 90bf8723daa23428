from __future__ import annotations

import math

import pytest

from voicebot.calls.poisson import (
    Rate,
    gamma_below,
    gamma_quantile,
    hours_needed,
    lower_limit,
    upper_limit,
)


@pytest.mark.parametrize(
    ("events", "low", "high"),
    [(0, 0.0, 3.6889), (1, 0.0253, 5.5716), (4, 1.0899, 10.2416), (10, 4.7954, 18.3904),
     (100, 81.3639, 121.6268)],
)  # fmt: skip
def test_the_limits_are_those_of_garwoods_table(events: int, low: float, high: float) -> None:
    assert lower_limit(events, 0.025) == pytest.approx(low, abs=2e-4)
    assert upper_limit(events, 0.025) == pytest.approx(high, abs=2e-4)


def test_a_rate_divides_count_and_limits_by_the_hours() -> None:
    rate = Rate(4, 8.0)
    assert rate.per_hour == 0.5
    assert rate.low == pytest.approx(1.0899 / 8, abs=1e-4)
    assert rate.high == pytest.approx(10.2416 / 8, abs=1e-4)
    assert rate.at_most < rate.high, "one-sided"


def test_without_hours_nothing_is_known() -> None:
    rate = Rate(0, 0.0)
    assert math.isnan(rate.per_hour)
    assert (rate.low, rate.high, rate.at_most) == (0.0, math.inf, math.inf)


def test_no_event_in_three_times_the_wait_shows_a_rate() -> None:
    assert hours_needed(0.1) == pytest.approx(-math.log(0.05) / 0.1)


def test_a_gamma_of_shape_one_is_exponential() -> None:
    for x in (0.01, 1.0, 7.0):
        assert gamma_below(1.0, x) == pytest.approx(1 - math.exp(-x))
    assert gamma_quantile(1.0, 0.5) == pytest.approx(math.log(2))
    assert gamma_below(2.5, gamma_quantile(2.5, 0.9)) == pytest.approx(0.9)
    assert gamma_below(3.0, 0.0) == 0.0
