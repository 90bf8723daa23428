from __future__ import annotations

from functools import partial

import pytest

from tests.calls.made import call, no_progress
from voicebot.calls import sweep as sweep_module
from voicebot.calls.line import Levels
from voicebot.calls.plain_rules import in_a_row
from voicebot.calls.record import Kind
from voicebot.calls.sweep import (
    ANY,
    EVIDENCE,
    THREE,
    Point,
    best_within,
    evaluate_each,
    judge_each,
    plain_points,
    sweep,
)
from voicebot.emotion.baseline import BaselineParams
from voicebot.escalation.escalation import EscalationParams

CALLS = [
    *(call([-2.0, 1.0, -2.0, -1.5] * 3, speaker=f"x:{n}") for n in range(3)),
    *(call([-2.0] * 3 + [2.0, 2.5, -1.0] * 4, Kind.ANGRY, begins=3, speaker=f"x:{n}")
      for n in range(3)),
]  # fmt: skip


@pytest.fixture(scope="module")
def points() -> list[Point]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sweep_module, "THRESHOLDS", (0.5, 2.0, 4.0, 8.0, 16.0))
        return sweep(CALLS, EscalationParams(), Levels(BaselineParams()), no_progress, workers=1)


def test_the_curve_falls_with_the_threshold(points: list[Point]) -> None:
    for rule in (EVIDENCE, ANY, THREE):
        curve = [p for p in points if p.rule == rule]
        assert [p.threshold for p in curve] == sorted(p.threshold for p in curve)
        found = [p.figures.detection for p in curve]
        assert found == sorted(found, reverse=True)
    assert len(plain_points(points)) == len(points)


def test_the_best_within_a_budget_finds_most(points: list[Point]) -> None:
    best = best_within(points, EVIDENCE, 0.0)
    assert best is not None
    assert best.figures.detection == 1.0
    assert best.figures.false_alarms == 0
    plain = best_within(points, ANY, 0.0)
    assert plain is not None
    assert plain.threshold > 0.5, "1 nat is a probability of .73"


def test_two_processes_say_what_one_says() -> None:
    rules = [partial(in_a_row, count=n) for n in (1, 2, 3)]
    assert list(judge_each(CALLS, rules, 1)) == list(judge_each(CALLS, rules, 2))
    assert [f.calls for f in evaluate_each(CALLS, rules, 1)] == [6, 6, 6]
