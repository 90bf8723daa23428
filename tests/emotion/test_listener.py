"""Voice and words together, and what happens when one of them abstains."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest

from tests.fakes import EVEN, RATE, AmplitudeModel, Say, audio
from voicebot.emotion.listener import CallerEmotion, EmotionModels, EmotionParams
from voicebot.events import EmotionScore, Final, Leg


class Words:
    """Reads anger in the word 'furious', joy in 'wonderful', and nothing in less than two words."""

    def score(self, text: str) -> EmotionScore | None:
        if len(text.split()) < 2:
            return None
        if "wonderful" in text:
            return EmotionScore({**dict.fromkeys(EVEN, 0.02), "happiness": 0.88}, -3.0)
        return EmotionScore(EVEN, 3.0 if "furious" in text else -2.0)


def listener(*, voice: bool = True, words: bool = True) -> CallerEmotion:
    return CallerEmotion(
        cast(Any, AmplitudeModel()) if voice else None,
        cast(Any, Words()) if words else None,
        EmotionParams(),
    )


def said(text: str, confidence: float = 0.95) -> Final:
    return Final(
        call_id="c", leg=Leg.CALLER, t=3.0, utterance=1, text=text, start=0.0, end=3.0,
        confidence=confidence, language="en", engine="e",
    )  # fmt: skip


LOUD, LIVELY, SOFT, SILENT = (audio([Say(3.0, peak)]) for peak in (6000, 3000, 1000, 0))


def anger(pcm: Any, text: str, **which: bool) -> float:
    score = listener(**which).settled(pcm, RATE, 3.0, said(text)).score
    assert score is not None
    return score.anger


def test_angry_voice_and_angry_words_are_angrier_than_either() -> None:
    both = anger(LOUD, "i am furious")
    assert both > anger(LOUD, "i am here") > anger(SOFT, "i am here")
    assert both > anger(SOFT, "i am furious") > anger(SOFT, "i am here")


def test_loud_joy_is_not_anger() -> None:
    alone = anger(LIVELY, "", words=False)
    assert anger(LIVELY, "this is wonderful news") < 0.5 < alone


def test_each_modality_is_reported_and_an_abstention_is_none() -> None:
    reading = listener().settled(LOUD, RATE, 3.0, said("furious"))
    assert reading.acoustic == pytest.approx(0.9526, abs=1e-3)
    assert reading.text is None
    assert reading.abstained == ("text_too_short",)
    reading = listener().settled(SILENT, RATE, 0.0, said("i am furious"))
    assert reading.acoustic is None
    assert reading.text is not None
    assert reading.score is not None
    assert reading.abstained == ("acoustic_silent",)


def test_when_both_abstain_there_is_no_score() -> None:
    reading = listener().settled(SILENT, RATE, 0.0, said("no"))
    assert reading.score is None
    assert len(reading.abstained) == 2


def test_what_was_not_asked_did_not_abstain() -> None:
    reading = listener(words=False).settled(LOUD, RATE, 3.0, None)
    assert reading.abstained == ()
    reading = listener(voice=False).settled(LOUD, RATE, 3.0, said("i am furious"))
    assert reading.acoustic is None
    assert reading.abstained == ()


def test_words_that_the_recogniser_doubts_weigh_less() -> None:
    sure = listener().settled(SOFT, RATE, 3.0, said("i am furious", 0.95)).score
    unsure = listener().settled(SOFT, RATE, 3.0, said("i am furious", 0.35)).score
    assert sure is not None
    assert unsure is not None
    assert sure.anger > unsure.anger


def test_a_long_utterance_is_averaged_over_its_pieces() -> None:
    half = audio([Say(8.0, 6000), Say(8.0, 1000)])
    reading = listener(words=False).settled(half, RATE, 16.0, None)
    assert reading.acoustic == pytest.approx(0.5, abs=0.01)
    silent_half = audio([Say(8.0, 6000), Say(8.0, 0)])
    reading = listener(words=False).settled(silent_half, RATE, 8.0, None)
    assert reading.acoustic == pytest.approx(0.9526, abs=1e-3), "what abstains is not averaged in"
    whole = listener(words=False).settled(audio([Say(16.0, 6000)]), RATE, 16.0, None)
    assert reading.score == whole.score, "and its noise does not count against the rest"


def test_a_running_window_is_judged_by_the_voice_alone() -> None:
    reading = listener().running(np.asarray(LOUD), RATE, 3.0)
    assert reading.text is None
    assert reading.abstained == ()
    assert reading.score is not None


def models(version: str, *, words: bool = True) -> EmotionModels:
    return EmotionModels(
        cast(Any, AmplitudeModel()),
        cast(Any, Words()) if words else None,
        {"acoustic": f"acoustic@{version}", "text": f"text-en@{version}"},
    )


def test_a_voice_that_was_made_up_is_scored_neither_while_it_goes_on_nor_in_the_end() -> None:
    for concealed, scored in ((0.05, True), (0.2, False)):
        one = listener()
        going_on = one.running(LOUD, RATE, 3.0, concealed)
        settled = one.settled(LOUD, RATE, 3.0, said("i am here"), concealed)
        assert (going_on.score is not None) is scored
        assert settled.voice is not None
        assert (settled.voice.score is not None) is scored
        assert settled.score is not None, "the words are what they are"


def test_models_are_swapped_between_utterances_never_within_one() -> None:
    latest = [models("1")]
    caller = CallerEmotion.following(lambda: latest[0], EmotionParams())
    assert caller.running(LOUD, RATE, 3.0).models == {"acoustic": "acoustic@1"}
    latest[0] = models("2")
    assert caller.running(LOUD, RATE, 3.0).models["acoustic"] == "acoustic@1"
    assert set(caller.settled(LOUD, RATE, 3.0, said("i am here")).models.values()) == {
        "acoustic@1", "text-en@1",
    }  # fmt: skip
    assert caller.settled(LOUD, RATE, 3.0, said("i am here")).models["text"] == "text-en@2"


def test_only_the_models_that_scored_are_named() -> None:
    caller = CallerEmotion.following(lambda: models("1"), EmotionParams())
    assert caller.settled(LOUD, RATE, 3.0, said("no")).models == {"acoustic": "acoustic@1"}
    assert caller.settled(SILENT, RATE, 0.0, said("i am here")).models == {"text": "text-en@1"}
    assert listener().settled(LOUD, RATE, 3.0, said("i am here")).models == {}
