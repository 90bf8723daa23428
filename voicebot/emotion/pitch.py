"""Pitch and harmonicity of telephone speech, all frames at once.

The autocorrelation of each windowed frame is divided by that of the window
(Boersma 1993), so its height at a lag is the share of periodic power, and the
highest peak within the range of human pitch is the period.  Where Boersma
finds the best path frame by frame, a second pass here prefers peaks near the
median pitch of the stretch (the idea of a pitch range set by a first pass is
from De Looze and Hirst 2008), which costs no loop.

Sources:
    P. Boersma, "Accurate short-term analysis of the fundamental frequency and
    the harmonics-to-noise ratio of a sampled sound", IFA Proceedings 17, 1993.
    C. De Looze and D. Hirst, "Detecting changes in key and range", Speech
    Prosody 2008.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

FLOOR_HZ: Final = 70.0
CEILING_HZ: Final = 550.0
OCTAVE_COST: Final = 0.03
"""Autocorrelation that a peak one octave lower must be higher by (Boersma: 0.01-0.05)."""
JUMP_COST: Final = 0.12
"""Autocorrelation per octave away from the median pitch, in the second pass."""
VOICED: Final = 0.45
"""Share of periodic power above which a frame is voiced (Boersma's default)."""
_OVERSAMPLING: Final = 2


@dataclass(frozen=True, slots=True)
class PitchTrack:
    """Pitch of each frame."""

    hz: Array
    """Hz, shape ``(frames,)``; the best candidate, also where not voiced"""
    strength: Array
    """share of periodic power, 0-1, shape ``(frames,)``"""
    voiced: npt.NDArray[np.bool_]
    """shape ``(frames,)``"""

    def hnr_db(self) -> Array:
        """Harmonics-to-noise ratio of each frame in dB (Boersma 1993, eq. 4), -20 to 30."""
        r = np.clip(self.strength, 0.01, 0.999)
        return np.asarray(10.0 * np.log10(r / (1.0 - r)), dtype=np.float32)


def track_pitch(power: Array, window: int, rate: int, audible: npt.NDArray[np.bool_]) -> PitchTrack:
    """Find the pitch of all frames from their power spectra.

    Args:
        power: Power spectra of Hann-windowed frames, shape ``(frames, fft // 2 + 1)``; ``fft`` must
            exceed the window by the longest period.
        window: Length of a frame before padding, in samples.
        rate: Hz.
        audible: Frames loud enough to have a pitch, shape ``(frames,)``.
    """
    fine = rate * _OVERSAMPLING
    shortest, longest = int(fine / CEILING_HZ), int(np.ceil(fine / FLOOR_HZ))
    lags = (shortest - 1, longest + 2)
    zero = np.maximum(2.0 * power.sum(1) - power[:, 0] - power[:, -1], 1e-20)
    r = (power @ _to_correlation(window, 2 * (power.shape[1] - 1), *lags)) / zero[:, None]
    inner = r[:, 1:-1]
    peak = (inner > r[:, :-2]) & (inner >= r[:, 2:])
    octaves = np.log2(longest / np.arange(shortest, longest + 1)).astype(np.float32)
    score = np.where(peak, np.minimum(inner, 1.0) + OCTAVE_COST * octaves, np.float32(-1.0))
    best = np.argmax(score, axis=1)
    rows = np.arange(len(r))
    sure = audible & (inner[rows, best] > VOICED) & peak[rows, best]
    if np.count_nonzero(sure) >= 3:
        middle = np.median(octaves[best[sure]])
        score -= JUMP_COST * np.abs(octaves - middle)
        best = np.argmax(np.where(peak, score, -9.0), axis=1)
    lag, strength = _parabola(r, best + 1)
    lag += lags[0]
    found = peak[rows, best]
    hz = np.clip(fine / lag, FLOOR_HZ, CEILING_HZ).astype(np.float32)
    strength = np.where(found, np.clip(strength, 0.0, 1.0), 0.0).astype(np.float32)
    return PitchTrack(hz, strength, audible & (strength > VOICED))


@lru_cache(maxsize=4)
def hann(length: int) -> Array:
    """Periodic Hann window, shape ``(length,)``."""
    phase = 2.0 * np.pi * np.arange(length) / length
    return np.asarray(0.5 - 0.5 * np.cos(phase), dtype=np.float32)


def _parabola(r: Array, lag: npt.NDArray[np.intp]) -> tuple[Array, Array]:
    """Vertex of the parabola through each peak and its neighbours: lag and height."""
    rows = np.arange(len(r))
    left, middle, right = r[rows, lag - 1], r[rows, lag], r[rows, lag + 1]
    bend = np.minimum(left - 2.0 * middle + right, -1e-6)
    shift = np.clip(0.5 * (left - right) / bend, -0.5, 0.5)
    height = middle - 0.25 * (left - right) * shift
    return np.asarray(lag + shift, dtype=np.float32), np.asarray(height, dtype=np.float32)


@lru_cache(maxsize=4)
def _to_correlation(window: int, fft: int, first: int, end: int) -> Array:
    """Matrix from power spectra to autocorrelations over that of a Hann window.

    An inverse transform for the lags of voices alone, and at a finer step than the samples,
    costs less as a product of matrices than as an FFT of all lags.

    Args:
        window: Samples in a frame.
        fft: Length of the transform that gave the spectra.
        first: First lag, in samples at the oversampled rate.
        end: Lag after the last.

    Returns:
        Shape ``(fft // 2 + 1, end - first)``.
    """
    bins = np.arange(fft // 2 + 1)[:, None]
    lags = np.arange(first, end)[None, :] / _OVERSAMPLING
    weight = np.where((bins == 0) | (bins == fft // 2), 1.0, 2.0)
    inverse = weight * np.cos(2.0 * np.pi * bins * lags / fft)
    own = np.abs(np.fft.rfft(hann(window), fft)) ** 2
    correlation = own @ inverse / (own @ weight)
    return np.asarray(inverse / correlation, dtype=np.float32)
