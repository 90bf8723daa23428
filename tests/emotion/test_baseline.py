"""The caller's own level: found when calm, not invented from anger."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.emotion.baseline import BaselineParams, BaselineState, update

P = BaselineParams()


def after(logit: float, times: int, params: BaselineParams = P) -> float:
    state = BaselineState(params)
    for _ in range(times):
        state = update(state, logit, 3.0)
    return state.offset


def test_a_stranger_has_no_offset() -> None:
    assert BaselineState().offset == 0.0


def test_it_is_the_posterior_mean_of_the_textbook() -> None:
    # One observation far from anger counts in full: shrunk by sd^2 / (sd^2 + within^2).
    params = BaselineParams(calm_logit=-7.0, between_sd=0.5, within_sd=1.0)
    assert after(-6.0, 1, params) == pytest.approx(0.2, abs=0.005)


def test_a_harsh_calm_caller_is_learnt() -> None:
    assert after(P.calm_logit + 0.6, 40) == pytest.approx(0.6, abs=0.1)


def test_a_soft_caller_is_learnt_with_care() -> None:
    assert after(P.calm_logit - 0.8, 40) == -P.cap_below
    bold = BaselineParams(cap_below=2.0)
    assert after(P.calm_logit - 0.8, 40, bold) == pytest.approx(-0.8, abs=0.12)


def test_angry_from_the_first_word_is_not_absorbed() -> None:
    angry = 2.5
    assert after(angry, 100) <= P.cap
    assert angry - after(angry, 100) > 1.5
    # and slowly: after three utterances hardly anything is lost
    assert after(angry, 3) < 0.2


@given(st.floats(-8, 8), st.integers(0, 60))
def test_the_offset_is_capped(logit: float, times: int) -> None:
    assert -P.cap_below <= after(logit, times) <= P.cap


def test_anger_after_a_calm_start_moves_it_little() -> None:
    state = BaselineState()
    for _ in range(10):
        state = update(state, -2.0, 3.0)
    before = state.offset
    for _ in range(10):
        state = update(state, 2.0, 3.0)
    assert state.offset - before < 0.35


@given(st.floats(-6, -1), st.floats(0.5, 8))
def test_one_long_observation_is_two_short_ones(logit: float, seconds: float) -> None:
    params = BaselineParams(calm_logit=-2.0)
    one = update(BaselineState(params), logit, seconds)
    half = update(update(BaselineState(params), logit, seconds / 2), logit, seconds / 2)
    assert one.offset == pytest.approx(half.offset, abs=0.06)


def test_no_speech_changes_nothing() -> None:
    state = update(BaselineState(), -1.0, 3.0)
    assert update(state, 5.0, 0.0) == state
    assert update(state, 5.0, -1.0) == state


def test_it_can_be_turned_off() -> None:
    assert after(0.0, 50, BaselineParams(between_sd=0.0)) == 0.0
