"""Features: finite on anything, blind to level and padding, right about what they name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from voicebot.emotion.features import FEATURES, extract
from voicebot.emotion.frames import RATE, describe
from voicebot.events import Pcm


def speechlike(
    hz: float = 150.0, syllables: float = 4.0, tilt: float = 1.0, seconds: float = 2.0
) -> Pcm:
    """Harmonics that swell and fade, with a falling spectrum."""
    t = np.arange(int(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * hz * k * t) / k**tilt for k in range(1, int(3500 / hz)))
    swell = 0.5 - 0.5 * np.cos(2 * np.pi * syllables * t)
    x = wave * (0.1 + swell) + 0.001 * np.random.default_rng(0).normal(size=len(t))
    return np.asarray(x / np.abs(x).max() * 8000).astype(np.int16)


def value(samples: Pcm, name: str) -> float:
    return float(extract(samples)[FEATURES.index(name)])


def test_names_and_values_agree() -> None:
    assert len(set(FEATURES)) == len(FEATURES) == len(extract(speechlike()))


@settings(max_examples=40, deadline=None)
@given(arrays(np.int16, st.integers(RATE // 4, RATE)))
def test_finite_on_anything(samples: Pcm) -> None:
    values = extract(samples)
    assert values.shape == (len(FEATURES),)
    assert np.isfinite(values).all()


@pytest.mark.parametrize("constant", [0, 5, -32768, 32767])
def test_silence_is_all_zeros(constant: int) -> None:
    assert not extract(np.full(RATE, constant, dtype=np.int16)).any()


def test_too_few_samples() -> None:
    with pytest.raises(ValueError, match="too few"):
        extract(np.zeros(100, dtype=np.int16))


def test_level_does_not_matter() -> None:
    loud = speechlike()
    soft = (loud // 8).astype(np.int16)
    assert np.allclose(extract(loud), extract(soft), atol=0.35)


def test_silence_around_does_not_matter() -> None:
    inner = speechlike()
    padded = np.concatenate([np.zeros(RATE, np.int16), inner, np.zeros(RATE // 2, np.int16)])
    difference = np.abs(extract(inner) - extract(padded)) / (1 + np.abs(extract(inner)))
    assert np.median(difference) < 0.02
    assert np.quantile(difference, 0.95) < 0.15


def test_pitch_is_in_semitones_above_55_hz() -> None:
    assert value(speechlike(hz=110), "pitch_p50") == pytest.approx(12.0, abs=0.1)
    assert value(speechlike(hz=220), "pitch_p50") == pytest.approx(24.0, abs=0.1)
    assert value(speechlike(hz=220), "pitch_range") < 0.3


def test_a_pressed_voice_has_a_flatter_spectrum() -> None:
    soft, pressed = speechlike(tilt=1.5), speechlike(tilt=0.5)
    assert value(pressed, "alpha_mean") < value(soft, "alpha_mean") - 5
    assert value(pressed, "hammarberg_mean") < value(soft, "hammarberg_mean") - 5
    assert value(pressed, "centroid_mean") > value(soft, "centroid_mean")


def test_syllables_are_counted() -> None:
    for rate in (3.0, 5.0):
        assert value(speechlike(syllables=rate), "rhythm_syllable_rate") == pytest.approx(
            rate, abs=0.8
        )
    assert value(speechlike(syllables=5), "rhythm_mod_4_8") > 0.5


def test_a_pause_is_counted() -> None:
    word = speechlike(seconds=0.8)
    gap = np.zeros(RATE // 2, np.int16)
    assert value(word, "rhythm_pause_share") < 0.15
    assert value(np.concatenate([word, gap, word]), "rhythm_pause_share") > 0.2


def test_a_click_in_silence_is_silence() -> None:
    click = np.zeros(RATE, np.int16)
    click[4000] = 20000
    assert describe(click) is None
    assert not extract(click).any()
