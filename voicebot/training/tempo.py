"""The same words said faster or slower, higher or lower.

Tempo changes by WSOLA: short pieces are laid over one another closer or wider
than they were cut, each taken from where it fits best to what would have followed
the piece before.  For pitch the result is resampled, which moves the
formants along: a smaller or larger speaker, not the same one in another mood.

Source: W. Verhelst and M. Roelands, "An overlap-add technique based on waveform
similarity (WSOLA) for high quality time-scale modification of speech",
ICASSP 1993.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import soxr

from voicebot.emotion.frames import RATE
from voicebot.emotion.pitch import hann

Samples = npt.NDArray[np.float32]

_PIECE: Final = RATE * 32 // 1000
_HOP: Final = _PIECE // 2
_REACH: Final = RATE // 100
"""samples; how far a piece may move to fit, either way: half the longest pitch period"""


def change_voice(x: Samples, tempo: float, semitones: float) -> Samples:
    """Change tempo and pitch.

    Args:
        x: Samples at 8 kHz.
        tempo: 1.1 is 10 % faster; the pitch stays.
        semitones: Up or down; the length stays.

    Returns:
        ``round(len(x) / tempo)`` samples.
    """
    length = round(len(x) / tempo)
    ratio = 2.0 ** (semitones / 12.0)
    y = stretch(x, round(length * ratio))
    if semitones:
        y = np.asarray(soxr.resample(y, RATE * ratio, RATE, "MQ"), dtype=np.float32)
    return np.pad(y, (0, max(0, length - len(y))))[:length]


def stretch(x: Samples, length: int) -> Samples:
    """Make a recording last for ``length`` samples at the same pitch, by WSOLA."""
    if length == len(x) or len(x) < _PIECE:
        return np.pad(x, (0, max(0, length - len(x))))[:length]
    window = hann(_PIECE)
    margin = _PIECE + _REACH
    source = np.pad(x, (margin, 2 * margin))
    out = np.zeros(length + 2 * _PIECE, dtype=np.float32)
    step = len(x) / length
    natural = margin - _HOP
    for at in range(0, length + _HOP, _HOP):
        # The middle of a piece keeps its place in the recording, so both ends are covered.
        ideal = margin - _HOP + round(at * step)
        around = source[ideal - _REACH : ideal + _REACH + _PIECE]
        match = np.correlate(around, source[natural : natural + _PIECE], "valid")
        best = ideal - _REACH + int(np.argmax(match))
        out[at : at + _PIECE] += window * source[best : best + _PIECE]
        natural = best + _HOP
    return out[_HOP : _HOP + length]
