"""The room around a speaker who is not close to the microphone.

A room's impulse response is the direct sound and, soon after, noise whose power
falls by 60 dB within the reverberation time.

Sources:
    J.-D. Polack, "La transmission de l'énergie sonore dans les salles", thesis,
    Université du Maine, 1988: exponentially decaying Gaussian noise as a model of
    late reverberation.
    M. Jeub, M. Schäfer and P. Vary, "A binaural room impulse response database
    for the evaluation of dereverberation algorithms", DSP 2009: direct-to-
    reverberant ratios and times of real rooms, which the usual ranges follow.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from voicebot.emotion.frames import RATE

Samples = npt.NDArray[np.float32]

GAP_SECONDS: Final = 0.0025
"""s between the direct sound and the first reflection"""


def impulse_response(
    rt60_seconds: float, direct_to_reverberant_db: float, rng: np.random.Generator
) -> Samples:
    """Draw the impulse response of a room.

    Args:
        rt60_seconds: Reverberation time, s, above 0.
        direct_to_reverberant_db: Energy of the direct sound against all the rest, dB.
        rng: Source of chance.

    Returns:
        Samples at 8 kHz; the first is the direct sound, 1.
    """
    gap = round(GAP_SECONDS * RATE)
    t = np.arange(max(1, int(rt60_seconds * RATE))) / RATE
    # 60 dB in amplitude is a factor of 1000 over the reverberation time.
    tail = rng.normal(size=len(t)) * 10.0 ** (-3.0 * t / rt60_seconds)
    energy = 10.0 ** (-direct_to_reverberant_db / 10.0)
    tail *= np.sqrt(energy / np.sum(tail**2))
    out = np.concatenate([[1.0], np.zeros(gap), tail])
    return out.astype(np.float32)


def in_room(x: Samples, response: Samples) -> Samples:
    """Hear a recording through an impulse response; the tail after its end is cut off.

    Returns:
        As many samples as ``x``; the direct sound is in time with it.
    """
    size = _fast_length(len(x) + len(response) - 1)
    spectrum = np.fft.rfft(x, size) * np.fft.rfft(response, size)
    return np.asarray(np.fft.irfft(spectrum, size)[: len(x)], dtype=np.float32)


def _fast_length(least: int) -> int:
    """A transform length without large prime factors."""
    block = 1 << max(0, least.bit_length() - 4)
    return -(-least // block) * block
