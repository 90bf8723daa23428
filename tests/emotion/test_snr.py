"""SNR and clipping: near the truth on speech-like sound in noise."""

from __future__ import annotations

import numpy as np

from tests.emotion.test_features import speechlike
from voicebot.emotion.frames import RATE, describe
from voicebot.emotion.snr import MAX_DB, MIN_DB, estimate_snr, flat_top_share
from voicebot.events import Pcm


def estimate(samples: Pcm) -> float:
    frames = describe(samples)
    assert frames is not None
    return estimate_snr(samples, frames)


def noisy(snr_db: float, clean: Pcm) -> Pcm:
    noise = np.random.default_rng(0).normal(size=len(clean))
    level = np.sqrt(np.mean(clean.astype(float) ** 2)) / 10 ** (snr_db / 20)
    return np.asarray(clean + noise * level).astype(np.int16)


def test_it_falls_with_noise_and_tells_good_from_bad() -> None:
    word = speechlike()
    clean = np.concatenate([word, np.zeros(RATE // 2, np.int16), word])
    found = [estimate(noisy(snr_db, clean)) for snr_db in (-5.0, 0.0, 5.0, 10.0, 20.0)]
    assert found == sorted(found)
    assert found[0] < 4 < 12 < found[-1]


def test_a_word_without_a_pause_is_not_taken_for_noise() -> None:
    steady = speechlike(syllables=0.0, seconds=0.8)
    assert estimate(steady) > 15


def test_noise_alone_is_low() -> None:
    noise = np.random.default_rng(1).normal(size=2 * RATE) * 3000
    assert estimate(noise.astype(np.int16)) < 4


def test_the_estimate_is_bounded() -> None:
    word = np.concatenate([speechlike(), np.zeros(RATE, np.int16)])
    assert MIN_DB <= estimate(word) <= MAX_DB


def test_clipping_is_seen_also_after_the_level_was_turned_down() -> None:
    clean = speechlike().astype(float)
    clipped = np.clip(clean * 8, -8000, 8000)
    assert flat_top_share(clean.astype(np.int16)) < 0.02
    assert flat_top_share(clipped.astype(np.int16)) > 0.1
    assert flat_top_share((clipped / 4).astype(np.int16)) > 0.1


def test_nothing_and_silence_are_not_clipped() -> None:
    assert flat_top_share(np.zeros(0, np.int16)) == 0.0
    assert flat_top_share(np.zeros(100, np.int16)) == 0.0
