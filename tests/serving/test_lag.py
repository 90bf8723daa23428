from __future__ import annotations

import numpy as np
import pytest

from voicebot.serving.lag import RecentLag


def test_a_percentile_is_right_to_within_a_fifth() -> None:
    lag = RecentLag()
    drawn = np.random.default_rng(1).lognormal(-3, 1, 5000)
    for number, value in enumerate(drawn):
        lag.add(float(value), 5.0 + number / 1000)
    for share in (0.5, 0.95):
        assert lag.percentile(share, 10.0) == pytest.approx(np.quantile(drawn, share), rel=0.21)


def test_what_is_long_past_is_forgotten() -> None:
    lag = RecentLag(10)
    for _ in range(100):
        lag.add(30.0, 1.0)
    assert lag.percentile(0.95, 5.0) > 20
    assert lag.percentile(0.95, 12.5) == 0.0
    lag.add(0.01, 12.5)
    assert lag.percentile(0.95, 12.5) < 0.02


def test_no_audio_no_lag() -> None:
    assert RecentLag().percentile(0.95, 0.0) == 0.0


def test_any_lag_has_a_place() -> None:
    lag = RecentLag()
    for value in (0.0, -1.0, 1e9):
        lag.add(value, 0.0)
    assert lag.percentile(1.0, 0.0) > 60
