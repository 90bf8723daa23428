"""States, hysteresis, cooldown, alerts; and the promises about bursts and persistence."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from voicebot.emotion.baseline import BaselineParams
from voicebot.escalation.evidence import (
    EvidenceParams,
    EvidenceState,
    Observation,
    at,
    begin,
    step,
)
from voicebot.escalation.policy import (
    PERSISTENT_ANGER,
    CloseAlert,
    Decision,
    OpenAlert,
    PolicyParams,
    PolicyState,
    Transition,
    UpdateAlert,
    decide,
)
from voicebot.escalation.rules import RuleHit
from voicebot.events import EscalationState, Leg, Severity

E, OWN, SHIPPED = EvidenceParams(), BaselineParams(), PolicyParams()
P = PolicyParams(rising_nats=1.5, threshold_nats=4.0, release_nats=0.5)
"""Round numbers to test the machine with."""
NOTHING = begin(E, OWN)
CALM, RISING, ESCALATED, COOLING = EscalationState

LEGAL = {
    (CALM, RISING), (CALM, ESCALATED), (RISING, ESCALATED), (RISING, CALM),
    (ESCALATED, COOLING), (COOLING, ESCALATED), (COOLING, CALM),
}  # fmt: skip


def hit(
    rule: str = "threat", severity: Severity = Severity.CRITICAL, alert: bool = True
) -> RuleHit:
    return RuleHit(rule, severity, alert, Leg.CALLER, 1.0, 2.0, "x", "x", 1.0, 2.0)


def evidence(value: float, seconds: float = 10.0, utterances: int = 3) -> EvidenceState:
    return replace(NOTHING, value=value, angry_seconds=seconds, angry_utterances=utterances)


class Machine:
    """Keeps the state between decisions."""

    def __init__(self, params: PolicyParams = P) -> None:
        self.params, self.policy = params, PolicyState()
        self.all: list[Decision] = []

    def at(self, t: float, value: float, *hits: RuleHit, **kw: float) -> list[Decision]:
        seen = evidence(value, kw.get("seconds", 10.0), int(kw.get("utterances", 3)))
        self.policy, decisions = decide(self.policy, seen, hits, t, self.params)
        self.all += decisions
        return decisions

    @property
    def path(self) -> list[EscalationState]:
        return [d.state for d in self.all if isinstance(d, Transition)]


def test_the_whole_way_round() -> None:
    m = Machine()
    assert m.at(1, 1.0) == []
    assert m.at(5, 2.0) == [Transition(5, CALM, RISING, 2.0, "anger_rising")]
    assert m.at(9, 3.9) == []
    assert m.at(12, 4.2) == [
        Transition(12, RISING, ESCALATED, 4.2, PERSISTENT_ANGER),
        OpenAlert(12, Severity.CRITICAL, PERSISTENT_ANGER, ()),
    ]
    assert m.at(20, 1.0) == [], "above release: hysteresis"
    assert m.at(31, 0.4) == [], "held for 20 s after its cause"
    assert m.at(33, 0.4) == [Transition(33, ESCALATED, COOLING, 0.4, "calmed")]
    assert m.at(100, 3.0) == [], "cooling: no new soothing"
    assert m.at(152, 0.1) == []
    assert m.at(153, 0.1) == [Transition(153, COOLING, CALM, 0.1, "cooled_down"), CloseAlert(153)]
    assert m.policy == PolicyState(entered=153, caused=12, told=12)


def test_rising_may_calm_again() -> None:
    m = Machine()
    m.at(5, 2.0)
    assert m.at(24, 0.0) == []
    assert m.at(25, 0.0) == [Transition(25, RISING, CALM, 0.0, "calmed")]


@pytest.mark.parametrize("lack", [{"seconds": 3.9}, {"utterances": 1}])
def test_evidence_without_enough_angry_speech_does_not_escalate(lack: dict[str, float]) -> None:
    m = Machine()
    m.at(5, 50.0, **lack)
    assert m.path == [RISING]


def test_anger_that_returns_updates_the_one_alert() -> None:
    m = Machine()
    m.at(10, 5.0)
    m.at(40, 0.0)
    assert m.policy.state is COOLING
    again = m.at(60, 5.0)
    assert again == [
        Transition(60, COOLING, ESCALATED, 5.0, PERSISTENT_ANGER),
        UpdateAlert(60, Severity.CRITICAL, PERSISTENT_ANGER, ()),
    ]


def test_anger_that_goes_on_updates_no_more_often_than_told() -> None:
    m = Machine()
    for t in range(10, 101, 5):
        m.at(t, 6.0)
    kinds = [type(d) for d in m.all if not isinstance(d, Transition)]
    assert kinds == [OpenAlert, UpdateAlert, UpdateAlert, UpdateAlert]


def test_after_calm_a_new_alert_is_opened() -> None:
    m = Machine()
    m.at(10, 5.0)
    m.at(40, 0.0)
    m.at(160, 0.0)
    assert m.policy.state is CALM
    assert any(isinstance(d, OpenAlert) for d in m.at(200, 5.0))


def test_a_rule_alerts_at_once_and_leaves_the_evidence_alone() -> None:
    m = Machine()
    assert m.at(3, 0.2, hit()) == [
        Transition(3, CALM, ESCALATED, 0.2, "threat"),
        OpenAlert(3, Severity.CRITICAL, "threat", (hit(),)),
    ]
    assert m.at(22, 0.0) == [], "held"
    assert m.at(23, 0.0) == [Transition(23, ESCALATED, COOLING, 0.0, "calmed")]


def test_a_warning_rule_only_makes_it_rise() -> None:
    m = Machine()
    swears = hit("swearing", Severity.INFORMATION, alert=False)
    assert m.at(3, 0.0, swears) == [Transition(3, CALM, RISING, 0.0, "swearing")]
    assert m.at(9, 0.0, swears) == []
    assert m.at(28, 0.0) == [], "the second one holds it"
    assert m.at(29, 0.0) == [Transition(29, RISING, CALM, 0.0, "calmed")]


def test_the_worst_rule_names_the_alert() -> None:
    m = Machine()
    asks = hit("asks_for_human", Severity.COACHING)
    (_, opened) = m.at(3, 0.0, asks, hit())
    assert opened == OpenAlert(3, Severity.CRITICAL, "threat", (asks, hit()))


def test_an_update_never_lowers_the_severity_and_a_graver_cause_raises_it() -> None:
    m = Machine()
    m.at(3, 0.0, hit("asks_for_human", Severity.COACHING))
    assert m.at(8, 5.0) == [UpdateAlert(8, Severity.CRITICAL, PERSISTENT_ANGER, ())]
    asks = hit("asks_for_human", Severity.COACHING)
    assert m.at(9, 0.0, asks) == [UpdateAlert(9, Severity.CRITICAL, "asks_for_human", (asks,))]


def test_thresholds_must_be_in_order() -> None:
    with pytest.raises(ValidationError, match="release_nats"):
        PolicyParams(rising_nats=4.0)
    with pytest.raises(ValidationError):
        PolicyParams(release_nats=1.5)
    with pytest.raises(ValidationError):
        PolicyParams(min_angry_utterances=1)


# ------------------------------------------------------------ properties


def play(observations: list[Observation], tick: float | None = None) -> list[Decision]:
    """Run a call without rules; optionally look at it while nobody speaks, too."""
    state, policy, out = NOTHING, PolicyState(), list[Decision]()
    for observation in observations:
        if tick is not None and observation.start - state.t > tick:
            t = state.t + tick
            policy, decisions = decide(policy, at(state, t, E), (), t, SHIPPED)
            out += decisions
        state = step(state, observation, E, OWN)
        policy, decisions = decide(policy, state, (), state.t, SHIPPED)
        out += decisions
    return out


def escalates(decisions: list[Decision]) -> bool:
    return any(isinstance(d, OpenAlert) for d in decisions)


script = st.lists(
    st.tuples(st.floats(0, 60), st.floats(0, 30), st.floats(-8, 8)), max_size=30
)  # pause, seconds of speech, logit


def build(rows: list[tuple[float, float, float]]) -> list[Observation]:
    t, made = 0.0, []
    for pause, seconds, logit in rows:
        made.append(Observation(t + pause, t + pause + seconds, seconds, logit))
        t += pause + seconds
    return made


levels = st.floats(-4.0, 0.0)


def calm(level: float, swings: list[float]) -> list[tuple[float, float, float]]:
    """Utterances of a caller who stays near their own level."""
    return [(2.0, 6.0, level + swing) for swing in swings]


swings = st.lists(st.floats(-0.4, 0.4), min_size=4, max_size=15)


@given(levels, swings, st.floats(0, 600), st.floats(0, 10), swings)
def test_one_burst_never_escalates(
    level: float, before: list[float], seconds: float, rise: float, after: list[float]
) -> None:
    rows = [*calm(level, before), (1.0, seconds, level + rise), *calm(level, after)]
    assert not escalates(play(build(rows)))


@given(levels, swings, st.floats(2.0, 3.5), st.floats(4.0, 10.0), st.floats(0.5, 6.0))
def test_persistent_anger_always_escalates(
    level: float, before: list[float], rise: float, seconds: float, pause: float
) -> None:
    """From any calm past, eight utterances well above it suffice."""
    decisions = play(build([*calm(level, before), *[(pause, seconds, level + rise)] * 8]))
    assert escalates(decisions)
    last = [d.state for d in decisions if isinstance(d, Transition)][-1]
    assert last is ESCALATED


@given(levels, swings)
def test_a_caller_who_stays_as_they_are_never_escalates(level: float, all_of: list[float]) -> None:
    assert not escalates(play(build(calm(level, all_of))))


@given(script, st.sampled_from([None, 0.5, 7.0]))
def test_every_path_is_legal_and_there_is_one_alert_at_a_time(
    rows: list[tuple[float, float, float]], tick: float | None
) -> None:
    state, open_alert = CALM, False
    for d in play(build(rows), tick):
        match d:
            case Transition():
                assert d.previous is state and (d.previous, d.state) in LEGAL
                state = d.state
            case OpenAlert():
                assert not open_alert and state is ESCALATED
                open_alert = True
            case UpdateAlert():
                assert open_alert and state is ESCALATED
            case CloseAlert():
                assert open_alert and state is CALM
                open_alert = False


@given(script)
def test_replay_is_identical(rows: list[tuple[float, float, float]]) -> None:
    assert play(build(rows)) == play(build(rows))
