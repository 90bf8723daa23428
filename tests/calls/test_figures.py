from __future__ import annotations

import json

import pytest

from tests.calls.made import EVERY, SPEECH, call
from voicebot.calls.figures import by_group, evaluate, figures, judge
from voicebot.calls.plain_rules import in_a_row
from voicebot.calls.record import Heard, Kind
from voicebot.calls.replay import Outcome

FALSE = call([2.0] + [-2.0] * 9, speaker="x:1")
CALM = call([-2.0] * 10, speaker="x:2")
FOUND = call([-2.0] * 2 + [2.0] * 3, Kind.ANGRY, begins=2, speaker="y:3")
MISSED = call([-2.0] * 5, Kind.ANGRY, begins=2, speaker="y:4")
BURST = call([-2.0, 2.0, -2.0], Kind.OUTBURST, begins=1, speaker="y:4")


def any_utterance(heard: Heard) -> Outcome:
    return in_a_row(heard, 1)


def test_every_count_is_held_against_the_truth() -> None:
    made = evaluate([FALSE, CALM, FOUND, MISSED, BURST], any_utterance)
    assert (made.angry_calls, made.detected, made.false_alarms) == (2, 1, 1)
    assert (made.outburst_calls, made.outburst_alarms) == (1, 1)
    assert made.calm_hours == pytest.approx((10 + 10 + 2 + 2 + 1) * SPEECH / 3600)
    assert made.rate.per_hour == pytest.approx(1 / made.calm_hours)
    assert made.calm_call_hours > made.calm_hours
    assert made.angry_seconds_median == SPEECH
    assert made.clock_seconds_median == pytest.approx(SPEECH + 0.8)


def test_an_alert_before_the_onset_is_false_and_one_after_it_is_found() -> None:
    early = call([2.0, -2.0, 2.0], Kind.ANGRY, begins=2)
    verdict = judge(early, any_utterance)
    assert verdict.false_alarms == 1
    assert verdict.alert == early.observations[2].t
    late = judge(call([2.0, -2.0, -2.0], Kind.ANGRY, begins=2), any_utterance)
    assert (late.false_alarms, late.alert) == (1, None)


def test_nothing_can_be_found_in_a_calm_call() -> None:
    last = call([-2.0] * 4 + [2.0])
    outcome = Outcome((last.facts.seconds,), (last.facts.seconds,))
    verdict = judge(last, lambda heard: outcome)
    assert (verdict.false_alarms, verdict.alert, verdict.angry_seconds) == (1, None, None)


def test_groups_add_up() -> None:
    verdicts = [judge(c, any_utterance) for c in (FALSE, CALM, FOUND, MISSED, BURST)]
    groups = by_group(verdicts)
    assert groups["corpus x"].calls + groups["corpus y"].calls == 5
    assert groups["line mulaw"].calls == groups["line loss"].calls == 5
    assert groups["kind angry"].detection == 0.5
    assert groups["speaker y:4"].outburst_share == 1.0
    assert groups["snr 15-25 dB"].calls == 5


def test_figures_without_calls_are_unknown_and_not_zero() -> None:
    plain = figures([]).plain()
    assert plain["detection"] is None
    assert plain["false_alarms_per_hour"] is None
    assert json.dumps(plain, allow_nan=False)
    assert EVERY > SPEECH
