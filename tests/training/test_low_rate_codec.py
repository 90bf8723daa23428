"""The mobile coder keeps time and length, and does damage, but not much."""

from __future__ import annotations

import numpy as np
import pytest

from tests.emotion.test_features import speechlike
from voicebot.training.low_rate_codec import through_gsm


def test_in_time_with_the_input() -> None:
    noise = np.random.default_rng(0).normal(size=8000)
    burst = (np.convolve(noise, np.ones(8) / 8, "same") * 6000).astype(np.int16)
    heard = through_gsm(burst).astype(float)
    lags = range(-200, 201)
    match = [float(np.dot(heard[400:-400], burst[400 + k : len(burst) - 400 + k])) for k in lags]
    assert lags[int(np.argmax(match))] == 0


def test_like_the_input_but_not_the_same() -> None:
    clip = speechlike()
    error = through_gsm(clip).astype(float) - clip
    snr = 10 * np.log10(np.sum(clip.astype(float) ** 2) / np.sum(error**2))
    assert 8.0 < snr < 25.0


@pytest.mark.parametrize("samples", [0, 1, 159, 160, 161, 320, 5000])
def test_length_is_kept_and_nothing_is_made_up(samples: int) -> None:
    clip = speechlike()[:samples]
    heard = through_gsm(clip)
    assert heard.shape == clip.shape and heard.dtype == np.int16
    if samples:
        assert np.abs(heard.astype(int)).max() < 2 * np.abs(clip.astype(int)).max() + 200


def test_same_every_time() -> None:
    assert np.array_equal(through_gsm(speechlike()), through_gsm(speechlike()))


def test_silence_stays_all_but_silent() -> None:
    assert np.abs(through_gsm(np.zeros(8000, np.int16)).astype(int)).max() < 50
