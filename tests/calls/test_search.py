from __future__ import annotations

import pytest

from tests.calls.made import call, no_progress
from voicebot.calls.line import Levels
from voicebot.calls.record import Heard, Kind
from voicebot.calls.search import (
    GRID,
    Limits,
    Trial,
    choose,
    run_trials,
    settings,
    without_the_caller,
)
from voicebot.emotion.baseline import BaselineParams
from voicebot.escalation.escalation import EscalationParams

OWN = Levels(BaselineParams())
PARAMS = EscalationParams()


def calls(shouter: float = -1.2) -> list[Heard]:
    """Four callers, one of whom comes to sound angry while calm."""
    made = []
    for n in range(4):
        later = shouter if n == 0 else -2.0
        made.append(call([-2.0] * 10 + [later] * 10, speaker=f"x:{n}"))
        made.append(call([-2.0] * 3 + [2.5] * 10, Kind.ANGRY, begins=3, speaker=f"x:{n}"))
        made.append(call([-2.0, -2.0, 2.5, -2.0], Kind.OUTBURST, begins=2, speaker=f"x:{n}"))
    return made


@pytest.fixture(scope="module")
def trials() -> list[Trial]:
    tried = settings(PARAMS)[::25]
    return run_trials(calls(), tried, OWN, no_progress, workers=1)


def test_every_setting_is_sound_and_the_one_in_force_comes_first() -> None:
    tried = settings(PARAMS)
    assert tried[0] == PARAMS
    assert len(tried) == len({repr(p) for p in tried})
    for name, values in GRID.items():
        section, key = name.split(".")
        assert {getattr(getattr(p, section), key) for p in tried} >= set(values), name


def test_the_choice_keeps_the_budget_and_a_larger_one_never_finds_less(trials: list[Trial]) -> None:
    found = []
    for budget in (0.0, 2.0, 1e6):
        chosen = choose(trials, Limits(budget))
        assert chosen is not None
        assert chosen.figures.rate.per_hour <= budget + 1e-9
        found.append(chosen.figures.detected)
    assert found == sorted(found)


def test_a_noisier_line_needs_a_more_cautious_setting(trials: list[Trial]) -> None:
    alarms = [
        chosen.figures.false_alarms
        for factor in (1.0, 1e6)
        if (chosen := choose(trials, Limits(1e3, factor=factor)))
    ]
    assert alarms[-1] == 0
    assert alarms[0] >= alarms[-1]


def test_outbursts_are_limited_too(trials: list[Trial]) -> None:
    chosen = choose(trials, Limits(1e6, outbursts=0.0))
    assert chosen is not None
    assert chosen.figures.outburst_alarms == 0


def test_what_one_caller_does_is_not_the_rate_of_all() -> None:
    (trial,) = run_trials(calls(3.0), [PARAMS], OWN, no_progress, workers=1)
    assert trial.figures.false_alarms > 0
    assert set(trial.callers) == {"x:0", "x:1", "x:2", "x:3"}
    assert trial.callers["x:1"].false_alarms == 0
    assert trial.upper() > trial.figures.rate.per_hour
    assert trial.upper() == trial.upper(), "the same at every look"


def test_without_any_alarm_the_limit_is_that_of_poisson() -> None:
    (trial,) = run_trials(calls(-2.0), [PARAMS], OWN, no_progress, workers=1)
    assert trial.figures.false_alarms == 0
    assert trial.upper() == trial.figures.rate.at_most > 0


def test_a_caller_has_no_part_in_the_choice_they_are_judged_by(trials: list[Trial]) -> None:
    limits = Limits(0.0)
    rate, found = without_the_caller(trials, limits)
    chosen = choose(trials, limits)
    assert chosen is not None
    assert rate.events >= chosen.figures.false_alarms
    assert 0.0 <= found <= 1.0
    assert rate.hours == pytest.approx(chosen.figures.calm_hours)
