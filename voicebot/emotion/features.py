"""Prosodic features of a window of telephone speech.

Statistics over the frames of :mod:`voicebot.emotion.frames`: of the voiced or the
active ones, and of pauses and rhythm.  The set follows the recommendations of
Eyben et al. (2016) as far as the telephone band carries them; formants are left
out.

Sources:
    F. Eyben et al., "The Geneva minimalistic acoustic parameter set (GeMAPS)",
    IEEE Trans. Affective Computing 7(2), 2016: which parameters, percentiles,
    rising and falling slopes.
    N. de Jong and T. Wempe, "Praat script to detect syllable nuclei", Behavior
    Research Methods 41, 2009: syllables as peaks of intensity.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from voicebot.emotion.frames import CEPSTRA, HOP, RATE, TILT, Array, Frames, Mask, describe
from voicebot.emotion.pitch import hann
from voicebot.events import Pcm

FEATURE_SET: Final = "prosody/1"
"""Name and version; raise the version with every change of values."""
_VOICED_LLD = (*(f"mfcc{i}" for i in range(1, CEPSTRA)), *TILT, "hnr", "energy")


def extract(samples: Pcm) -> Array:
    """Features of a window.

    Args:
        samples: Mono speech at :data:`voicebot.emotion.frames.RATE`, at least 0.25 s.

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
    *(f"{n}_louder" for n in TILT),
    *(f"{n}_unvoiced" for n in TILT),
    *(f"rhythm_{n}" for n in _RHYTHM),
)
"""Names of the features, in the order of :func:`extract`."""
