"""The spectrogram is Whisper's, at half the rate."""

from __future__ import annotations

import numpy as np
import pytest

from voicebot.emotion.logmel import BANDS, log_mel

RNG = np.random.default_rng(0)


def tone(hz: float, seconds: float = 1.0, level: float = 8000.0) -> np.ndarray:
    t = np.arange(int(8000 * seconds)) / 8000
    return np.asarray(level * np.sin(2 * np.pi * hz * t), dtype=np.int16)


def test_one_frame_each_ten_milliseconds() -> None:
    assert log_mel(tone(440, 3.0)).shape == (BANDS, 300)
    assert log_mel(tone(440, 3.0)).dtype == np.float32


@pytest.mark.parametrize("hz", [200.0, 1000.0, 3000.0])
def test_a_tone_is_loudest_in_its_own_band(hz: float) -> None:
    # Slaney's scale: 200/3 Hz to a mel below 1 kHz, 27 steps to a factor of 6.4 above.
    mel = hz * 3 / 200 if hz < 1000 else 15 + 27 * np.log(hz / 1000) / np.log(6.4)
    top = 15 + 27 * np.log(8) / np.log(6.4)
    band = mel / top * (BANDS + 1) - 1
    assert abs(np.argmax(log_mel(tone(hz))[:, 50]) - band) <= 1


def test_nothing_is_heard_above_the_telephone_band() -> None:
    noise = RNG.normal(0, 3000, 8000).astype(np.int16)
    x = log_mel(noise)
    top = 15 + 27 * np.log(8) / np.log(6.4)
    above = int(np.ceil((15 + 27 * np.log(4.1) / np.log(6.4)) / top * (BANDS + 1)))
    assert np.all(x[above:] == x.min())
    assert x.max() - x.min() == pytest.approx(2.0)  # 8 decades, a quarter each


def test_the_level_of_the_line_does_not_matter() -> None:
    loud = (RNG.normal(0, 1, 8000) * np.linspace(500, 8000, 8000)).astype(np.int16)
    quiet = (loud // 4).astype(np.int16)
    assert np.abs(log_mel(loud) - log_mel(quiet)).max() < 0.05  # but for rounding


def test_the_whole_front_end_against_whispers_own() -> None:
    """A band-limited signal at 16 kHz, through the front end of faster-whisper."""
    extractor = pytest.importorskip("faster_whisper.feature_extractor").FeatureExtractor()
    spectrum = np.zeros(8001, dtype=complex)
    spectrum[200:3400] = RNG.normal(size=3200) + 1j * RNG.normal(size=3200)
    wide = np.fft.irfft(spectrum, 16000)
    wide *= 0.2 / np.abs(wide).max()
    theirs = extractor(wide.astype(np.float32))[:, 5:95]
    ours = log_mel((wide[::2] * 32768).astype(np.int16))[:, 5:95]
    difference = (ours - theirs)[5:50]
    # Ours is brought to one level, so there is one offset and nothing else.
    assert np.std(difference) < 0.02


def test_silence_is_flat_and_too_little_is_refused() -> None:
    flat = log_mel(np.zeros(800, np.int16))
    assert np.all(flat == flat[0, 0])
    assert np.isfinite(flat).all()
    with pytest.raises(ValueError, match="too few"):
        log_mel(np.zeros(100, np.int16))
