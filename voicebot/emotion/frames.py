"""What each 10 ms of a window of telephone speech sounds like.

Energy, pitch, harmonicity, cepstrum, and how the spectrum is tilted, from one
FFT a frame of 40 ms.

Lines differ in what is not the speaker, so that is taken away first: the level
is divided out; everything more than 45 dB below the speech is put at that
floor; and what comes before the first and after the last active frame is cut
off.  (A band of 300-3400 Hz with a floor of 32 dB and no first harmonics was
tried, on clean speech: real calm calls came out calmer, but the mean AUC on
corpora left out of training fell from .81 to .78.)

Sources:
    F. Eyben et al., "The Geneva minimalistic acoustic parameter set (GeMAPS)",
    IEEE Trans. Affective Computing 7(2), 2016: alpha ratio, spectral slopes.
    B. Hammarberg et al., "Perceptual and acoustic correlates of abnormal voice
    qualities", Acta Oto-Laryngologica 90, 1980: the Hammarberg index.
    S. Davis and P. Mermelstein, "Comparison of parametric representations",
    IEEE Trans. ASSP 28(4), 1980: mel cepstrum.
    Pitch: :mod:`voicebot.emotion.pitch`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from voicebot.emotion.pitch import hann, track_pitch
from voicebot.events import Pcm

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

RATE: Final = 8000
"""Hz; the telephone band, whatever the source."""
FRAME: Final = 320
"""samples"""
HOP: Final = 80
"""samples"""
FFT: Final = 512
MELS: Final = 26
CEPSTRA: Final = 14
LOW_HZ, HIGH_HZ = 200.0, 3600.0
"""The band that a telephone line carries, skirts included."""
ACTIVE_DB: Final = 26.0
"""A frame is active if it is at most this far below the loud ones."""
FLOOR_DB: Final = -45.0
"""Power below this, against the level of the speech, is taken as this."""
TILT: Final = (
    "alpha", "hammarberg", "slope_low", "slope_high", "centroid", "flatness", "flux", "h1_h2",
)  # fmt: skip
"""Names of the columns of :attr:`Frames.tilt`."""


@dataclass(frozen=True, slots=True)
class Frames:
    """Frame-level descriptors of a window, between its first and last active frame."""

    energy: Array
    """dB against the level of the active speech, shape ``(frames,)``"""
    active: Mask
    voiced: Mask
    semitones: Array
    """pitch, semitones above 55 Hz"""
    hnr: Array
    """dB"""
    mel: Array
    """dB against the level of the active speech, shape ``(frames, MELS)``"""
    mfcc: Array
    """shape ``(frames, CEPSTRA - 1)``, without the zeroth"""
    tilt: Array
    """shape ``(frames, len(TILT))``"""


def describe(samples: Pcm) -> Frames | None:
    """Frame-level descriptors of a window at :data:`RATE`; None if it is silent."""
    x = samples.astype(np.float32) / 32768.0
    x -= np.float32(np.mean(x))
    view = np.lib.stride_tricks.sliding_window_view(x, FRAME)[::HOP]
    spectrum = np.fft.rfft(view * hann(FRAME), FFT, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    total = power @ _band()
    loud = float(np.quantile(total, 0.95))
    if loud < 1e-9:
        return None
    active = total > loud * 10 ** (-ACTIVE_DB / 10)
    first, last = np.flatnonzero(active)[[0, -1]]
    inside = slice(first, last + 1)
    power, total, active = power[inside], total[inside], active[inside]
    level = float(np.mean(total[active]))
    power /= level
    energy = 10.0 * np.log10(np.maximum(total / level, 10 ** (FLOOR_DB / 10)))
    pitch = track_pitch(power, FRAME, RATE, active)
    mel = 10.0 * np.log10(power @ _mel_bank() + 10 ** (FLOOR_DB / 10) / MELS)
    mfcc = (mel @ _dct()).astype(np.float32)
    tilt = _tilt(power, mel, pitch.hz)
    semitones = 12.0 * np.log2(pitch.hz / 55.0)
    return Frames(
        energy.astype(np.float32),
        active,
        pitch.voiced,
        semitones.astype(np.float32),
        pitch.hnr_db(),
        mel.astype(np.float32),
        mfcc,
        tilt,
    )


def _tilt(power: Array, mel: Array, hz: Array) -> Array:
    """Descriptors of the shape of each spectrum, shape ``(frames, len(TILT))``."""
    bins = _bins()
    floor = np.float32(10 ** (FLOOR_DB / 10) / 100)
    db = 10.0 * np.log10(power + floor)
    low, high = _between(LOW_HZ, 1000.0), _between(1000.0, HIGH_HZ)
    alpha = _decibel(power[:, low].sum(1), floor) - _decibel(power[:, high].sum(1), floor)
    hammarberg = db[:, _between(LOW_HZ, 2000.0)].max(1) - db[:, _between(2000.0, HIGH_HZ)].max(1)
    band = _between(LOW_HZ, HIGH_HZ)
    weight = power[:, band] + floor
    centroid = (weight @ bins[band]) / weight.sum(1) / 1000.0
    flatness = db[:, band].mean(1) - _decibel(weight.mean(1), floor)
    flux = np.zeros(len(power), dtype=np.float32)
    flux[1:] = np.sqrt(np.mean(np.square(np.diff(mel, axis=0)), axis=1))
    rows = np.arange(len(power))
    step = RATE / FFT
    first = np.clip(np.rint(hz / step).astype(np.intp), 1, FFT // 2)
    second = np.clip(np.rint(2 * hz / step).astype(np.intp), 1, FFT // 2)
    h1_h2 = db[rows, first] - db[rows, second]
    slopes = (_slope(db, 500.0, 1500.0), _slope(db, 1500.0, HIGH_HZ))
    columns = (alpha, hammarberg, *slopes, centroid, flatness, flux, h1_h2)
    return np.stack(columns, axis=1).astype(np.float32)


def _slope(db: Array, low: float, high: float) -> Array:
    """Slope of the spectrum between two frequencies, in dB per kHz."""
    band = _between(low, high)
    f = _bins()[band] / 1000.0
    f = f - f.mean()
    return np.asarray(db[:, band] @ (f / np.sum(f**2)), dtype=np.float32)


def _decibel(power: Array, floor: np.float32) -> Array:
    return np.asarray(10.0 * np.log10(power + floor), dtype=np.float32)


def _between(low: float, high: float) -> slice:
    """FFT bins of a band."""
    return slice(int(np.ceil(low * FFT / RATE)), int(high * FFT / RATE) + 1)


@lru_cache(maxsize=1)
def _bins() -> Array:
    """Frequencies of the FFT bins in Hz."""
    return np.asarray(np.fft.rfftfreq(FFT, 1 / RATE), dtype=np.float32)


@lru_cache(maxsize=1)
def _band() -> Array:
    """Ones within the telephone band, shape ``(FFT // 2 + 1,)``."""
    ones = np.zeros(FFT // 2 + 1, dtype=np.float32)
    ones[_between(LOW_HZ, HIGH_HZ)] = 1.0
    return ones


@lru_cache(maxsize=1)
def _mel_bank() -> Array:
    """Triangular filters, equally spaced in mel, shape ``(FFT // 2 + 1, MELS)``."""
    low, high = 2595.0 * np.log10(1.0 + np.array([LOW_HZ, HIGH_HZ]) / 700.0)
    mel = np.linspace(low, high, MELS + 2)
    edges = 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    f = _bins()[:, None]
    rising = (f - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - f) / (edges[2:] - edges[1:-1])
    return np.asarray(np.maximum(np.minimum(rising, falling), 0.0), dtype=np.float32)


@lru_cache(maxsize=1)
def _dct() -> Array:
    """Orthonormal DCT-II without its first row, shape ``(MELS, CEPSTRA - 1)``."""
    k, n = np.arange(1, CEPSTRA)[None, :], np.arange(MELS)[:, None]
    return np.asarray(np.sqrt(2.0 / MELS) * np.cos(np.pi * k * (n + 0.5) / MELS), dtype=np.float32)
