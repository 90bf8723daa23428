from __future__ import annotations

from pathlib import Path

import pytest

from tests.calls.made import call, no_progress
from voicebot import config
from voicebot.calls.budget import check_hours, parse_budget, pick, write_fragment
from voicebot.calls.line import Levels
from voicebot.calls.record import Heard, Kind
from voicebot.calls.search import Limits, run_trials
from voicebot.emotion.baseline import BaselineParams
from voicebot.errors import ConfigError, VoicebotError
from voicebot.escalation.escalation import EscalationParams

CALLS: list[Heard] = [
    *(call([-2.0] * 30, speaker=f"x:{n}") for n in range(2)),
    *(call([-2.0] * 2 + [3.0] * 8, Kind.ANGRY, begins=2, speaker=f"x:{n}") for n in range(2)),
]


@pytest.mark.parametrize(
    ("text", "per_hour"), [("0.1/h", 0.1), ("0.1", 0.1), ("1/10h", 0.1), ("2 / h", 2.0)]
)
def test_a_budget_may_be_written_in_several_ways(text: str, per_hour: float) -> None:
    assert parse_budget(text) == pytest.approx(per_hour)


@pytest.mark.parametrize("text", ["0/h", "none", "-1/h", "1/0h", "", "1/day"])
def test_what_is_no_budget_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--budget"):
        parse_budget(text)


def test_too_few_hours_say_what_can_be_promised_and_what_is_needed() -> None:
    with pytest.raises(VoicebotError, match=r"0\.1 h of calm speech cannot show 0\.1") as caught:
        check_hours(CALLS, 0.1, unproven=False)
    assert "at least 30 h" in caught.value.mend
    check_hours(CALLS, 0.1, unproven=True)
    check_hours(CALLS, 100.0, unproven=False)


def test_calls_without_persistent_anger_teach_nothing() -> None:
    with pytest.raises(VoicebotError, match="no call in which anger persists"):
        check_hours(CALLS[:2], 100.0, unproven=True)


def test_an_impossible_budget_says_what_the_least_would_be() -> None:
    noisy = [call([-2.0] * 5 + [3.0] * 20), call([-2.0] * 10, Kind.ANGRY, begins=5)]
    trials = run_trials(
        noisy, [EscalationParams()], Levels(BaselineParams()), no_progress, workers=1
    )
    with pytest.raises(VoicebotError, match="no setting finds anything at 0.1"):
        pick(trials, Limits(0.1))


def test_the_fragment_is_a_configuration(tmp_path: Path) -> None:
    params = EscalationParams.model_validate({"policy": {"threshold_nats": 5.5}})
    (trial,) = run_trials(CALLS, [params], Levels(BaselineParams()), no_progress, workers=1)
    out = tmp_path / "calibrated.yaml"
    write_fragment(out, trial, Limits(1.0))
    assert config.load(out, environ={}).escalation == params
    assert "1 false alarms per hour" in out.read_text()
