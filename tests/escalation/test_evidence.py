"""The evidence: properties that hold for any call, and what it makes of typical callers."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from voicebot.emotion.baseline import BaselineParams, callers
from voicebot.escalation.evidence import (
    EvidenceParams,
    EvidenceState,
    Observation,
    at,
    begin,
    calm_level,
    step,
)

P = EvidenceParams()
OWN = BaselineParams()
REST = math.log(P.calm_seconds / P.angry_seconds)

logits = st.floats(-8, 8)
utterances = st.lists(
    st.tuples(st.floats(0, 60), st.floats(0, 30), st.floats(0, 1), logits), max_size=20
)  # pause before, length, share of it that is speech, logit


def build(script: list[tuple[float, float, float, float]]) -> list[Observation]:
    t, made = 0.0, []
    for pause, length, share, logit in script:
        made.append(Observation(t + pause, t + pause + length, share * length, logit))
        t += pause + length
    return made


def run(observations: list[Observation], params: EvidenceParams = P) -> list[EvidenceState]:
    state, states = begin(params, OWN), []
    for observation in observations:
        state = step(state, observation, params, OWN)
        states.append(state)
    return states


def talk(*spoken: float, seconds: float = 6.0) -> EvidenceState:
    """One utterance after another, two seconds between."""
    return run(build([(2.0, seconds, 1.0, logit) for logit in spoken]))[-1]


def odds(state: EvidenceState) -> float:
    share = np.exp(state.belief)
    return float(np.log(share[1].sum() / share[0].sum()))


def by_hand(spoken: list[float]) -> float:
    """Log-odds of anger by summing over every course that a call of these utterances can take."""
    grid = callers(OWN)
    rates = 1 / P.calm_seconds, 1 / P.angry_seconds
    gone = math.exp(-sum(rates) * 8.0)
    rises, falls = (rate / sum(rates) * (1 - gone) for rate in rates)
    total = [0.0, 0.0]
    kinds = product(range(len(grid.level)), range(3), (1.0, 2.0, 4.0))
    for kind, path in product(list(kinds), product((0, 1), repeat=len(spoken))):
        level, spread = grid.level[kind[0], 0], grid.spread[0, kind[1]]

        def density(x: float, mean: float, spread: float = spread) -> float:
            return float((1 + ((x - mean) / spread) ** 2 / 2) ** -1.5 / spread)

        p = math.exp(grid.prior[kind[0], kind[1]]) / 3
        was = (1 - P.start_share, P.start_share)
        before: int | None = None
        for x, angry in zip(spoken, path, strict=True):
            if before is None:
                stay = was[1] * (1 - falls) + was[0] * rises
                p *= stay if angry else 1 - stay
            else:
                change = falls if before else rises
                p *= change if angry != before else 1 - change
            calm, sharp = density(x, level), density(x, level + kind[2])
            share = P.calm_share if angry else P.outburst_share
            p *= share * calm + (1 - share) * sharp if angry else (1 - share) * calm + share * sharp
            before = angry
        total[path[-1]] += p
    return math.log(total[1] / total[0])


def test_it_is_the_posterior_that_summing_over_all_courses_gives() -> None:
    spoken = [-2.0, -1.5, 1.0]
    assert odds(talk(*spoken)) == pytest.approx(by_hand(spoken), abs=1e-9)


def test_the_value_is_the_log_odds_above_those_at_rest() -> None:
    state = talk(-2.0, 1.0, 1.2, 0.8)
    assert state.value == pytest.approx(odds(state) + REST)
    assert state.value > 0.5


def test_anger_that_persists_is_found_whatever_the_level_of_the_caller() -> None:
    for level in (-3.0, -1.5, 0.5):
        calm = talk(*[level] * 5)
        assert calm.value == 0.0
        angry = talk(*[level] * 5, *[level + 2.0] * 4)
        assert angry.value > 2.0
        assert angry.angry_utterances == 4
        assert angry.angry_seconds == 24.0
        assert angry.since == 42.0


def test_a_harsh_voice_that_never_changes_is_no_anger() -> None:
    assert talk(*[0.7] * 12).value < 0.5


def test_one_who_is_angry_from_the_first_word_is_told_from_the_prior() -> None:
    assert talk(*[3.5] * 5).value > 1.0


def test_one_outburst_is_bounded_however_loud() -> None:
    calm = [-2.0] * 5
    burst = [talk(*calm, loud, seconds=60.0).value for loud in (0.0, 2.0, 8.0)]
    assert max(burst) < math.log(0.9 / P.outburst_share)
    assert talk(*calm, 2.0, *calm[:3]).value == 0.0


def test_silence_fades_at_the_rates_alone() -> None:
    state = talk(-2.0, -2.0, 1.0, 1.0)
    share = math.exp(odds(state)) / (1 + math.exp(odds(state)))
    rest = P.angry_seconds / (P.angry_seconds + P.calm_seconds)
    left = math.exp(-30.0 * (1 / P.calm_seconds + 1 / P.angry_seconds))
    later = rest + (share - rest) * left
    assert odds(at(state, state.t + 30.0, P)) == pytest.approx(math.log(later / (1 - later)))


def test_nothing_left_forgets_what_was_counted() -> None:
    state = talk(-2.0, -2.0, 1.0, 1.0)
    assert state.angry_utterances == 2
    gone = at(state, state.t + 1000.0, P)
    assert gone == EvidenceState(gone.belief, t=state.t + 1000.0, change=state.change)


def test_the_level_of_the_caller_is_learnt() -> None:
    assert calm_level(begin(P, OWN), OWN) == pytest.approx(OWN.calm_logit)
    assert calm_level(talk(*[-3.0] * 8), OWN) == pytest.approx(-3.0, abs=0.3)
    # ... and anger is not taken for it.
    assert calm_level(talk(*[-3.0] * 8, *[0.0] * 8), OWN) == pytest.approx(-3.0, abs=0.5)


def test_a_blip_is_no_angry_utterance() -> None:
    # A short word weighs little, so what counts as angry is set low for once.
    low = EvidenceParams(angry_nats=0.0)
    before = run(build([(1.0, 6.0, 1.0, -2.0)] * 4 + [(1.0, 6.0, 1.0, 1.0)]), low)[-1]
    t = before.t
    after = step(before, Observation(t + 1, t + 1.4, 0.4, 1.0), low, OWN)
    assert after.angry_utterances == before.angry_utterances
    assert after.angry_seconds == pytest.approx(before.angry_seconds + 0.4)


def test_overlapping_and_late_utterances_do_not_turn_time_back() -> None:
    first = step(begin(P, OWN), Observation(0, 10, 8, 1.0), P, OWN)
    assert step(first, Observation(6, 9, 2, 1.0), P, OWN).t == 10


def test_more_speech_than_time_is_not_believed() -> None:
    state = begin(P, OWN)
    much, little = (step(state, Observation(0, 2, s, 1.0), P, OWN) for s in (9.0, 2.0))
    assert np.array_equal(much.belief, little.belief)


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


def test_an_infinite_logit_does_no_harm() -> None:
    state = step(begin(P, OWN), Observation(0, 6, 6, math.inf), P, OWN)
    assert np.isfinite(state.belief).all()


def test_words_move_the_odds_by_their_own_ratio_and_no_further() -> None:
    state = begin(P, OWN)
    quiet = odds(step(state, Observation(0, 6, 6, None), P, OWN))

    def moved(words: float) -> float:
        seen = Observation(0, 6, 6, None, words=words)
        return odds(step(state, seen, P, OWN)) - quiet

    ratio = math.exp(2.0 - P.words_margin)
    plain, heated = P.plain_share, P.heated_share
    expected = math.log(((1 - plain) * ratio + plain) / (1 - heated + heated * ratio))
    assert moved(2.0) == pytest.approx(expected)
    assert moved(0.0) == moved(P.words_margin) == pytest.approx(0.0)
    assert moved(math.inf) == pytest.approx(math.log((1 - plain) / heated), abs=1e-6)
    assert moved(-math.inf) == pytest.approx(math.log(plain / (1 - heated)), abs=1e-6)


def test_a_voice_that_can_hardly_be_heard_says_little() -> None:
    calm = run(build([(2.0, 6.0, 1.0, -3.0)] * 5))[-1]
    t = calm.t + 2.0
    values = [
        step(calm, Observation(t, t + 6.0, 6.0, 1.0, voice_weight=w), P, OWN).value
        for w in (0.0, 0.5, 1.0)
    ]
    assert values == sorted(values)
    assert values[0] == at(calm, t + 6.0, P).value


def test_the_steps_are_in_order() -> None:
    with pytest.raises(ValidationError, match="small_step"):
        EvidenceParams(small_step=3.0, large_step=2.0)


@given(utterances)
def test_it_stays_a_distribution_and_never_falls_below_zero(
    script: list[tuple[float, float, float, float]],
) -> None:
    for state in run(build(script)):
        assert np.exp(state.belief).sum() == pytest.approx(1.0)
        assert state.value >= 0.0
        assert (state.since is None) == (state.angry_utterances == 0 and state.angry_seconds == 0)


@given(utterances, st.floats(0, 500), st.floats(0, 500))
def test_silence_only_lowers_and_two_pauses_are_one(
    script: list[tuple[float, float, float, float]], one: float, two: float
) -> None:
    state = [begin(P, OWN), *run(build(script))][-1]
    sooner = at(state, state.t + one, P)
    later = at(sooner, sooner.t + two, P)
    assert state.value + 1e-9 >= sooner.value >= later.value - 1e-9
    assert state.angry_seconds >= sooner.angry_seconds >= later.angry_seconds
    assert later.value == pytest.approx(at(state, later.t, P).value, abs=1e-6)


@given(utterances)
def test_replay_is_identical(script: list[tuple[float, float, float, float]]) -> None:
    for one, two in zip(run(build(script)), run(build(script)), strict=True):
        assert one == two
        assert np.array_equal(one.belief, two.belief)


@given(utterances, st.tuples(st.floats(0, 9), st.floats(0, 30), st.just(1.0), logits))
def test_looking_at_a_running_utterance_changes_nothing(
    script: list[tuple[float, float, float, float]], last: tuple[float, float, float, float]
) -> None:
    *before, whole = build([*script, last])
    state = [begin(P, OWN), *run(before)][-1]
    kept = state.belief.copy()
    step(state, Observation(whole.start, (whole.start + whole.end) / 2, 0.0, whole.voice), P, OWN)
    assert np.array_equal(state.belief, kept)


def test_memory_is_bounded_and_a_long_angry_call_does_not_run_away() -> None:
    state = begin(P, OWN)
    for n in range(5_000):
        state = step(state, Observation(5.0 * n, 5.0 * n + 3, 3, 1.5 if n > 20 else -2), P, OWN)
    assert state.belief.shape == (2, 33, 3, 3)
    assert np.isfinite(state.belief).all()
    assert state.value < 12.0
