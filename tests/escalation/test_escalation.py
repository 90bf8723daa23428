"""The escalation of one call, from scores to alerts."""

from __future__ import annotations

from itertools import count

import pytest

from voicebot.emotion.baseline import BaselineParams
from voicebot.emotion.fusion import Fused
from voicebot.escalation.escalation import QUOTES, Escalation, EscalationParams
from voicebot.escalation.rules import RuleHit
from voicebot.events import Alert, EmotionScore, EscalationState, Leg, Severity, State


def voice(logit: float, words: float | None = None) -> Fused:
    """An utterance of which the voice says so much, and the words add so much."""
    return Fused(EmotionScore({}, logit + (words or 0.0)), logit, 1.0, words)


ANGRY, CALM = voice(2.5), voice(-2.5)


def escalation() -> Escalation:
    numbers = count(1)
    return Escalation("c", EscalationParams(), BaselineParams(), lambda: f"alert-{next(numbers)}")


def speak(
    call: Escalation, scores: list[Fused], start: float = 0.0, seconds: float = 3.0
) -> list[State | Alert]:
    """One utterance after another, with a second between."""
    events: list[State | Alert] = []
    for number, score in enumerate(scores):
        begin = start + number * (seconds + 1)
        end = begin + seconds
        call.settle(score, begin, end, seconds, f"sentence {number}", end + 0.6)
        events += call.decide((), end + 0.6)
    return events


def alerts(events: list[State | Alert]) -> list[Alert]:
    return [e for e in events if isinstance(e, Alert)]


def hit(start: float, severity: Severity = Severity.COACHING) -> RuleHit:
    return RuleHit(
        "asks_for_human", severity, True, Leg.CALLER, start + 1, start + 2,
        "let me talk to a person", "talk to a person", start, start + 3,
    )  # fmt: skip


def test_calm_speech_changes_nothing() -> None:
    call = escalation()
    assert speak(call, [CALM] * 40) == []
    assert call.alerts == 0
    assert call.peak == 0.0


def test_persistent_anger_rises_then_alerts_with_its_quotes() -> None:
    call = escalation()
    events = speak(call, [CALM, CALM, CALM, ANGRY, ANGRY, ANGRY, ANGRY], seconds=2.5)
    states = [e.state for e in events if isinstance(e, State)]
    assert states == [EscalationState.RISING, EscalationState.ESCALATED]
    (alert,) = alerts(events)
    assert alert.reason == "persistent_anger"
    assert alert.severity is Severity.CRITICAL
    texts = [quote.text for quote in alert.evidence]
    assert len(texts) >= 2
    assert "sentence 0" not in texts, "the calm sentence is no evidence"
    assert texts == sorted(texts)
    assert all(q.anger == pytest.approx(ANGRY.score.anger) for q in alert.evidence)


def test_one_open_alert_a_call_and_updates_carry_its_id() -> None:
    call = escalation()
    found = alerts(speak(call, [CALM] * 4 + [ANGRY] * 60))
    assert [a.update for a in found][:2] == [False, True]
    assert {a.alert_id for a in found} == {"alert-1"}
    assert call.alerts == 1
    assert all(len(a.evidence) <= QUOTES for a in found)


def test_a_new_alert_after_the_old_one_has_cooled_down() -> None:
    call = escalation()
    first = alerts(speak(call, [CALM] * 4 + [ANGRY] * 4))
    t = 32.0
    while t < 900:
        call.decide((), t)
        t += 1.0
    second = alerts(speak(call, [ANGRY] * 8, start=t))
    assert first[0].alert_id == "alert-1"
    assert second[0].alert_id == "alert-2"
    assert not second[0].update
    assert all(q.start >= t for q in second[0].evidence), "old quotes are not evidence any more"


def test_a_rule_alerts_at_once_and_quotes_what_was_said() -> None:
    call = escalation()
    state, alert = call.decide([hit(5.0)], 9.0, 0.1)
    assert isinstance(state, State)
    assert isinstance(alert, Alert)
    assert alert.reason == "asks_for_human"
    assert alert.severity is Severity.COACHING
    assert [(q.text, q.anger) for q in alert.evidence] == [("let me talk to a person", 0.1)]
    assert call.peak == 0.0, "a rule fakes no evidence"


def test_a_provisional_score_is_shown_but_not_remembered() -> None:
    call = escalation()
    speak(call, [CALM] * 4)
    shown = call.provisional(ANGRY, 20.0, 30.0, 10.0)
    assert shown.evidence > 0.0
    assert not shown.settled
    assert call.peak == 0.0
    settled = call.settle(CALM, 20.0, 30.0, 10.0, "", 30.6)
    assert settled.evidence == 0.0


def test_words_alone_can_carry_an_alert_and_plain_ones_hold_none_back() -> None:
    """On any line: how a voice sounds when calm is not known, what words mean is."""
    level = [voice(-4.0, -2.0)] * 3
    heated = escalation()
    assert alerts(speak(heated, [*level, *[voice(-3.5, 2.5)] * 6], seconds=6.0))
    calm = escalation()
    assert not alerts(speak(calm, [*level, *[voice(-3.5, 0.4)] * 6], seconds=6.0))
    plain = escalation()
    assert alerts(speak(plain, [*level, *[voice(0.0, -1.0)] * 8], seconds=6.0))
