"""Degradations do what they say, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from tests.emotion.test_features import speechlike
from voicebot.audio.pcm import to_float
from voicebot.training.augmentation import (
    CLEAN,
    JOINED,
    NOISY,
    TARGET_DBFS,
    Condition,
    active_rms,
    add_noise,
    at_level,
    degrade,
    through_codec,
    tilt,
)

NOISE = (np.random.default_rng(5).normal(size=4000) * 3000).astype(np.int16)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def db(x: float) -> float:
    return float(20 * np.log10(x))


def test_the_same_seed_gives_the_same_sound() -> None:
    clip = speechlike()
    one, same, other = (degrade(clip, NOISY, rng(s), [NOISE]) for s in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_level_is_set() -> None:
    out = degrade(speechlike() // 10, CLEAN, rng())
    assert db(active_rms(to_float(out))) == pytest.approx(TARGET_DBFS, abs=0.3)


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0])
def test_noise_is_as_loud_as_asked(snr_db: float) -> None:
    x = at_level(to_float(speechlike()), -20.0)
    added = add_noise(x, to_float(NOISE), snr_db, rng()) - x
    assert len(added) == len(x)  # the noise is shorter and repeats
    found = db(active_rms(x) / float(np.sqrt(np.mean(added**2))))
    assert found == pytest.approx(snr_db, abs=0.1)


def test_silence_stays_silence() -> None:
    silence = np.zeros(8000, np.int16)
    assert not degrade(silence, CLEAN, rng()).any()
    assert not degrade(silence, NOISY, rng(), [NOISE]).any()
    assert np.array_equal(
        add_noise(to_float(NOISE), np.zeros(100, np.float32), 0.0, rng()), to_float(NOISE)
    )


def test_tilt_moves_the_balance_of_the_band() -> None:
    x = rng().normal(size=8000).astype(np.float32)

    def power_at(y: np.ndarray, hz: int) -> float:
        return float(np.mean(np.abs(np.fft.rfft(y))[hz - 50 : hz + 50] ** 2))

    y = tilt(x, 6.0)
    change = 10 * np.log10(
        power_at(y, 3300) / power_at(x, 3300) * power_at(x, 310) / power_at(y, 310)
    )
    assert change == pytest.approx(6.0, abs=0.4)


def test_crop_and_join() -> None:
    clip = speechlike(seconds=2.0)
    cropped = degrade(clip, Condition(crop_seconds=(1.0, 1.0)), rng())
    assert len(cropped) == 8000
    joined = degrade(clip, Condition(join=True), rng(), partner=clip)
    assert 2 * len(clip) + 800 <= len(joined) <= 2 * len(clip) + 4000
    assert len(degrade(clip[:8000], JOINED, rng(), [NOISE])) == 8000  # alone and short: whole


def test_codecs() -> None:
    clip = speechlike()
    for codec in ("mulaw", "alaw"):
        out = through_codec(clip, codec)
        assert 0 < np.abs(out.astype(int) - clip).max() < 600
        assert np.array_equal(through_codec(out, codec), out)
    with pytest.raises(ValueError, match="gsm"):
        through_codec(clip, "gsm")
