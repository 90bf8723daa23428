"""Rooms ring as long and as loud as asked, and keep time."""

from __future__ import annotations

import numpy as np
import pytest

from voicebot.training.rooms import GAP_SECONDS, impulse_response, in_room


def rng(seed: int = 3) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("rt60", [0.15, 0.3, 0.6])
def test_reverberation_time(rt60: float) -> None:
    """Schroeder's backward integral falls by 60 dB in the reverberation time."""
    decays = []
    for seed in range(20):
        tail = impulse_response(rt60, 0.0, rng(seed))[1:].astype(np.float64)
        decays.append(np.cumsum(tail[::-1] ** 2)[::-1])
    decay = 10 * np.log10(np.mean(decays, axis=0))
    first = int(GAP_SECONDS * 8000)
    upper, lower = (int(np.argmax(decay < decay[first] - drop)) for drop in (5.0, 25.0))
    assert (lower - upper) / 8000 * 3 == pytest.approx(rt60, rel=0.1)


@pytest.mark.parametrize("direct_db", [0.0, 15.0])
def test_direct_to_reverberant_ratio(direct_db: float) -> None:
    response = impulse_response(0.4, direct_db, rng())
    assert response[0] == 1.0
    assert 10 * np.log10(1.0 / np.sum(response[1:] ** 2)) == pytest.approx(direct_db, abs=0.01)


def test_convolution_keeps_time_and_length() -> None:
    x = rng().normal(size=3001).astype(np.float32)
    response = impulse_response(0.2, 5.0, rng())
    out = in_room(x, response)
    assert np.allclose(out, np.convolve(x, response)[: len(x)], atol=1e-4)
    correlation = np.correlate(out, x, "full")
    assert np.argmax(correlation) == len(x) - 1


@pytest.mark.parametrize("samples", [1, 5, 100])
def test_short_clips(samples: int) -> None:
    x = np.ones(samples, dtype=np.float32)
    assert in_room(x, impulse_response(0.6, 0.0, rng())).shape == (samples,)
