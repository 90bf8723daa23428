from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.calls.made import call
from voicebot.calls.line import Levels
from voicebot.calls.record import Kind
from voicebot.calls.replay import replay
from voicebot.calls.sweep import at_threshold
from voicebot.emotion.baseline import BaselineParams
from voicebot.escalation.escalation import EscalationParams

PARAMS, OWN = EscalationParams(), Levels(BaselineParams())


def test_anger_that_persists_is_alerted_and_calm_is_not() -> None:
    assert replay(call([-2.0] * 10), PARAMS, OWN).alert is None
    outcome = replay(call([-2.0] * 3 + [3.0] * 7, Kind.ANGRY, begins=3), PARAMS, OWN)
    assert outcome.alert is not None
    assert outcome.alert >= 19.0, "not before it begins"
    assert outcome.opened == outcome.told[:1]
    assert outcome.peak >= PARAMS.policy.threshold_nats


def test_what_was_not_scored_adds_nothing() -> None:
    logits: list[float | None] = [-2.0, None, 3.0, None, 3.0, None]
    assert replay(call([None] * 6), PARAMS, OWN).peak == 0.0
    assert replay(call(logits), PARAMS, OWN).peak > 0.0


def test_after_a_long_calm_another_alert_is_another() -> None:
    logits = [-2.0] * 5 + [3.0] * 6 + [-2.5] * 60 + [3.0] * 6
    outcome = replay(call(logits, Kind.ANGRY, begins=5), PARAMS, OWN)
    assert len(outcome.opened) == 2


logits_drawn = st.lists(st.floats(-6, 6), min_size=1, max_size=30)


@settings(deadline=None, max_examples=50)
@given(logits_drawn, st.floats(4.0, 15.0), st.floats(0.0, 10.0))
def test_a_higher_threshold_never_alerts_sooner(
    values: list[float], threshold: float, more: float
) -> None:
    heard = call(values)
    low = replay(heard, at_threshold(PARAMS, threshold), OWN).alert
    high = replay(heard, at_threshold(PARAMS, threshold + more), OWN).alert
    if high is not None:
        assert low is not None
        assert low <= high


def test_any_threshold_makes_sound_parameters() -> None:
    for nats in (0.5, 1.0, 3.9, 4.0, 40.0):
        changed = at_threshold(PARAMS, nats)
        assert changed.policy.threshold_nats == nats
    assert at_threshold(PARAMS, 4.0).evidence == PARAMS.evidence
    with pytest.raises(ValueError, match="threshold_nats"):
        at_threshold(PARAMS, -1.0)
