"""Levels, sample conversion and resampling of linear PCM.

Levels are in dBFS with a full-scale *square* wave at 0 dBFS, so a full-scale
sine has an RMS level of -3.01 dBFS.  Digital silence is given as
:data:`SILENCE_DBFS` instead of minus infinity, which JSON cannot carry.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import soxr

from voicebot.events import Pcm

Floats = npt.NDArray[np.float32]
"""Samples in -1..1, shape ``(samples,)`` or ``(samples, channels)``."""

FULL_SCALE: Final = 32768
"""int16 steps per 1.0"""
SILENCE_DBFS: Final = -120.0
"""dBFS; the floor of every level"""
CLIP_LEVEL: Final = 32000
"""int16 steps.  Below the largest values of mu-law (32124) and A-law (32256), so that audio
which was clipped before it was coded for the telephone counts as clipped too."""


def to_float(pcm: npt.NDArray[np.int16]) -> Floats:
    """Scale int16 to float32 in -1..1 (exactly; :func:`to_int16` is its inverse)."""
    return pcm.astype(np.float32) / np.float32(FULL_SCALE)


def to_int16(samples: npt.NDArray[np.floating]) -> npt.NDArray[np.int16]:
    """Round floats in -1..1 to int16; what lies beyond is clipped and never wraps.

    Args:
        samples: Any shape.

    Raises:
        ValueError: NaN or infinity among the samples.
    """
    scaled = np.rint(samples * samples.dtype.type(FULL_SCALE))
    if not np.isfinite(scaled).all():
        raise ValueError("NaN or infinity among the samples")
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def rms_dbfs(pcm: Pcm) -> float:
    """RMS level in dBFS; :data:`SILENCE_DBFS` for silence or no samples."""
    if not len(pcm):
        return SILENCE_DBFS
    wide = pcm.astype(np.float64)
    return _dbfs(float(np.sqrt(np.dot(wide, wide) / len(wide))))


def peak_dbfs(pcm: Pcm) -> float:
    """Peak level in dBFS; :data:`SILENCE_DBFS` for silence or no samples."""
    return _dbfs(float(peak(pcm)))


def peak(pcm: Pcm) -> int:
    """Largest magnitude in int16 steps, 0-32768."""
    return max(int(pcm.max()), -int(pcm.min())) if len(pcm) else 0


def clipped_fraction(pcm: Pcm) -> float:
    """Share of samples, 0-1, at or beyond :data:`CLIP_LEVEL`."""
    if not len(pcm):
        return 0.0
    return float(np.count_nonzero((pcm >= CLIP_LEVEL) | (pcm <= -CLIP_LEVEL)) / len(pcm))


def resample(pcm: Pcm, rate: int, to: int) -> Pcm:
    """Resample a whole piece of audio at once (soxr, HQ; 0.3 ms for 3 s at 8 kHz).

    Args:
        pcm: Samples at ``rate`` Hz.
        rate: Hz.
        to: Hz; the same rate gives the same array back.

    Returns:
        ``round(len(pcm) * to / rate)`` samples, in time with the input.
    """
    if rate == to:
        return pcm
    out: Pcm = to_int16(soxr.resample(to_float(pcm), rate, to))
    return out


class StreamResampler:
    """Resamples a stream piece by piece, with the same result as all at once.

    Output comes in bursts and up to 120 ms after its input, but it is in time
    with it and nothing is lost: after ``last`` the lengths agree.

    Args:
        rate: Hz of what goes in.
        to: Hz of what comes out.
        channels: Number of channels.
    """

    def __init__(self, rate: int, to: int, channels: int) -> None:
        self._soxr = None if rate == to else soxr.ResampleStream(rate, to, channels, "float32")

    def push(self, samples: Floats, *, last: bool = False) -> Floats:
        """Resample one piece.

        Args:
            samples: Shape ``(samples, channels)``; may be empty.
            last: True once, with the last piece.

        Returns:
            What is ready, shape ``(samples, channels)``.
        """
        if self._soxr is None:
            return samples
        out: Floats = self._soxr.resample_chunk(np.ascontiguousarray(samples), last=last)
        return out


def _dbfs(magnitude: float) -> float:
    if magnitude <= 0.0:
        return SILENCE_DBFS
    return max(SILENCE_DBFS, 20.0 * float(np.log10(magnitude / FULL_SCALE)))
