"""Pitch: within half a percent on harmonic sounds, unvoiced on noise, no octave jumps."""

from __future__ import annotations

import numpy as np
import pytest

from voicebot.emotion.frames import FFT, FRAME, HOP, RATE
from voicebot.emotion.pitch import PitchTrack, hann, track_pitch


def voice(hz: np.ndarray | float, seconds: float = 1.0, noise: float = 0.0) -> np.ndarray:
    t = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(hz, t.shape)) / RATE
    top = int(3500 / np.max(hz))
    x = sum(np.sin(k * phase) / k for k in range(1, top + 1))
    return np.asarray(x + noise * np.random.default_rng(0).normal(size=len(t)))


def track(x: np.ndarray) -> PitchTrack:
    frames = np.lib.stride_tricks.sliding_window_view(x.astype(np.float32), FRAME)[::HOP]
    power = (np.abs(np.fft.rfft(frames * hann(FRAME), FFT, axis=1)) ** 2).astype(np.float32)
    return track_pitch(power, FRAME, RATE, np.ones(len(power), dtype=bool))


@pytest.mark.parametrize("hz", [80.0, 110.0, 147.0, 220.0, 333.0, 440.0, 520.0])
def test_pitch_of_a_harmonic_sound(hz: float) -> None:
    found = track(voice(hz))
    assert found.voiced.all()
    assert np.allclose(found.hz, hz, rtol=0.005)
    assert found.hnr_db().min() > 20


def test_a_gliding_pitch_is_followed() -> None:
    hz = np.geomspace(120, 240, RATE)
    found = track(voice(hz))
    middles = hz[np.arange(len(found.hz)) * HOP + FRAME // 2]
    assert np.median(np.abs(found.hz / middles - 1)) < 0.01


def test_a_missing_fundamental_does_not_matter() -> None:
    x = voice(150.0)
    spectrum = np.fft.rfft(x)
    spectrum[:300] = 0  # a telephone line carries nothing below 300 Hz
    found = track(np.fft.irfft(spectrum))
    assert np.median(np.abs(found.hz / 150.0 - 1)) < 0.01


def test_noise_is_not_voiced() -> None:
    found = track(np.random.default_rng(1).normal(size=RATE))
    assert found.voiced.mean() < 0.1


def test_harmonicity_falls_with_noise() -> None:
    levels = [float(np.median(track(voice(150.0, noise=n)).hnr_db())) for n in (0.0, 0.2, 0.6)]
    assert levels[0] > levels[1] + 3 > levels[2] + 6


def test_frames_that_are_not_audible_have_no_voice() -> None:
    x = voice(150.0).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(x, FRAME)[::HOP]
    power = (np.abs(np.fft.rfft(frames * hann(FRAME), FFT, axis=1)) ** 2).astype(np.float32)
    found = track_pitch(power, FRAME, RATE, np.zeros(len(power), dtype=bool))
    assert not found.voiced.any()


def test_silence_is_finite() -> None:
    found = track(np.zeros(RATE))
    assert np.isfinite(found.hz).all()
    assert np.isfinite(found.hnr_db()).all()
    assert not found.voiced.any()
