from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import signals
from voicebot.audio import pcm


def test_int16_and_back_is_exact() -> None:
    every = np.arange(-32768, 32768).astype(np.int16)
    np.testing.assert_array_equal(pcm.to_int16(pcm.to_float(every)), every)


def test_float_beyond_full_scale_is_clipped_and_never_wraps() -> None:
    loud = np.array([1.0, 1.5, 100.0, -1.0, -1.5, -1e30], np.float32)
    assert pcm.to_int16(loud).tolist() == [32767] * 3 + [-32768] * 3


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_float_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="NaN or infinity"):
        pcm.to_int16(np.array([0.0, bad]))


def test_levels() -> None:
    sine = signals.tone(1, 1000, dbfs=0.0)
    assert pcm.rms_dbfs(sine) == pytest.approx(-3.01, abs=0.01)
    assert pcm.peak_dbfs(sine) == pytest.approx(0.0, abs=0.01)
    assert pcm.rms_dbfs(signals.white(5, dbfs=-30)) == pytest.approx(-30, abs=0.1)
    assert pcm.peak(np.array([-32768, 5], np.int16)) == 32768
    for nothing in (np.empty(0, np.int16), np.zeros(9, np.int16)):
        assert pcm.rms_dbfs(nothing) == pcm.peak_dbfs(nothing) == pcm.SILENCE_DBFS


def test_clipped_fraction() -> None:
    quiet = signals.speech()
    assert pcm.clipped_fraction(quiet) == 0.0
    assert pcm.clipped_fraction(np.empty(0, np.int16)) == 0.0
    overdriven = pcm.to_int16(pcm.to_float(quiet) * 30)
    assert pcm.clipped_fraction(overdriven) > 0.1
    assert pcm.clipped_fraction(np.array([32124, -32124, 0, 0], np.int16)) == 0.5  # mu-law


def test_resample_keeps_pitch_level_and_length() -> None:
    before = signals.tone(1, 1000, dbfs=-6, rate=44100)
    after = pcm.resample(before, 44100, 16000)
    assert len(after) == 16000
    expected = signals.tone(1, 1000, dbfs=-6, rate=16000)
    assert np.abs(after[800:-800].astype(int) - expected[800:-800]).max() < 20
    assert pcm.resample(after, 16000, 16000) is after


def test_resampled_full_scale_square_does_not_wrap() -> None:
    square = np.where(np.arange(4410) // 50 % 2, 32767, -32768).astype(np.int16)
    after = pcm.resample(square, 44100, 16000).astype(int)
    middle = after[9:-9:18]  # the filter rings beyond full scale at the edges
    assert np.abs(np.diff(after)).max() < 65536
    assert set(np.sign(middle)) == {-1, 1} and np.abs(after).max() >= 32767


@given(
    rate=st.sampled_from([6000, 11025, 22050, 44100, 48000]),
    cuts=st.lists(st.integers(0, 9000), max_size=8),
)
def test_stream_is_the_same_as_all_at_once(rate: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(1)
    whole = rng.uniform(-0.5, 0.5, (9000, 2)).astype(np.float32)
    stream = pcm.StreamResampler(rate, 16000, 2)
    edges = [0, *sorted(cuts), len(whole)]
    parts = [stream.push(whole[a:b]) for a, b in pairwise(edges)]
    parts.append(stream.push(whole[:0], last=True))
    for channel in range(2):
        at_once = pcm.resample(pcm.to_int16(whole[:, channel]), rate, 16000)
        streamed = pcm.to_int16(np.concatenate(parts)[:, channel])
        assert len(streamed) == len(at_once)
        assert abs(len(streamed) - len(whole) * 16000 / rate) <= 1
        assert np.abs(streamed.astype(int) - at_once).max() <= 2


def test_stream_at_the_same_rate_changes_nothing() -> None:
    samples = np.ones((5, 1), np.float32)
    assert pcm.StreamResampler(8000, 8000, 1).push(samples) is samples
