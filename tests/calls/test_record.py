from __future__ import annotations

from itertools import pairwise

import pytest

from tests.calls.made import EVERY, SPEECH, call
from voicebot.calls.record import Kind
from voicebot.emotion.fusion import FusionParams


def test_calm_speech_is_what_was_said_before_the_caller_was_provoked() -> None:
    assert call([0.0] * 5).facts.calm_speech == 5 * SPEECH
    angry = call([0.0] * 5, Kind.ANGRY, begins=2).facts
    assert (angry.provoked, angry.calm_speech) == (1.0 + 2 * EVERY, 2 * SPEECH)
    burst = call([0.0] * 5, Kind.OUTBURST, begins=3).facts
    assert burst.calm_speech == 3 * SPEECH


def test_angry_speech_is_counted_from_the_onset() -> None:
    facts = call([0.0] * 5, Kind.ANGRY, begins=2).facts
    assert facts.onset is not None
    assert facts.angry_speech(facts.onset + 1.0) == pytest.approx(1.0)
    assert facts.angry_speech(facts.onset + EVERY + SPEECH) == pytest.approx(2 * SPEECH)


def test_the_share_that_is_angry() -> None:
    facts = call([0.0] * 2, Kind.ANGRY, begins=1).facts
    assert facts.angry_share(1.0, 1.0 + SPEECH) == 0.0
    assert facts.angry_share(3.0, 1.0 + EVERY + 2.0) == pytest.approx(0.5)
    assert facts.angry_share(0.0, 0.5) == 0.0, "nothing is said"


def test_time_is_looked_at_about_once_a_second_while_nobody_speaks() -> None:
    heard = call([0.0, 0.0])
    looks = heard.looks
    assert looks[0] == pytest.approx(0.1)
    for seen in heard.observations:
        assert not any(seen.opened <= t < seen.t for t in looks)
    assert all(b - a >= 1.0 for a, b in pairwise(looks))


def test_voice_and_words_can_be_joined_again() -> None:
    heard = call([1.0, None])
    deaf = heard.fused_again(FusionParams(), voice=False)
    assert [o.logit for o in deaf.observations] == [None, None]
    again = heard.fused_again(FusionParams())
    assert again.observations[0].logit is not None
    assert again.observations[1].logit is None
