from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.signals import speech, tone
from voicebot.telephony.media.concealment import HISTORY, Concealment


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("hertz", [80.0, 123.0, 199.0])
def test_a_period_goes_on_in_phase(rate: int, hertz: float) -> None:
    whole = tone(0.2, hertz, 2 * hertz, 3 * hertz, rate=rate)
    at, size = len(whole) // 2, rate // 100
    made_up = Concealment(whole[:at], rate).take(size).astype(float)
    assert np.corrcoef(made_up, whole[at : at + size].astype(float))[0, 1] > 0.97
    steps = np.abs(np.diff(np.concatenate((whole[:at], made_up)).astype(float)))
    assert steps[at - 1] <= 1.5 * np.max(np.abs(np.diff(whole.astype(float))))  # no click


def test_pieces_are_the_same_as_the_whole() -> None:
    history = speech()[4000:6000]
    whole = Concealment(history, 8000).take(800)
    parts = Concealment(history, 8000)
    assert np.array_equal(np.concatenate([parts.take(100) for _ in range(8)]), whole)


def test_it_fades_to_silence() -> None:
    pcm = Concealment(tone(0.1, 200.0), 8000).take(8000)
    level = [
        float(np.max(np.abs(pcm[start : start + 80].astype(int)))) for start in range(0, 480, 80)
    ]
    assert all(a >= b for a, b in itertools.pairwise(level))
    assert level[-1] < 0.25 * level[0]
    assert not np.any(pcm[480:])


def test_what_follows_is_blended_for_5_ms() -> None:
    concealment = Concealment(tone(0.1, 200.0), 8000)
    concealment.take(160)
    good = tone(0.02, 900.0)
    blended = concealment.blend(good)
    assert len(blended) == len(good) and np.array_equal(blended[40:], good[40:])
    assert not np.array_equal(blended[:40], good[:40])
    concealment.take(8000)
    assert np.array_equal(concealment.blend(good), good)  # after silence there is nothing to blend


def test_no_history_is_silence() -> None:
    for history in (np.zeros(0, np.int16), np.ones(round(HISTORY * 8000) - 1, np.int16)):
        concealment = Concealment(history, 8000)
        assert not np.any(concealment.take(160))
        assert np.array_equal(concealment.blend(np.ones(10, np.int16)), np.ones(10, np.int16))
    assert len(Concealment(np.zeros(400, np.int16), 8000).take(0)) == 0


def test_loud_audio_does_not_wrap() -> None:
    square = np.where(tone(0.1, 150.0) > 0, 32767, -32768).astype(np.int16)
    pcm = Concealment(square, 8000).take(80)
    assert np.mean(np.abs(pcm.astype(int))) > 30000
