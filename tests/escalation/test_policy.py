"""States, hysteresis, cooldown, alerts; and the promises about bursts and persistence."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from voicebot.escalation.evidence import EvidenceParams, EvidenceState, Observation, at, step
from voicebot.escalation.policy import (
    PERSISTENT_ANGER,
    CloseAlert,
    Decision,
    OpenAlert,
    PolicyParams,
    PolicyState,
    Transition,
    UpdateAlert,
    check,
    decide,
)
from voicebot.escalation.rules import RuleHit
from voicebot.events import EscalationState, Leg, Severity

E, P = EvidenceParams(), PolicyParams()
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
    return EvidenceState(value=value, angry_seconds=seconds, angry_utterances=utterances)


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


def test_a_cap_that_lets_one_burst_alert_is_refused() -> None:
    check(P, E)
    with pytest.raises(ValueError, match="utterance_cap_nats"):
        check(P, EvidenceParams(utterance_cap_nats=2.6))


# ------------------------------------------------------------ properties


def play(observations: list[Observation], tick: float | None = None) -> list[Decision]:
    """Run a call without rules; optionally look at it while nobody speaks, too."""
    state, policy, out = EvidenceState(), PolicyState(), list[Decision]()
    for observation in observations:
        if tick is not None and observation.start - state.t > tick:
            t = state.t + tick
            policy, decisions = decide(policy, at(state, t, E), (), t, P)
            out += decisions
        state = step(state, observation, E)
        policy, decisions = decide(policy, state, (), state.t, P)
        out += decisions
    return out


def escalates(decisions: list[Decision]) -> bool:
    return any(isinstance(d, OpenAlert) for d in decisions)


script = st.lists(
    st.tuples(st.floats(0, 60), st.floats(0, 30), st.floats(-30, 30)), max_size=40
)  # pause, seconds of speech, llr


def build(rows: list[tuple[float, float, float]]) -> list[Observation]:
    t, made = 0.0, []
    for pause, seconds, llr in rows:
        made.append(Observation(t + pause, t + pause + seconds, seconds, llr))
        t += pause + seconds
    return made


calm = st.lists(st.tuples(st.floats(0, 60), st.floats(0, 30), st.floats(-30, 0)), max_size=20)


@given(calm, st.floats(0, 600), st.floats(0, 1e6), calm)
def test_one_burst_never_escalates(
    before: list[tuple[float, float, float]], seconds: float, llr: float,
    after: list[tuple[float, float, float]],
) -> None:  # fmt: skip
    assert not escalates(play(build([*before, (1.0, seconds, llr), *after])))


@given(
    script,
    st.floats(E.angry_nats + 0.01, E.clip_nats),
    st.floats(2.0, 10.0),
    st.floats(0.0, 8.0),
)
def test_persistent_anger_always_escalates_within_the_bound(
    before: list[tuple[float, float, float]], llr: float, seconds: float, pause: float
) -> None:
    """From any past, n utterances of ``seconds`` at ``llr`` suffice.

    With gain g = min(cap, w llr seconds) and what a pause leaves r = exp(-pause / leak), the
    evidence after n of them is at least g (1 + r + ... + r^(n-1)), which reaches the threshold
    for some n if g > threshold (1 - r); and it takes min_angry_utterances and _seconds.
    """
    gain = min(E.utterance_cap_nats, E.nats_per_second * llr * seconds)
    left = math.exp(-pause / E.leak_seconds)
    bound, total = 0, 0.0
    while total < P.threshold_nats + 1e-9:
        total, bound = total * left + gain, bound + 1
        assert bound < 1000, "the bound exists for every caller drawn here"
    bound = max(bound, P.min_angry_utterances, math.ceil(P.min_angry_seconds / seconds))
    angry = [(pause, seconds, llr)] * bound
    decisions = play(build([*before, *angry]))
    assert escalates(decisions)
    last = [d.state for d in decisions if isinstance(d, Transition)][-1]
    assert last is ESCALATED


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
def test_evidence_alone_never_skips_rising(rows: list[tuple[float, float, float]]) -> None:
    for d in play(build(rows)):
        if isinstance(d, Transition) and d.state is ESCALATED:
            assert d.previous in (RISING, COOLING)


@given(script, st.data())
def test_a_call_that_escalates_still_does_if_it_is_angrier(
    rows: list[tuple[float, float, float]], data: st.DataObject
) -> None:
    raised = [(p, s, llr + data.draw(st.floats(0, 20))) for p, s, llr in rows]
    first = [d.t for d in play(build(rows)) if isinstance(d, OpenAlert)][:1]
    sooner = [d.t for d in play(build(raised)) if isinstance(d, OpenAlert)][:1]
    assert not first or (sooner and sooner[0] <= first[0])


@given(script)
def test_replay_is_identical(rows: list[tuple[float, float, float]]) -> None:
    assert play(build(rows)) == play(build(rows))
