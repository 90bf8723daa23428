"""The evidence: properties that hold for any call, and numbers worked out by hand."""

from __future__ import annotations

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from voicebot.escalation.evidence import EvidenceParams, EvidenceState, Observation, at, step

P = EvidenceParams()

llrs = st.floats(-30, 30)
utterances = st.lists(
    st.tuples(st.floats(0, 60), st.floats(0, 30), st.floats(0, 1), llrs), max_size=30
)  # pause before, length, share of it that is speech, llr


def build(script: list[tuple[float, float, float, float]]) -> list[Observation]:
    t, made = 0.0, []
    for pause, length, share, llr in script:
        made.append(Observation(t + pause, t + pause + length, share * length, llr))
        t += pause + length
    return made


def run(observations: list[Observation], params: EvidenceParams = P) -> list[EvidenceState]:
    state, states = EvidenceState(), []
    for observation in observations:
        state = step(state, observation, params)
        states.append(state)
    return states


def test_one_utterance_by_hand() -> None:
    state = step(EvidenceState(), Observation(1.0, 5.0, 4.0, 1.5), P)
    assert state.value == pytest.approx(0.3 * 1.5 * 4.0)
    assert state.change == state.value
    assert (state.angry_seconds, state.angry_utterances) == (4.0, 1)
    assert (state.since, state.first_angry, state.last_angry, state.t) == (1.0, 1.0, 5.0, 5.0)


def test_a_pause_leaks_by_its_time_constant() -> None:
    state = step(EvidenceState(), Observation(0.0, 4.0, 4.0, 1.5), P)
    assert at(state, 4.0 + P.leak_seconds, P).value == pytest.approx(state.value / math.e)
    after = step(state, Observation(64.0, 66.0, 2.0, 1.0), P)
    assert after.value == pytest.approx(state.value / math.e + 0.3 * 1.0 * 2.0)


def test_pauses_within_an_utterance_leak_too() -> None:
    before = step(EvidenceState(), Observation(0.0, 4.0, 4.0, 1.5), P)
    fluent = step(before, Observation(4.0, 7.0, 3.0, 1.0), P)
    halting = step(before, Observation(4.0, 10.0, 3.0, 1.0), P)
    assert halting.value < fluent.value


def test_calm_speech_resets_everything() -> None:
    state = run([Observation(0, 4, 4, 2.0), Observation(5, 15, 10, -2.0)])[-1]
    assert state == EvidenceState(t=15, change=state.change)
    assert state.change == pytest.approx(-6.0)


def test_overlapping_and_late_utterances_do_not_turn_time_back() -> None:
    first = step(EvidenceState(), Observation(0, 10, 8, 1.0), P)
    late = step(first, Observation(6, 9, 2, 1.0), P)
    assert late.t == 10
    assert late.value == pytest.approx(first.value + 0.6)


def test_more_speech_than_time_is_not_believed() -> None:
    assert step(EvidenceState(), Observation(0, 2, 9, 1.0), P).value == pytest.approx(0.6)


def test_a_blip_is_no_angry_utterance() -> None:
    state = step(EvidenceState(), Observation(0, 0.4, 0.4, 2.0), P)
    assert state.angry_utterances == 0 and state.angry_seconds == 0.4 and state.value > 0


def test_from_logit_takes_prior_and_baseline_away() -> None:
    made = Observation.from_logit(0, 1, 1, anger_logit=2.0, prior_logit=-1.0, baseline_offset=0.5)
    assert made.llr == 2.5


@pytest.mark.parametrize(
    "wrong",
    [
        (0.0, 1.0, 1.0, math.nan),
        (math.nan, 1.0, 1.0, 0.0),
        (2.0, 1.0, 1.0, 0.0),
        (0.0, math.inf, 1.0, 0.0),
        (0.0, 1.0, -1.0, 0.0),
        (0.0, 1.0, math.nan, 0.0),
    ],
)
def test_nonsense_is_refused(wrong: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError):
        Observation(*wrong)


def test_infinite_llr_is_clipped() -> None:
    assert step(EvidenceState(), Observation(0, 1, 1, math.inf), P).value == pytest.approx(0.75)


def test_anger_must_be_reachable() -> None:
    with pytest.raises(ValidationError, match="angry_nats"):
        EvidenceParams(angry_nats=3.0, clip_nats=2.5)


@given(utterances)
def test_never_below_zero_and_never_above_the_sum_of_caps(
    script: list[tuple[float, float, float, float]],
) -> None:
    for n, state in enumerate(run(build(script)), start=1):
        assert 0.0 <= state.value <= n * P.utterance_cap_nats + 1e-9


@given(utterances, st.data())
def test_monotone_in_the_score(
    script: list[tuple[float, float, float, float]], data: st.DataObject
) -> None:
    raised = [(p, d, s, llr + data.draw(st.floats(0, 20))) for p, d, s, llr in script]
    for low, high in zip(run(build(script)), run(build(raised)), strict=True):
        assert high.value >= low.value
        assert high.angry_seconds >= low.angry_seconds
        assert high.angry_utterances >= low.angry_utterances


@given(utterances, st.floats(0, 500), st.floats(0, 500))
def test_silence_only_lowers(
    script: list[tuple[float, float, float, float]], one: float, two: float
) -> None:
    state = ([EvidenceState(), *run(build(script))])[-1]
    sooner = at(state, state.t + one, P)
    later = at(sooner, sooner.t + two, P)
    assert state.value >= sooner.value >= later.value
    assert state.angry_seconds >= sooner.angry_seconds >= later.angry_seconds
    assert state.angry_utterances >= sooner.angry_utterances >= later.angry_utterances


@given(utterances, st.integers(0, 29), st.floats(0, 200))
def test_a_longer_pause_never_raises(
    script: list[tuple[float, float, float, float]], where: int, more: float
) -> None:
    longer = [(p + more * (i == where), d, s, llr) for i, (p, d, s, llr) in enumerate(script)]
    for short, long in zip(run(build(script)), run(build(longer)), strict=True):
        assert long.value <= short.value + 1e-6


@given(utterances)
def test_replay_is_identical(script: list[tuple[float, float, float, float]]) -> None:
    assert run(build(script)) == run(build(script))


@given(utterances, st.tuples(st.floats(0, 9), st.floats(0, 30), st.just(1.0), llrs))
def test_looking_at_a_running_utterance_changes_nothing(
    script: list[tuple[float, float, float, float]], last: tuple[float, float, float, float]
) -> None:
    *before, whole = build([*script, last])
    state = ([EvidenceState(), *run(before)])[-1]
    half = Observation(whole.start, (whole.start + whole.end) / 2, 0.0, whole.llr)
    step(state, half, P)  # shown, not kept
    assert step(state, whole, P) == run([*before, whole])[-1]


def test_memory_is_bounded() -> None:
    state = EvidenceState()
    for n in range(20_000):
        state = step(state, Observation(5.0 * n, 5.0 * n + 3, 3, 1.5), P)
    assert sys.getsizeof(state) == sys.getsizeof(EvidenceState())
    assert state.value < P.utterance_cap_nats / (1 - math.exp(-2 / P.leak_seconds))
