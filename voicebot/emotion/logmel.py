"""Log-mel spectrogram of telephone speech, as the speech encoder of Whisper wants it.

Whisper takes 80 mel bands of 0 to 8 kHz at 16 kHz: windows of 25 ms, hops of 10 ms.  Telephone
speech has nothing above 4 kHz, and at 8 kHz a window of 200 samples has the very bins (40 Hz
apart) that one of 400 has at 16 kHz.  So the same filters are laid over the lower half
and the signal is never resampled; the bands above 4 kHz stand at the floor.

The level of the active frames is brought to one value first: how loud a line is says
nothing about the caller.

Sources:
    A. Radford et al., "Robust speech recognition via large-scale weak
    supervision", 2022 (front end: log10, floor 8 below the peak, ``(x + 4) / 4``).
    M. Slaney, "Auditory toolbox", 1998 (mel scale: linear to 1 kHz, then
    logarithmic; triangles of equal area).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from voicebot.emotion.frames import RATE
from voicebot.events import Pcm

Floats = npt.NDArray[np.float32]

LOG_MEL: Final = "logmel/1"
"""Name and version; raise the version with every change of values."""
BANDS: Final = 80
HOP: Final = RATE // 100
"""samples; 10 ms"""
_WINDOW: Final = RATE // 40
_FULL_BAND: Final = 8000.0
"""Hz; upper edge of Whisper's filters"""
_ACTIVE_POWER: Final = 0.0485
"""mean power over bands of an active frame after levelling: that of speech at -23 dBFS at 16 kHz"""
_RANGE: Final = 8.0
"""decades below the peak at which the spectrogram is cut off"""


def log_mel(samples: Pcm) -> Floats:
    """Log-mel spectrogram of a window.

    Args:
        samples: Mono speech at :data:`voicebot.emotion.frames.RATE`, at least 25 ms.

    Returns:
        Shape ``(BANDS, frames)``, one frame each 10 ms; finite, all equal for silence.

    Raises:
        ValueError: fewer samples than one window.

    Example:
        >>> log_mel(np.zeros(8000, np.int16)).shape
        (80, 100)
    """
    if len(samples) < _WINDOW:
        raise ValueError(f"{len(samples)} samples are too few for a spectrogram")
    x = np.pad(samples.astype(np.float32) / 32768.0, _WINDOW // 2, mode="reflect")
    count = len(samples) // HOP
    frames = np.lib.stride_tricks.sliding_window_view(x, _WINDOW)[::HOP][:count]
    spectrum = np.fft.rfft(frames * _HANN, axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    mel = power.astype(np.float32) @ _FILTERS.T
    energy = mel.mean(axis=1)
    active = energy > energy.max() * 0.01
    if active.any():
        mel *= _ACTIVE_POWER / energy[active].mean()
    decades = np.log10(np.maximum(mel, 1e-10))
    decades = np.maximum(decades, decades.max() - _RANGE)
    return np.ascontiguousarray(((decades + 4.0) / 4.0).T, dtype=np.float32)


def _mel(hz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Slaney's mel scale."""
    above = 15.0 + np.log(np.maximum(hz, 1e-9) / 1000.0) * (27.0 / np.log(6.4))
    return np.where(hz < 1000.0, hz * 3.0 / 200.0, above)


def _hz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The inverse of :func:`_mel`."""
    return np.where(mel < 15.0, mel * 200.0 / 3.0, 1000.0 * np.exp((mel - 15.0) * np.log(6.4) / 27))


def _filters() -> Floats:
    """Triangles of equal area over the bins of a window, shape ``(BANDS, bins)``."""
    edges = _hz(np.linspace(0.0, float(_mel(np.array(_FULL_BAND))), BANDS + 2))
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = np.fft.rfftfreq(_WINDOW, 1.0 / RATE)
    triangles = np.maximum(
        0.0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre))
    )
    return np.asarray(triangles * 2.0 / (high - low), dtype=np.float32)


_HANN: Final[Floats] = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
_FILTERS: Final[Floats] = _filters()
