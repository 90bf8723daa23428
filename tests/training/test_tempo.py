"""Tempo leaves the pitch alone, pitch leaves the length alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tests.emotion.test_features import speechlike
from voicebot.audio.pcm import to_float, to_int16
from voicebot.emotion.frames import describe
from voicebot.training.tempo import change_voice, stretch


def pitch_hz(x: npt.NDArray[np.float32]) -> float:
    frames = describe(to_int16(x))
    assert frames is not None
    return float(55.0 * 2 ** (np.median(frames.semitones[frames.voiced]) / 12))


def swells(x: npt.NDArray[np.float32]) -> float:
    """Syllables a second: the strongest line in the spectrum of the envelope."""
    envelope = np.square(x[: len(x) // 80 * 80].reshape(-1, 80)).mean(1)
    spectrum = np.abs(np.fft.rfft(envelope - envelope.mean(), 4096))
    return float(np.argmax(spectrum)) * 100 / 4096


def clip(hz: float = 150.0) -> npt.NDArray[np.float32]:
    return to_float(speechlike(hz=hz, seconds=3.0))


@pytest.mark.parametrize("tempo", [0.9, 1.1])
@pytest.mark.parametrize("hz", [110.0, 220.0])
def test_tempo_keeps_pitch(tempo: float, hz: float) -> None:
    x = clip(hz)
    y = change_voice(x, tempo, 0.0)
    assert len(y) == round(len(x) / tempo)
    assert pitch_hz(y) == pytest.approx(hz, rel=0.01)
    assert swells(y) == pytest.approx(4.0 * tempo, rel=0.03)
    assert np.abs(y).max() < 1.2 * np.abs(x).max()


@pytest.mark.parametrize("semitones", [-2.0, 2.0])
def test_pitch_keeps_length(semitones: float) -> None:
    x = clip()
    y = change_voice(x, 1.0, semitones)
    assert len(y) == len(x)
    assert pitch_hz(y) == pytest.approx(150.0 * 2 ** (semitones / 12), rel=0.015)
    assert swells(y) == pytest.approx(4.0, rel=0.03)


def test_nothing_asked_nothing_done() -> None:
    x = clip()
    assert np.array_equal(change_voice(x, 1.0, 0.0), x)


def test_both_ends_are_kept() -> None:
    x = np.zeros(8000, dtype=np.float32)
    x[:400] = clip()[2000:2400]
    x[-400:] = clip()[2000:2400]
    y = stretch(x, 8800)
    assert np.abs(y[:500]).max() > 0.5 * np.abs(x).max()
    assert np.abs(y[-500:]).max() > 0.5 * np.abs(x).max()
    assert np.abs(y[1000:-1000]).max() < 1e-6


@pytest.mark.parametrize("samples", [1, 100, 255, 256, 300])
def test_short_clips(samples: int) -> None:
    for tempo, semitones in ((0.9, 2.0), (1.1, -2.0)):
        out = change_voice(clip()[:samples], tempo, semitones)
        assert out.shape == (round(samples / tempo),) and np.isfinite(out).all()
