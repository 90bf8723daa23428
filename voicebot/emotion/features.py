"""Prosodic features of a window of telephone speech.

Per frame (40 ms every 10 ms): energy, pitch, harmonicity, cepstrum, and how the
spectrum is tilted.  Per window: statistics of these over the voiced or the
active frames, and of pauses and rhythm.  The set follows the recommendations
of Eyben et al. (2016) as far as the telephone band carries them; formants are
left out.

The level is divided out first, because line equipment sets it and not the
speaker; so is everything before the first and after the last active frame.

Sources:
    F. Eyben et al., "The Geneva minimalistic acoustic parameter set (GeMAPS)",
    IEEE Trans. Affective Computing 7(2), 2016: which parameters, alpha ratio,
    spectral slopes, percentiles, rising and falling slopes.
    B. Hammarberg et al., "Perceptual and acoustic correlates of abnormal voice
    qualities", Acta Oto-Laryngologica 90, 1980: the Hammarberg index.
    S. Davis and P. Mermelstein, "Comparison of parametric representations",
    IEEE Trans. ASSP 28(4), 1980: mel cepstrum.
    N. de Jong and T. Wempe, "Praat script to detect syllable nuclei", Behavior
    Research Methods 41, 2009: syllables as peaks of intensity.
    Pitch: :mod:`voicebot.emotion.pitch`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from voicebot.emotion.pitch import hann, track_pitch

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

FEATURE_SET: Final = "prosody/1"
"""Name and version; raise the version with every change of values."""
RATE: Final = 8000
"""Hz; the telephone band, whatever the source."""
FRAME: Final = 320
HOP: Final = 80
FFT: Final = 512
MELS: Final = 26
CEPSTRA: Final = 14
LOW_HZ, HIGH_HZ = 200.0, 3600.0
"""The band that a telephone line carries."""
ACTIVE_DB: Final = 26.0
"""A frame is active if it is at most this far below the loud ones."""
FLOOR_DB: Final = -45.0
"""Power below this, against the level of the speech, is taken as this: noise and codecs."""

_TILT = ("alpha", "hammarberg", "slope_low", "slope_high", "centroid", "flatness", "flux", "h1_h2")
_VOICED_LLD = (
    *(f"mfcc{i}" for i in range(1, CEPSTRA)), *_TILT, "hnr", "energy",
)  # fmt: skip


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
    """shape ``(frames, len(_TILT))``"""


def extract(samples: npt.NDArray[np.int16]) -> Array:
    """Features of a window.

    Args:
        samples: Mono speech at :data:`RATE`, at least 0.25 s.

    Returns:
        Shape ``(len(FEATURES),)``; always finite, zeros for silence.

    Raises:
        ValueError: fewer samples than 0.25 s.
    """
    if len(samples) < RATE // 4:
        raise ValueError(f"{len(samples)} samples are too few for features")
    frames = describe(samples)
    return np.zeros(len(FEATURES), dtype=np.float32) if frames is None else summarise(frames)


def summarise(frames: Frames) -> Array:
    """Statistics over the frames of a window, shape ``(len(FEATURES),)``; always finite."""
    values = np.concatenate(
        [_pitch(frames), _voice(frames), _effort(frames), _rhythm(frames)], dtype=np.float32
    )
    return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)


def describe(samples: npt.NDArray[np.int16]) -> Frames | None:
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


# ------------------------------------------------------------- frame level


def _tilt(power: Array, mel: Array, hz: Array) -> Array:
    """Descriptors of the shape of each spectrum, shape ``(frames, len(_TILT))``."""
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


# ------------------------------------------------------------ window level


def _pitch(f: Frames) -> Array:
    """Level, range and movement of the pitch; period and amplitude perturbation."""
    if np.count_nonzero(f.voiced) < 5:
        return np.zeros(len(_PITCH), dtype=np.float32)
    st = f.semitones[f.voiced]
    p10, p50, p90 = _quantiles(st[:, None], (0.1, 0.5, 0.9))[:, 0]
    both = f.voiced[1:] & f.voiced[:-1]
    move = np.diff(f.semitones)[both]
    smooth = move[np.abs(move) < 4.0]  # larger ones are octave errors, not a voice
    rising, falling = smooth[smooth > 0], smooth[smooth < 0]
    jitter = np.abs(np.diff(smooth)) if len(smooth) > 1 else np.zeros(1)
    shimmer = np.abs(np.diff(f.energy)[both])
    t = np.flatnonzero(f.voiced) * (HOP / RATE)
    t = t - t.mean()
    return np.array(
        [
            np.mean(st), np.std(st), p10, p50, p90, p90 - p10,
            _mean(np.abs(smooth)), _mean(rising), _mean(falling),
            _mean(jitter), _mean(shimmer),
            float(t @ st) / max(float(t @ t), 1e-6),
            _correlation(st, f.energy[f.voiced]),
        ],
        dtype=np.float32,
    )  # fmt: skip


def _voice(f: Frames) -> Array:
    """Mean, spread and change of the cepstrum, tilt, harmonicity and energy in voiced frames."""
    rows = f.voiced if np.count_nonzero(f.voiced) >= 5 else f.active
    lld = np.concatenate([f.mfcc, f.tilt, f.hnr[:, None], f.energy[:, None]], axis=1)
    chosen = lld[rows]
    p10, p90 = _quantiles(chosen[:, CEPSTRA - 1 :], (0.1, 0.9))
    delta = np.abs(lld[2:] - lld[:-2])[rows[1:-1]] if len(lld) > 2 else chosen[:0]
    change = delta.mean(0) if len(delta) else np.zeros(lld.shape[1])
    return np.concatenate([chosen.mean(0), chosen.std(0), change, p10, p90]).astype(np.float32)


def _effort(f: Frames) -> Array:
    """How the spectrum changes from the softer to the louder active frames; unvoiced tilt."""
    tilt, energy = f.tilt[f.active], f.energy[f.active]
    loud = energy >= np.median(energy)
    difference = tilt[loud].mean(0) - tilt[~loud].mean(0) if np.any(~loud) else tilt[0] * 0
    unvoiced = f.active & ~f.voiced
    rest = f.tilt[unvoiced].mean(0) if np.count_nonzero(unvoiced) >= 3 else tilt.mean(0)
    return np.concatenate([difference, rest]).astype(np.float32)


def _rhythm(f: Frames) -> Array:
    """Loudness contour, pauses, voiced stretches, syllables and slow modulation."""
    seconds = len(f.energy) * HOP / RATE
    e = _smooth(f.energy, 5)
    p10, p50, p90 = _quantiles(f.energy[f.active][:, None], (0.1, 0.5, 0.9))[:, 0]
    slope = np.diff(e)
    voiced_runs, pauses = _runs(f.voiced), _runs(~f.active)
    pauses = pauses[pauses >= 8]
    peaks = (e[1:-1] > e[:-2]) & (e[1:-1] >= e[2:]) & f.voiced[1:-1] & (e[1:-1] > p50 - 6.0)
    centred = e - e.mean()
    spectrum = np.abs(np.fft.rfft(centred * hann(len(e)), 1024)) ** 2
    hz = np.fft.rfftfreq(1024, HOP / RATE)
    bands = ((1, 4), (4, 8), (8, 16), (16, 50))
    parts = np.array([spectrum[(hz >= a) & (hz < b)].sum() for a, b in bands])
    shares = parts / max(float(parts.sum()), 1e-9)
    return np.array(
        [
            p10, p50, p90, p90 - p10, f.energy.max() - p50,
            _mean(slope[slope > 0]), _mean(slope[slope < 0]), np.std(e),
            np.mean(f.voiced), _mean(f.voiced[f.active]),
            len(voiced_runs) / seconds, _mean(voiced_runs) * HOP / RATE,
            np.std(voiced_runs) * HOP / RATE if len(voiced_runs) else 0.0,
            pauses.sum() * HOP / RATE / seconds,
            np.count_nonzero(peaks) / seconds,
            *shares,
        ],
        dtype=np.float32,
    )  # fmt: skip


def _quantiles(values: Array, at: tuple[float, ...]) -> Array:
    """Quantiles down the columns (nearest rank), shape ``(len(at), columns)``; one sort for all."""
    ordered = np.sort(values, axis=0)
    index = [round(q * (len(ordered) - 1)) for q in at]
    return ordered[index]


def _mean(values: npt.NDArray[np.floating] | Mask) -> float:
    return float(np.mean(values)) if len(values) else 0.0


def _correlation(a: Array, b: Array) -> float:
    spread = float(np.std(a) * np.std(b))
    return float(np.mean((a - a.mean()) * (b - b.mean()))) / spread if spread > 1e-6 else 0.0


def _smooth(values: Array, width: int) -> Array:
    """Moving average with the ends held."""
    padded = np.pad(values, width // 2, mode="edge")
    return np.convolve(padded, np.full(width, 1 / width), mode="valid").astype(np.float32)


def _runs(mask: Mask) -> Array:
    """Lengths of the stretches of True, in frames."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return (edges[1::2] - edges[::2]).astype(np.float32)


_PITCH = (
    "mean", "std", "p10", "p50", "p90", "range", "move", "rise", "fall",
    "jitter", "shimmer", "trend", "with_energy",
)  # fmt: skip
_RHYTHM = (
    "p10", "p50", "p90", "range", "crest", "rise", "fall", "std", "voiced", "voiced_active",
    "voiced_rate", "voiced_seconds", "voiced_spread", "pause_share", "syllable_rate",
    "mod_1_4", "mod_4_8", "mod_8_16", "mod_16_50",
)  # fmt: skip
FEATURES: Final[tuple[str, ...]] = (
    *(f"pitch_{n}" for n in _PITCH),
    *(f"{n}_{stat}" for stat in ("mean", "std", "change") for n in _VOICED_LLD),
    *(f"{n}_{stat}" for stat in ("p10", "p90") for n in _VOICED_LLD[CEPSTRA - 1 :]),
    *(f"{n}_louder" for n in _TILT),
    *(f"{n}_unvoiced" for n in _TILT),
    *(f"rhythm_{n}" for n in _RHYTHM),
)
"""Names of the features, in the order of :func:`extract`."""
