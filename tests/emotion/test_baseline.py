"""The grid of callers: a prior that sums to one, where the parameters put it."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from voicebot.emotion.baseline import BaselineParams, callers


def test_the_prior_sums_to_one_and_has_the_mean_and_spread_that_it_was_given() -> None:
    grid = callers(BaselineParams(calm_logit=-2.0, between_sd=1.5))
    share = np.exp(grid.prior)
    assert share.sum() == pytest.approx(1.0)
    mean = float((share * grid.level).sum())
    assert mean == pytest.approx(-2.0)
    assert float((share * (grid.level - mean) ** 2).sum()) ** 0.5 == pytest.approx(1.5, rel=0.05)


def test_even_and_lively_callers_are_equally_likely() -> None:
    grid = callers(BaselineParams(even_sd=0.2, lively_sd=1.8))
    assert np.exp(grid.prior).sum(axis=0) == pytest.approx([1 / 3] * 3)
    assert grid.spread.ravel() == pytest.approx([0.2, 0.6, 1.8])


@pytest.mark.parametrize("wrong", [{"between_sd": 0.0}, {"even_sd": 0.0}, {"lively_sd": -1.0}])
def test_a_spread_is_above_zero(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        BaselineParams(**wrong)
