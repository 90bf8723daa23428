"""Degradations do what they say, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from tests.emotion.test_features import speechlike
from voicebot.audio.pcm import to_float
from voicebot.training.augmentation import (
    CLEAN,
    LINE,
    NOISY,
    ROUGH,
    TARGET_DBFS,
    TEST_5DB,
    TEST_20DB,
    TEST_ALAW,
    TEST_HARD,
    TEST_LOSS,
    TEST_LOW_RATE,
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


def test_codecs() -> None:
    clip = speechlike()
    for codec in ("mulaw", "alaw"):
        out = through_codec(clip, codec)
        assert 0 < np.abs(out.astype(int) - clip).max() < 600
        assert np.array_equal(through_codec(out, codec), out)
    with pytest.raises(ValueError, match="gsm"):
        through_codec(clip, "gsm")


ALL = (LINE, ROUGH, TEST_20DB, TEST_5DB, TEST_ALAW, TEST_LOW_RATE, TEST_LOSS, TEST_HARD)


@pytest.mark.parametrize("condition", ALL)
def test_every_named_condition_changes_the_sound_and_is_repeatable(condition: Condition) -> None:
    clip = speechlike()
    changed = 0
    for seed in range(10):
        out = degrade(clip, condition, rng(seed), [NOISE])
        assert np.array_equal(out, degrade(clip, condition, rng(seed), [NOISE]))
        assert len(out) == pytest.approx(len(clip), rel=0.12)
        changed += not np.array_equal(out, degrade(clip, CLEAN, rng(seed)))
        silence = degrade(clip * 0, condition, rng(seed), [NOISE])
        assert np.abs(silence.astype(int)).max() < 50  # A-law has no zero, GSM hums a little
    assert changed >= 7  # chance may lose no packet at all


def test_degradations_happen_as_often_as_asked() -> None:
    """Faster speech is the one that shows in the length."""
    clip, chance = speechlike(seconds=0.3), rng()
    lengths = np.array([len(degrade(clip, LINE, chance, [NOISE])) for _ in range(400)])
    assert np.mean(lengths != len(clip)) == pytest.approx(LINE.voice_share, abs=0.07)
    assert lengths.min() < 2250 and lengths.max() > 2600


def test_clipping_is_at_a_level_above_the_speech() -> None:
    clip = speechlike()
    out = to_float(degrade(clip, Condition(clip_share=1.0, clip_db=(3.0, 3.0)), rng()))
    bound = 10 ** ((TARGET_DBFS + 3.0) / 20)
    assert np.abs(out).max() == pytest.approx(bound, rel=0.04)  # mu-law moves it a little
    assert np.mean(np.abs(out) > 0.95 * bound) > 0.02


def test_lost_packets_change_only_some_of_the_sound() -> None:
    clip = speechlike(seconds=6.0)
    clean = degrade(clip, CLEAN, rng())
    same = [float(np.mean(degrade(clip, TEST_LOSS, rng(s)) == clean)) for s in range(20)]
    assert 0.93 < float(np.mean(same)) < 0.99
