"""The telephone line: 8 kHz, mu-law in and out, a little noise."""

from __future__ import annotations

import numpy as np
import soxr

from voicebot.audio import g711

RATE = 8000
"""Hz"""
NOISE = -66.0
"""dBFS, RMS of the comfort noise on each leg"""


def band(samples: np.ndarray, rate: int) -> np.ndarray:
    """Keep 140-3550 Hz (half amplitude), zero phase: 300-3400 Hz flat, as telephony asks.

    The lower edge is that of an IP telephone.  G.712 lets an analogue line cut from 300 Hz
    down, and a steep cut there doubles the errors of a small recogniser.
    """
    frequency = np.fft.rfftfreq(len(samples), 1 / rate)
    low = np.clip((frequency - 80) / 120, 0, 1)
    high = np.clip((3700 - frequency) / 400, 0, 1)
    return np.fft.irfft(np.fft.rfft(samples) * low * high, len(samples))


def lay(parts: list[tuple[float, np.ndarray]], rate: int, seconds: float, seed: int) -> np.ndarray:
    """Make one leg of a call.

    Args:
        parts: Start in seconds and float samples of each utterance.
        rate: Hz, of the utterances.
        seconds: Length of the call.
        seed: Of the comfort noise.

    Returns:
        int16 samples at :data:`RATE`, shape ``(samples,)``, as they leave a mu-law decoder.
    """
    leg = np.zeros(round(seconds * RATE))
    for start, samples in parts:
        narrow = band(soxr.resample(samples, rate, RATE), RATE)
        at = round(start * RATE)
        leg[at : at + len(narrow)] += narrow[: len(leg) - at]
    noise = band(np.random.default_rng(seed).standard_normal(len(leg)), RATE)
    leg += noise / np.sqrt(np.mean(noise**2)) * 10 ** (NOISE / 20)
    # A handset's limiter: above 0.6 of full scale peaks bend, and never reach it.
    size = np.abs(leg)
    leg = np.where(size > 0.6, np.sign(leg) * (0.6 + 0.3 * np.tanh((size - 0.6) / 0.3)), leg)
    pcm = np.round(leg * 32767).astype(np.int16)
    return g711.decode_mulaw(g711.encode_mulaw(pcm))
