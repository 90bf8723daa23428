"""One candidate: its cost, its scores and what a call would have come to with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from tests.fakes import EVEN, RATE, AmplitudeModel
from voicebot.candidate import RECENT, Candidate, Heard, Track
from voicebot.emotion.acoustic import AcousticReading
from voicebot.emotion.ledger import Pair
from voicebot.emotion.listener import CallerEmotion, EmotionParams
from voicebot.emotion.pointer import ModelId
from voicebot.errors import ModelError
from voicebot.escalation.escalation import EscalationParams
from voicebot.events import EmotionScore, Pcm
from voicebot.speech.endpointing import Closed, CloseReason

PAIR = Pair("acoustic@2", "acoustic@shipped")
CALM, ANGRY, SILENT = 1000, 6000, 0


class Fixed:
    """Always the same logit."""

    def __init__(self, logit: float) -> None:
        self.logit = logit

    def score(
        self, pcm: Pcm, rate: int, speech_seconds: float, concealed: float = 0.0
    ) -> AcousticReading:
        return AcousticReading(EmotionScore(EVEN, self.logit), None, 30.0)


def candidate(model: object, limit_ms: float = 100.0) -> Candidate:
    return Candidate(ModelId("acoustic", "2"), cast(Any, model), EmotionParams(), limit_ms)


def heard(number: int, peak: int) -> Heard:
    """Four seconds at a level; the active model takes it for anger."""
    pcm = np.full(4 * RATE, peak, np.int16)
    active = CallerEmotion(cast(Any, AmplitudeModel()), None, EmotionParams())
    start = 5.0 * number
    closed = Closed(
        start=start, end=start + 4.0, t=start + 4.5, pcm=pcm, speech_seconds=4.0,
        reason=CloseReason.ENDPOINT,
    )  # fmt: skip
    return Heard(closed, RATE, None, active.settled(pcm, RATE, 4.0, None))


def verdict(model: object, *peaks: int) -> tuple[int, int, int]:
    """Calls in which both, only the active model, only the candidate would have alerted."""
    track, tried = Track(EmotionParams(), EscalationParams()), candidate(model)
    for number, peak in enumerate(peaks):
        one = heard(number, peak)
        track.take(PAIR, one, tried.score(one))
    total = track.outcome()
    assert track.pairs == {PAIR}
    return total.alerts_both, total.alerts_active, total.alerts_candidate


def test_its_own_score_and_the_rivals_of_the_same_utterance() -> None:
    tried = candidate(Fixed(1.5)).score(heard(0, ANGRY))
    assert tried is not None
    assert tried.own is not None and tried.rival is not None and tried.fused is not None
    assert tried.own.anger_logit == pytest.approx(1.5)
    assert tried.rival.anger_logit == pytest.approx(3.0)
    assert tried.fused.score.anger_logit == pytest.approx(1.5), "the voice alone"
    assert tried.ms >= 0


def test_it_too_is_told_how_much_was_made_up() -> None:
    whole = heard(0, ANGRY)
    lossy = replace(whole, concealed=0.2)
    for one, scored in ((whole, True), (lossy, False)):
        tried = candidate(AmplitudeModel()).score(one)
        assert tried is not None
        assert (tried.own is not None) is scored


def test_an_abstention_of_either_is_none() -> None:
    tried = candidate(Fixed(1.5)).score(heard(0, SILENT))
    assert tried is not None
    assert (tried.own is None, tried.rival is None) == (False, True)
    tried = candidate(AmplitudeModel()).score(heard(0, SILENT))
    assert tried is not None
    assert (tried.own, tried.rival, tried.fused) == (None, None, None)


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ModelError, match="not a number"):
        candidate(Fixed(float("nan"))).score(heard(0, ANGRY))


def test_what_the_call_would_have_come_to() -> None:
    assert verdict(AmplitudeModel(), *[ANGRY] * 5) == (1, 0, 0)
    assert verdict(Fixed(-3.0), *[ANGRY] * 5) == (0, 1, 0)
    assert verdict(Fixed(3.0), *[CALM] * 5) == (0, 0, 1)
    assert verdict(AmplitudeModel(), *[CALM] * 5) == (0, 0, 0)
    assert verdict(Fixed(3.0), *[SILENT] * 5) == (0, 0, 1), "where the active model abstains"
    assert verdict(AmplitudeModel(), ANGRY, CALM, CALM) == (0, 0, 0), "one outburst is none"


def test_one_slow_utterance_is_no_habit() -> None:
    tried = candidate(AmplitudeModel(), limit_ms=100.0)
    assert tried.too_slow == ""
    tried._recent.append(1000.0)
    assert tried.too_slow == ""
    tried._recent.append(1001.0)
    assert "took 1000 ms" in tried.too_slow
    tried._recent.clear()
    tried._recent.extend([101.0] * (RECENT - 2))
    assert tried.too_slow == ""
    tried._recent.extend([101.0] * 2)
    assert "the limit is 100 ms" in tried.too_slow
