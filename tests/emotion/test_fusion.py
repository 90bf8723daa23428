"""Fusion: each witness can overrule the other, and more anger in one is never less in both."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicebot.emotion.calibration import REFERENCE_LOGIT, score_from
from voicebot.emotion.fusion import FusionParams, fuse
from voicebot.events import EMOTIONS, EmotionScore

P = FusionParams()
LOGITS = st.floats(-8, 8)
RESTS = st.lists(st.floats(0.001, 1), min_size=7, max_size=7)
RATIO = st.floats(0, 1)


def score(logit: float, **rest: float) -> EmotionScore:
    return score_from([rest.get(name, 0.1) for name in EMOTIONS], logit)


def fused(
    acoustic: EmotionScore | None,
    text: EmotionScore | None,
    *,
    seconds: float = 3.0,
    snr: float = 25.0,
    confidence: float = 0.95,
    params: FusionParams = P,
) -> EmotionScore:
    out = fuse(
        acoustic, text, speech_seconds=seconds, snr_db=snr, stt_confidence=confidence, params=params
    )
    assert out is not None
    return out.score


def test_nothing_from_nothing() -> None:
    assert fuse(None, None, speech_seconds=3, snr_db=20, stt_confidence=1, params=P) is None


def test_one_good_witness_is_taken_at_its_word() -> None:
    assert fused(score(1.2), None).anger_logit == pytest.approx(1.2)
    assert fused(None, score(-2.0)).anger_logit == pytest.approx(-2.0)


def test_two_witnesses_say_more_than_one() -> None:
    assert fused(score(1.0), score(1.0)).anger_logit > 2.0
    assert fused(score(-2.5), score(-2.5)).anger_logit < -3.0


def test_loud_joy_is_not_anger() -> None:
    voice = score(1.0, happiness=0.6, surprise=0.2)
    words = score(-3.0, happiness=0.9)
    assert fused(voice, words).anger < 0.2
    assert fused(voice, words).probabilities["happiness"] > 0.6


def test_that_both_hear_joy_counts_beyond_their_logits() -> None:
    voice = score(1.0, happiness=0.8)
    words_of_joy = score(-1.0, happiness=0.9)
    words_of_nothing = score(-1.0, neutral=0.9)
    assert fused(voice, words_of_joy).anger_logit < fused(voice, words_of_nothing).anger_logit - 0.5


def test_angry_words_in_a_calm_voice_are_moderate() -> None:
    both = fused(score(-3.5, neutral=0.8), score(1.0))
    assert 0.1 < both.anger < 0.5


def test_words_that_were_hardly_recognised_do_not_count() -> None:
    voice = score(1.0)
    sure, unsure, guessed = (
        fused(voice, score(-4.0), confidence=c).anger_logit for c in (0.9, 0.6, 0.1)
    )
    assert sure < unsure < guessed == pytest.approx(1.0)


@pytest.mark.parametrize("weak", [{"snr": -6.0}, {"seconds": 0.0}])
def test_a_voice_that_was_hardly_heard_does_not_count(weak: dict[str, float]) -> None:
    assert fused(score(4.0), score(-2.0), **weak).anger_logit == pytest.approx(-2.0)  # type: ignore[arg-type]
    assert fused(score(4.0), None, **weak).anger_logit == pytest.approx(REFERENCE_LOGIT)  # type: ignore[arg-type]


@given(LOGITS, LOGITS, LOGITS, RESTS, RESTS, RATIO, st.floats(0, 5), st.floats(-10, 40))
def test_monotone_in_each_anger_logit(
    one: float,
    other: float,
    more: float,
    rest_a: list[float],
    rest_t: list[float],
    confidence: float,
    seconds: float,
    snr: float,
) -> None:
    low, high = sorted((one, more))

    def logit(a: float, t: float) -> float:
        return fused(
            score_from(rest_a, a), score_from(rest_t, t),
            seconds=seconds, snr=snr, confidence=confidence,
        ).anger_logit  # fmt: skip

    assert logit(low, other) <= logit(high, other) + 1e-9
    assert logit(other, low) <= logit(other, high) + 1e-9


@given(LOGITS, LOGITS, RESTS, RESTS, RATIO)
def test_the_result_is_a_distribution(
    a: float, t: float, rest_a: list[float], rest_t: list[float], confidence: float
) -> None:
    out = fused(score_from(rest_a, a), score_from(rest_t, t), confidence=confidence)
    assert sum(out.probabilities.values()) == pytest.approx(1.0)
    assert out.probabilities["anger"] == pytest.approx(out.anger)


@given(st.floats(0, 1), st.floats(0.01, 0.99))
def test_no_jump_as_a_witness_fades(confidence: float, step: float) -> None:
    a, t = score(1.0, happiness=0.5), score(-3.0, happiness=0.9)
    near = min(1.0, confidence + step * 1e-3)
    difference = abs(
        fused(a, t, confidence=confidence).anger_logit - fused(a, t, confidence=near).anger_logit
    )
    assert difference < 0.05


def test_crossed_limits_make_a_step_and_no_error() -> None:
    crossed = FusionParams(worst_snr_db=20.0, good_snr_db=10.0)
    assert np.isfinite(fused(score(1.0), score(1.0), snr=15.0, params=crossed).anger_logit)
